//! `avow rebuild`: folds the log anew, beside what is served.

mod local;
mod remote;
mod report;

use std::time::Duration;

use anyhow::bail;
use clap::Args;

use super::progress::Bar;
use super::server_access::ServerAccess;
use super::sources::SourceArguments;
use super::world::WorldArguments;
use super::{Verdict, output, signal};
use crate::http::rebuild_answer::{Answer, Outcome, Status};
use local::Local;
use remote::Remote;

/// How often it is looked how far a rebuild has come.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Fold the log anew, compare the result with what is served, and have it served
///
/// Works on a data directory that no server holds, with the configuration of `avow serve`, or through a server with
/// `--server`, which answers as before until the new projections take the place of the old ones. Prints the digest
/// before and after, and every row that differs, with what was served, what the log says, and why. Ctrl-C cancels:
/// nothing has changed then.
///
/// Exits with 0 once it is served, with 1 if a dry run found a difference, and with 2 if it could not be done.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
pub(super) struct Arguments {
    /// Only say what would change
    #[arg(long)]
    dry_run: bool,
    /// Fold only this session
    #[arg(long, value_name = "ID", conflicts_with = "user")]
    session: Option<String>,
    /// Fold only this user, and every session that has named them
    #[arg(long, value_name = "REFERENCE")]
    user: Option<String>,
    #[command(flatten)]
    world: WorldArguments,
    /// Ask the server at this URL, which holds the data, instead of opening them
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "data_dir", "listen", "set"])]
    server: Option<String>,
    #[command(flatten)]
    access: ServerAccess,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceArguments,
}

/// Where it is done.
enum Place {
    Here(Box<Local>),
    There(Remote),
}

impl Place {
    async fn begin(&self, arguments: &Arguments) -> anyhow::Result<Answer> {
        match self {
            Self::Here(local) => local.begin(arguments),
            Self::There(remote) => remote.begin(arguments).await,
        }
    }

    async fn look(&self, id: &str) -> anyhow::Result<Answer> {
        match self {
            Self::Here(local) => local.look(id),
            Self::There(remote) => remote.look(id).await,
        }
    }

    async fn cancel(&self, id: &str) -> anyhow::Result<()> {
        match self {
            Self::Here(local) => local.cancel(id),
            Self::There(remote) => remote.cancel(id).await,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let place = match &arguments.server {
        None => Place::Here(Box::new(Local::open(arguments)?)),
        Some(server) => Place::There(Remote::at(server, &arguments.access.read(server)?)?),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(rebuild(&place, arguments))?;
    let outcome = match (ended.status, ended.result) {
        (Status::Done, Some(outcome)) => outcome,
        (Status::Cancelled, _) => bail!("it was cancelled: nothing has changed"),
        _ => bail!(
            "it has failed, and nothing has changed: {}",
            ended.failure.unwrap_or_default()
        ),
    };
    output::data(&if arguments.json {
        serde_json::to_string_pretty(&outcome)?
    } else {
        report::text(&outcome)
    })?;
    Ok(Verdict::good_if(!arguments.dry_run || is_equal(&outcome)))
}

fn is_equal(outcome: &Outcome) -> bool {
    outcome.differences_count == 0 && outcome.unreadable.is_none()
}

/// Begins it, and shows how far it has come, to its end. Whoever wants to stop has it cancelled, and waits for that.
async fn rebuild(place: &Place, arguments: &Arguments) -> anyhow::Result<Answer> {
    let stop = signal::stop()?;
    tokio::pin!(stop);
    let mut answer = place.begin(arguments).await?;
    let bar = Bar::of("entries");
    let mut is_stopped = false;
    while answer.status.is_running() {
        bar.set(answer.entries_done, answer.entries);
        tokio::select! {
            () = &mut stop, if !is_stopped => {
                is_stopped = true;
                place.cancel(&answer.id).await?;
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        answer = place.look(&answer.id).await?;
    }
    bar.finish();
    Ok(answer)
}
