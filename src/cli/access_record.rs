//! `avow audit access`: who has had to do with what.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::Verdict;
use super::audit::open_vault;
use super::server_access::ServerAccess;
use crate::audit::access_record::access_record;
use crate::audit::source::Source;
use crate::config::secrets::master_key_in;
use crate::log::unsealer::Unsealer;

/// Tell who had to do with personal data and with what is kept, and what operators decided
///
/// One line for each override, erasure, hold, release, export and rebuild, for each change of the access tokens of a
/// running server, and for reads of personal data with a token, of which one entry stands for all of a minute. Read
/// from the entries themselves, which `avow audit verify` proves. With the master key, in the words of those who did
/// it. Read-only: reads a data directory, even one that a server holds, an export, or a server.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A data directory, a directory that `avow export` wrote, or the URL of a server
    source: String,
    /// Tell from this entry on [default: the first]
    #[arg(long, value_name = "SEQUENCE")]
    from: Option<u64>,
    /// Tell up to this entry [default: the last]
    #[arg(long, value_name = "SEQUENCE")]
    to: Option<u64>,
    /// Open what was said with this master key
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// Take keys from this copy of the vault [default: that of the data directory]
    #[arg(long, value_name = "FILE", requires = "master_key_file")]
    vault: Option<PathBuf>,
    #[command(flatten)]
    access: ServerAccess,
    /// Print JSON, an object on each line
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let (from, to) = (
        arguments.from.unwrap_or(0),
        arguments.to.unwrap_or(u64::MAX),
    );
    if from > to {
        bail!("`--from` lies behind `--to`");
    }
    let keys = arguments.keys()?;
    let access = arguments.access.read(&arguments.source)?;
    let source = Source::open(&arguments.source, Some(&access))?;
    let mut stdout = BufWriter::new(io::stdout().lock());
    access_record(&source, keys, &(from..=to), |row| {
        if arguments.json {
            serde_json::to_writer(&mut stdout, row)?;
            writeln!(stdout)
        } else {
            write!(stdout, "{row}")
        }
    })?;
    stdout.flush()?;
    Ok(Verdict::Good)
}

impl Arguments {
    fn keys(&self) -> anyhow::Result<Option<Unsealer>> {
        let Some(path) = &self.master_key_file else {
            return Ok(None);
        };
        let source = Path::new(&self.source);
        let master_key = master_key_in("--master-key-file", path, source)?;
        let vault = self.vault.clone().unwrap_or_else(|| source.join("vault"));
        let unsealer = Unsealer::new(open_vault(&vault)?, &master_key)
            .with_context(|| vault.display().to_string())?;
        Ok(Some(unsealer))
    }
}
