//! The server: whether it answers, is ready, and agrees with this machine about the time.

use serde::Deserialize;

use super::ask::{AskError, Server};
use super::clock::{SYNCHRONIZE, TOLERATED_MS};
use super::finding::Findings;
use super::{Request, quoted};
use crate::system;

const PART: &str = "server";

/// What `/readyz` answers.
#[derive(Debug, Deserialize)]
pub(super) struct Ready {
    pub(super) obstacle: Option<String>,
    pub(super) entries: u64,
    pub(super) projected: Option<u64>,
    pub(super) queue: u64,
}

/// Asks whether a server is ready, and for its time in Unix seconds.
pub(super) fn ready(server: &Server) -> Result<(Ready, Option<i64>), AskError> {
    const PATH: &str = "readyz";
    let answer = server.ask(PATH)?;
    let ready = serde_json::from_slice(&answer.body).map_err(|_| server.strange(PATH))?;
    Ok((ready, answer.date))
}

pub(super) fn check(request: &Request<'_>, findings: &mut Findings) {
    let Some(url) = &request.server else {
        return;
    };
    let asked = Server::new(url, &request.access).and_then(|server| ready(&server));
    match asked {
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let why = format!("{error}{}", cause.unwrap_or_default());
            let readiness = format!("{}/readyz", url.trim_end_matches('/'));
            findings.not_checked(PART, why, format!("curl -i {}", quoted(&readiness)));
        }
        Ok((ready, date)) => {
            told(&ready, url, findings);
            let apart = date.map(|date| date.saturating_mul(1000).saturating_sub(system::now().0));
            if let Some(apart) = apart.filter(|apart| apart.abs() > TOLERATED_MS) {
                let apart = apart.abs() / 1000;
                let what = format!("{apart} s lie between the server's and this machine's");
                findings.wrong("clock", what, SYNCHRONIZE);
            }
        }
    }
}

fn told(ready: &Ready, url: &str, findings: &mut Findings) {
    let Ready {
        obstacle,
        entries,
        projected,
        queue: _,
    } = ready;
    let status = format!("avow status --server {}", quoted(url));
    match (obstacle, projected) {
        (Some(obstacle), _) => {
            findings.wrong(PART, format!("it is not ready: {obstacle}"), status);
        }
        (None, Some(projected)) => {
            let what = format!("it is ready: {entries} entries, {projected} folded");
            findings.good(PART, what);
        }
        (None, None) => findings.note(PART, format!("it is ready, with {entries} entries"), None),
    }
}
