//! `avow demo`: the real server and every scenario, in one process and a temporary directory.

mod running_server;
mod story;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;

use anyhow::{Context, anyhow};
use clap::Args;
use zeroize::Zeroizing;

use super::{Verdict, keys, output, signal, trace};
use crate::config::Configuration;
use crate::config::sources::Sources;
use running_server::RunningServer;
use story::Story;

/// Show what Avow does: start a server on temporary data, and deliver every scenario to it
///
/// Needs no account and no configuration. Makes its own keys, delivers signed events over HTTP, says what each scenario
/// shows and what came of it, and stays up for you to look around until Ctrl-C. Removes its data at the end.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// End after the last scenario; exit with 1 if one did not end as it has to
    #[arg(long)]
    once: bool,
    /// Serve on this loopback address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let directory = tempfile::Builder::new().prefix("avow-demo-").tempdir()?;
    let secret = keys::webhook_secret()?;
    let configuration = configuration(arguments, directory.path(), &secret)?;
    let _spans = trace::start(&configuration.settings.trace)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let verdict = runtime.block_on(demonstrate(configuration, &secret, arguments.once));
    directory
        .close()
        .context("the temporary data is not removed")?;
    verdict
}

async fn demonstrate(
    configuration: Configuration,
    secret: &str,
    once: bool,
) -> anyhow::Result<Verdict> {
    let mut stopped = pin!(signal::stop()?);
    let server = RunningServer::start(configuration).await?;
    let story = Story::new(&server, secret)?;
    let verdict = tokio::select! {
        verdict = story.tell() => verdict,
        () = stopped.as_mut() => Err(anyhow!("stopped before the last scenario")),
    };
    if verdict.is_ok() && !once {
        output::data(&story.look_around())?;
        stopped.await;
    }
    server.stop()?;
    verdict
}

/// Returns the defaults, with keys of the demo's own and files that are small enough for any disk.
fn configuration(
    arguments: &Arguments,
    data: &Path,
    secret: &str,
) -> anyhow::Result<Configuration> {
    let master_key: Zeroizing<String> = keys::master_key()?;
    let environment = |name: &str| match name {
        "AVOW_MASTER_KEY" => Some(master_key.to_string()),
        "AVOW_WEBHOOK_SECRETS" => Some(secret.to_owned()),
        _ => None,
    };
    let settings = [
        format!("listen={}", arguments.listen),
        format!("data_dir={}", data.display()),
        "trace.filter=warn".to_owned(),
        "log.journal_segment_bytes=8388608".to_owned(),
        "log.disk_free_bytes_min=1048576".to_owned(),
        "log.ballast_bytes=0".to_owned(),
    ];
    let sources = Sources {
        file: None,
        environment: &environment,
        command_line: &settings,
    };
    Ok(Configuration::load(&sources)?)
}
