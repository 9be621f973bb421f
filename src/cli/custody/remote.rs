//! Statements through a server.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;

use super::StatementArguments;
use crate::cli::world::WorldArguments;
use crate::client::{Access, server_url};
use crate::http::custody::Answer;
use crate::log::Statement;

/// How long the server may take: an erasure waits for its disk.
const TIMEOUT: Duration = Duration::from_mins(1);

/// States it of each session, tells each answer, and returns how many there were.
pub(super) fn state(
    server: &str,
    arguments: &StatementArguments,
    statement: Statement,
    tell: impl Fn(&Answer) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let server = Server::at(server, &arguments.access.read(server)?)?;
    runtime.block_on(async {
        let sessions = match &arguments.target.session {
            Some(session) => vec![session.clone()],
            None => server.sessions_of_user(arguments).await?,
        };
        for session in &sessions {
            tell(&server.state(session, arguments, statement).await?)?;
        }
        Ok(sessions.len())
    })
}

/// A server that operators ask.
pub(in crate::cli) struct Server {
    pub(in crate::cli) client: Client,
    url: Url,
}

#[derive(Deserialize)]
struct User {
    sessions: Vec<Session>,
}

#[derive(Deserialize)]
struct Session {
    id: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: Detail,
}

#[derive(Deserialize)]
struct Detail {
    code: String,
    message: String,
}

impl Server {
    pub(in crate::cli) fn at(url: &str, access: &Access) -> anyhow::Result<Self> {
        let url = server_url(url)?;
        let client = access.client([&url], TIMEOUT)?;
        Ok(Self { client, url })
    }

    async fn sessions_of_user(
        &self,
        arguments: &StatementArguments,
    ) -> anyhow::Result<Vec<String>> {
        let user = arguments.target.user.as_deref().unwrap_or_default();
        let url = self.path(&["users", user], &arguments.world)?;
        let response = self.client.get(url).send().await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(Vec::new());
        }
        let user: User = answered(response).await?.json().await?;
        let sessions = user.sessions.into_iter().map(|session| session.id);
        let sessions: BTreeSet<_> = sessions.collect();
        Ok(sessions.into_iter().collect())
    }

    async fn state(
        &self,
        session: &str,
        arguments: &StatementArguments,
        statement: Statement,
    ) -> anyhow::Result<Answer> {
        let verb = match statement {
            Statement::Erase => "erase",
            Statement::Hold => "hold",
            Statement::Release => "release",
        };
        let url = self.path(&["sessions", session, verb], &arguments.world)?;
        let words = json!({ "actor": arguments.actor, "reason": arguments.reason });
        let response = self.client.post(url).json(&words).send().await?;
        Ok(answered(response).await?.json().await?)
    }

    /// Returns the URL of a path under `/v1`, in the world that the flags name.
    pub(in crate::cli) fn path(
        &self,
        segments: &[&str],
        world: &WorldArguments,
    ) -> anyhow::Result<Url> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("`{}` has no path", self.url))?
            .pop_if_empty()
            .push("v1")
            .extend(segments);
        for (name, value) in world.parameters() {
            url.query_pairs_mut().append_pair(name, &value);
        }
        Ok(url)
    }
}

/// Returns a success, or what the server says instead.
pub(in crate::cli) async fn answered(response: Response) -> anyhow::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let refusal: Refusal = response
        .json()
        .await
        .with_context(|| format!("the server answered {status}"))?;
    let Detail { code, message } = refusal.error;
    Err(anyhow!("the server answered {status} ({code}): {message}"))
}
