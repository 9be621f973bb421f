//! `avow digest`: one hash over the projections.

use anyhow::Context;
use clap::Args;
use serde::Deserialize;

use super::server_access::ServerAccess;
use super::sources::SourceArguments;
use super::{Verdict, opened, output};
use crate::audit::web::Web;
use crate::config::Configuration;

/// Print one hash over everything that is folded from the log
///
/// Two folds of the same entries have the same digest, whenever and wherever they were made: after a rebuild, an import
/// or on another machine. Prints the number of entries folded, and the digest. Works on a data directory that no server
/// holds, with the configuration of `avow serve`, or asks the server at `--server`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Ask the server at this URL, which holds the data, instead of opening them
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "data_dir", "listen", "set"])]
    server: Option<String>,
    #[command(flatten)]
    access: ServerAccess,
    #[command(flatten)]
    sources: SourceArguments,
}

/// What a server answers.
#[derive(Deserialize)]
struct Answer {
    sequence: u64,
    digest: String,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let Answer { sequence, digest } = match &arguments.server {
        Some(server) => asked(server, &arguments.access)?,
        None => folded(&arguments.sources)?,
    };
    output::data(&format!("{sequence} {digest}"))?;
    Ok(Verdict::Good)
}

fn asked(server: &str, access: &ServerAccess) -> anyhow::Result<Answer> {
    let web = Web::new(server, Some(&access.read(server)?))?;
    let strange = || format!("{server} answers something else than Avow does");
    let answer = web.get("v1/digest")?.with_context(strange)?;
    serde_json::from_slice(&answer).with_context(strange)
}

fn folded(sources: &SourceArguments) -> anyhow::Result<Answer> {
    let configuration = sources.with(Configuration::load)?;
    let service = opened::open(configuration, "ask it with `--server URL`")?;
    let digest = service.digest()?;
    Ok(Answer {
        sequence: digest.sequence.0,
        digest: digest.to_string(),
    })
}
