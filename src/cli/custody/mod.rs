//! `avow erase`, `avow hold`, `avow release`: what an operator states about what is kept of a session.

mod local;
pub(super) mod remote;

use std::fmt::{self, Write};

use anyhow::bail;
use clap::Args;

use super::server_access::ServerAccess;
use super::sources::SourceArguments;
use super::world::WorldArguments;
use super::{Verdict, output};
use crate::http::custody::{Answer, Status};
use crate::log::{Statement, Words};

/// Erase what is kept of a session: destroy its key, and overwrite its sealed payloads
///
/// It cannot be undone. Leaves, proofs, standings and retry counts stay. Works on a data directory that no server holds,
/// with the configuration of `avow serve`, or through a server with `--server`. While a hold stands, the erasure waits.
/// Exits with 0 once everything is erased or waits, and with 2 if something is not.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
pub(super) struct Erase {
    #[command(flatten)]
    statement: StatementArguments,
}

/// Hold what is kept of a session: nothing of it is erased until the hold is released
///
/// An erasure that is wanted meanwhile waits, whoever wants it. Works on a data directory that no server holds, with the
/// configuration of `avow serve`, or through a server with `--server`.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
pub(super) struct Hold {
    #[command(flatten)]
    statement: StatementArguments,
}

/// Release what is held: an erasure that has waited for that is carried out
///
/// Works on a data directory that no server holds, with the configuration of `avow serve`, or through a server with
/// `--server`.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
pub(super) struct Release {
    #[command(flatten)]
    statement: StatementArguments,
}

#[derive(Debug, Args)]
struct StatementArguments {
    #[command(flatten)]
    target: Target,
    /// Say who wants it: kept sealed in the log
    #[arg(long, value_name = "NAME")]
    actor: String,
    /// Say why: kept sealed in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    world: WorldArguments,
    /// Ask the server at this URL, which holds the data, instead of opening them
    #[arg(long, value_name = "URL", conflicts_with_all = ["entry", "config", "data_dir", "listen", "set"])]
    server: Option<String>,
    #[command(flatten)]
    access: ServerAccess,
    /// Print JSON, an object on each line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceArguments,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// This session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Every session of this user that is known at the moment
    #[arg(long, value_name = "REFERENCE")]
    user: Option<String>,
    /// The body of this entry, which could not be read and belongs to no session
    #[arg(long, value_name = "SEQUENCE")]
    entry: Option<u64>,
}

pub(super) fn erase(arguments: &Erase) -> anyhow::Result<Verdict> {
    run(&arguments.statement, Statement::Erase)
}

pub(super) fn hold(arguments: &Hold) -> anyhow::Result<Verdict> {
    run(&arguments.statement, Statement::Hold)
}

pub(super) fn release(arguments: &Release) -> anyhow::Result<Verdict> {
    run(&arguments.statement, Statement::Release)
}

fn run(arguments: &StatementArguments, statement: Statement) -> anyhow::Result<Verdict> {
    let tell = |answer: &Answer| {
        output::data(&if arguments.json {
            serde_json::to_string(answer)?
        } else {
            text(answer)?
        })?;
        anyhow::Ok(())
    };
    // Each answer is told at once: if the next one fails, it is known what was done.
    let told = match &arguments.server {
        Some(server) => remote::state(server, arguments, statement, tell)?,
        None => local::state(arguments, statement, tell)?,
    };
    if told == 0 {
        bail!("no session of this world belongs to that user");
    }
    Ok(Verdict::Good)
}

impl StatementArguments {
    fn words(&self) -> Words {
        Words {
            actor: self.actor.clone(),
            reason: self.reason.clone(),
            token: None,
        }
    }
}

/// Says what became of a statement.
fn text(answer: &Answer) -> Result<String, fmt::Error> {
    let name = match (&answer.session, answer.entry) {
        (Some(session), _) => session.clone(),
        (None, entry) => format!("the body of entry {}", entry.unwrap_or_default()),
    };
    let sequence = answer.sequence;
    let before = if answer.duplicate {
        ", as stated before"
    } else {
        ""
    };
    let mut text = match answer.status {
        Status::Held => format!("{name} is held by entry {sequence}{before}\n"),
        Status::Released => format!("{name} is released by entry {sequence}\n"),
        Status::Waiting => {
            let hold = answer.hold.unwrap_or_default();
            format!(
                "{name} is to be erased by entry {sequence}{before}, once the hold of entry {hold} is released\n"
            )
        }
        Status::Done => format!("{name} is erased by entry {sequence}{before}\n"),
    };
    let Some(report) = &answer.report else {
        return Ok(text);
    };
    let (slot, payloads) = (report.key_slot, report.payloads);
    writeln!(text, "  done by entry {}", report.done_sequence)?;
    writeln!(
        text,
        "  overwritten: the key in slot {slot}, and {payloads} sealed payloads"
    )?;
    if !report.entries.is_empty() {
        let entries: Vec<String> = report.entries.iter().map(u64::to_string).collect();
        writeln!(text, "  of the entries: {}", entries.join(", "))?;
    }
    writeln!(text, "  in: {}", report.erased_in.join(", "))?;
    for remains in &report.remains {
        writeln!(text, "  left in {}: {}", remains.place, remains.what)?;
    }
    Ok(text)
}
