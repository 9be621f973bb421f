//! `avow diff`: what changed between two moments, and why.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use state_machine::horizon::AsOf;
use state_machine::id::SessionId;

use super::named_user::{KeyArguments, parse_tag};
use super::server_access::ServerAccess;
use super::told::{Format, Told};
use super::{Verdict, policy_file};
use crate::audit::difference::{Between, difference};
use crate::audit::difference_row::DifferenceRow;
use crate::audit::replay::Selection;
use crate::audit::source::Source;
use crate::service::moment::{self, AS_OF_FORM};
use crate::system;

/// Print what changed between two moments: of each session and each user before, after and why
///
/// The moments are entries or times of our own knowledge: what was believed at the one is compared with what was believed
/// at the other, and the entries between are the reason. Of users, also their decisions at both. Read-only: reads a data
/// directory, even one that a server holds, an export, or a server. Exits with 0 if nothing changed, and with 1 if
/// something did.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A data directory, a directory that `avow export` wrote, or the URL of a server
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Compare what was known when the log ended with this entry, or at this time (RFC 3339, or `@` and Unix seconds)
    #[arg(long, value_name = "SEQUENCE|TIME")]
    from: String,
    /// with what was known then
    #[arg(long, value_name = "SEQUENCE|TIME")]
    to: String,
    /// Only this session, and its users
    #[arg(long, value_name = "ID", conflicts_with_all = ["user", "tag"])]
    session: Option<String>,
    /// Only this user, and their sessions; needs `--master-key-file`
    #[arg(long, value_name = "REFERENCE", conflicts_with = "tag")]
    user: Option<String>,
    /// Only the user with this tag, and their sessions
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Decide by the `[retry]` table of this TOML file where the log records no policy [default: the default settings]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print JSON, an object on each line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    access: ServerAccess,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let between = Between {
        from: moment_of("--from", &arguments.from)?,
        to: moment_of("--to", &arguments.to)?,
    };
    let selection = selection(arguments)?;
    let fallback = policy_file::read_or_default(arguments.policy.as_deref())?;
    let access = arguments.access.read(&arguments.source)?;
    let source = Source::open(&arguments.source, Some(&access))?;
    let difference = difference(&source, between, &selection, &fallback, system::now())?;

    let mut told = Told::new(if arguments.json {
        Format::Ndjson
    } else {
        Format::Text
    });
    for leaf in &difference.policies {
        told.row(&DifferenceRow::of_policy(leaf))?;
    }
    for (name, changed) in &difference.sessions {
        told.row(&DifferenceRow::of_session(name, changed))?;
    }
    for (name, changed) in &difference.users {
        told.row(&DifferenceRow::of_user(name, changed))?;
    }
    told.end()?;
    Ok(Verdict::good_if(difference.is_empty()))
}

fn moment_of(flag: &str, text: &str) -> anyhow::Result<AsOf> {
    moment::as_of(text).with_context(|| format!("`{flag}` is {AS_OF_FORM}"))
}

fn selection(arguments: &Arguments) -> anyhow::Result<Selection> {
    if let Some(id) = &arguments.session {
        let id = SessionId::parse(id).context("`--session` is no id")?;
        return Ok(Selection::Session(id));
    }
    if let Some(user) = &arguments.user {
        let tag = arguments.keys.tag_of(&arguments.source, user)?;
        return Ok(Selection::User(tag));
    }
    Ok(match &arguments.tag {
        Some(tag) => Selection::User(parse_tag(tag)?),
        None => Selection::Range(0..=u64::MAX),
    })
}
