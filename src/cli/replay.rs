//! `avow replay`: the log read again, entry by entry.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use state_machine::id::SessionId;

use super::horizon::HorizonArguments;
use super::named_user::{KeyArguments, parse_tag};
use super::server_access::ServerAccess;
use super::told::{Format, Told};
use super::{Verdict, what_if};
use crate::audit::replay::{Question, Selection, replay};
use crate::audit::replay_end::{SessionRow, UserRow};
use crate::audit::replay_step::StepRow;
use crate::audit::source::Source;

/// Tell the history of a session, a user or a range of the log, step by step
///
/// Each entry is told in the order in which it came, with the row of the transition table that its event met among what
/// was known then, and what it changed; then, how the sessions stand. Read-only: reads a data directory, even one that a
/// server holds, an export, or a server. Exits with 1 if there is nothing to tell; with `--policy`, if anybody would have
/// been answered otherwise.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A data directory, a directory that `avow export` wrote, or the URL of a server
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Tell of this session
    #[arg(long, value_name = "ID", conflicts_with_all = ["user", "tag", "from", "to"])]
    session: Option<String>,
    /// Tell of every session of this user; needs `--master-key-file`, since the log knows tags alone
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["tag", "from", "to"])]
    user: Option<String>,
    /// Tell of every session of the user with this tag
    #[arg(long, value_name = "TAG", conflicts_with_all = ["from", "to"])]
    tag: Option<String>,
    /// Tell from this entry on [default: the first]
    #[arg(long, value_name = "SEQUENCE")]
    from: Option<u64>,
    /// Tell up to this entry [default: the last]
    #[arg(long, value_name = "SEQUENCE")]
    to: Option<u64>,
    #[command(flatten)]
    horizon: HorizonArguments,
    /// Tell instead who would have been refused, or let in, and when, if the `[retry]` table of this TOML file had decided
    #[arg(long, value_name = "FILE", conflicts_with_all = ["session", "from", "to", "valid_at"])]
    policy: Option<PathBuf>,
    /// Print text for people, or a JSON object on each line
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    access: ServerAccess,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let question = Question {
        selection: selection(arguments)?,
        horizon: arguments.horizon.horizon()?,
    };
    let source = Source::open(
        &arguments.source,
        Some(&arguments.access.read(&arguments.source)?),
    )?;
    let mut told = Told::new(arguments.format);
    if let Some(file) = &arguments.policy {
        let only = match question.selection {
            Selection::User(tag) => Some(tag),
            Selection::Session(_) | Selection::Range(_) => None,
        };
        let verdict = what_if::tell(&source, file, (question.horizon.as_of, only), &mut told)?;
        told.end()?;
        return Ok(verdict);
    }
    let ended = replay(&source, &question, |step| told.row(&StepRow::of(step)))?;
    for (name, session) in &ended.sessions {
        told.row(&SessionRow::of(name, session))?;
    }
    if let Selection::User(tag) = question.selection {
        for row in UserRow::all_of(tag, &ended) {
            told.row(&row)?;
        }
    }
    let has_rows = told.rows > 0;
    told.end()?;
    Ok(Verdict::good_if(has_rows))
}

fn selection(arguments: &Arguments) -> anyhow::Result<Selection> {
    if let Some(id) = &arguments.session {
        let id = SessionId::parse(id).context("`--session` is no id")?;
        return Ok(Selection::Session(id));
    }
    if let Some(tag) = &arguments.tag {
        return Ok(Selection::User(parse_tag(tag)?));
    }
    if let Some(reference) = &arguments.user {
        let tag = arguments.keys.tag_of(&arguments.source, reference)?;
        return Ok(Selection::User(tag));
    }
    let (from, to) = (
        arguments.from.unwrap_or(0),
        arguments.to.unwrap_or(u64::MAX),
    );
    if from > to {
        bail!("`--from` lies behind `--to`");
    }
    Ok(Selection::Range(from..=to))
}
