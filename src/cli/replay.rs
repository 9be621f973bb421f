//! `avow replay`: the log read again, entry by entry.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use state_machine::id::{SessionId, UserTag};

use super::Verdict;
use super::horizon::HorizonArguments;
use super::server_access::ServerAccess;
use crate::audit::replay::{Question, Selection, replay};
use crate::audit::replay_end::{SessionRow, UserRow};
use crate::audit::replay_step::StepRow;
use crate::audit::source::Source;
use crate::config::secrets::master_key_in;
use crate::log::unsealer::Unsealer;
use crate::log::vault::reader::VaultReader;
use crate::stripe::user_reference::UserReference;

/// Tell the history of a session, a user or a range of the log, step by step
///
/// Each entry is told in the order in which it came, with the row of the transition table that its event met among what
/// was known then, and what it changed; then, how the sessions stand. Read-only: reads a data directory, even one that a
/// server holds, an export, or a server. Exits with 1 if there is nothing to tell.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A data directory, a directory that `avow export` wrote, or the URL of a server
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Tell of this session
    #[arg(long, value_name = "ID", conflicts_with_all = ["user", "tag", "from", "to"])]
    session: Option<String>,
    /// Tell of every session of this user; needs `--vault` and `--master-key-file`, since the log knows tags alone
    #[arg(long, value_name = "REFERENCE", conflicts_with_all = ["tag", "from", "to"], requires_all = ["vault", "master_key_file"])]
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
    /// Print text for people, or a JSON object on each line
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The log's vault, or a copy of it: the file `vault` of the data directory
    #[arg(long, value_name = "FILE", requires = "master_key_file")]
    vault: Option<PathBuf>,
    /// The file that holds the vault's master key
    #[arg(long, value_name = "FILE", requires = "vault")]
    master_key_file: Option<PathBuf>,
    #[command(flatten)]
    access: ServerAccess,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Ndjson,
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
    let mut told = Told {
        to: BufWriter::new(io::stdout().lock()),
        format: arguments.format,
        rows: 0,
    };
    let ended = replay(&source, &question, |step| told.row(&StepRow::of(step)))?;
    for (name, session) in &ended.sessions {
        told.row(&SessionRow::of(name, session))?;
    }
    if let Selection::User(tag) = question.selection {
        for row in UserRow::all_of(tag, &ended) {
            told.row(&row)?;
        }
    }
    told.to.flush()?;
    Ok(Verdict::good_if(told.rows > 0))
}

/// What is printed.
struct Told<W: Write> {
    to: W,
    format: Format,
    rows: u64,
}

impl<W: Write> Told<W> {
    fn row(&mut self, row: &(impl Serialize + Display)) -> io::Result<()> {
        self.rows += 1;
        match self.format {
            Format::Text => write!(self.to, "{row}"),
            Format::Ndjson => {
                serde_json::to_writer(&mut self.to, row)?;
                writeln!(self.to)
            }
        }
    }
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
        return Ok(Selection::User(tag_of(arguments, reference)?));
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

fn parse_tag(text: &str) -> anyhow::Result<UserTag> {
    let mut tag = [0; 16];
    let digits = text
        .strip_prefix("tag_")
        .context("`--tag` is `tag_` and 32 hexadecimal digits")?;
    hex::decode_to_slice(digits, &mut tag)
        .context("`--tag` is `tag_` and 32 hexadecimal digits")?;
    Ok(UserTag(tag))
}

fn tag_of(arguments: &Arguments, reference: &str) -> anyhow::Result<UserTag> {
    let (Some(vault), Some(key_file)) = (&arguments.vault, &arguments.master_key_file) else {
        bail!("`--user` needs `--vault` and `--master-key-file`");
    };
    let reference = UserReference::new(reference).context("`--user` is no user reference")?;
    let key = master_key_in("--master-key-file", key_file, arguments.source.as_ref())?;
    let unsealer = Unsealer::new(VaultReader::open(vault)?, &key)?;
    Ok(unsealer.user_tag(&reference))
}
