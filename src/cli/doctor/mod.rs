//! `avow doctor`: looks whether a service is as it should be, and says what mends it.

mod residue;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::progress::Bar;
use super::server_access::ServerAccess;
use super::sources::SourceArguments;
use super::{Verdict, output};
use crate::client::Access;
use crate::config::error::ConfigurationError;
use crate::config::secrets::{master_key, master_key_in};
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::doctor::finding::{Finding, Findings, Status};
use crate::doctor::{Request, examine};

/// Check a service, and say for each part what is wrong and which command mends it
///
/// Looks at the configuration, the permissions, the disk, the journal with sled and the index behind it, the clock, the
/// vault, the checkpoints and the projections. Changes nothing, and needs no server to be stopped; what a server keeps it
/// from seeing is asked of it with `--server`. `--thorough` reads everything, as `avow audit verify` does.
///
/// `--residue` searches every file for what should be gone instead: the wrapped keys and the sealed payloads of erased
/// sessions. What lies in sled's own files is expected there as long as its key is gone, and is counted.
///
/// Exits with 1 if something is wrong, and with 2 if something could not be checked and nothing else is wrong.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    sources: SourceArguments,
    /// Ask this server whether it is ready, and what time it has
    #[arg(long, value_name = "URL", conflicts_with = "residue")]
    server: Option<String>,
    #[command(flatten)]
    access: ServerAccess,
    /// Read every entry and everything that follows from it
    #[arg(long, conflicts_with = "residue")]
    thorough: bool,
    /// Search for remains of what was erased instead
    #[arg(long)]
    residue: bool,
    /// The file that holds the master key [default: as configured]
    #[arg(long, value_name = "FILE", requires = "residue")]
    master_key_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    if arguments.residue {
        return arguments
            .sources
            .with(|sources| residue(arguments, sources));
    }
    let access = match &arguments.server {
        Some(server) => arguments.access.read(server)?,
        None => Access::default(),
    };
    let bar = Bar::of("entries");
    let findings = arguments.sources.with(|sources| {
        let request = Request {
            sources,
            flags: arguments.sources.as_flags(),
            server: arguments.server.clone(),
            access,
            thorough: arguments.thorough,
        };
        examine(&request, &mut |read, size| bar.set(read, size))
    });
    bar.finish();
    output::data(&if arguments.json {
        let findings = findings.all();
        serde_json::to_string_pretty(&json!({ "object": "examination", "findings": findings }))?
    } else {
        findings.all().iter().map(line).collect()
    })?;
    Ok(verdict_of(&findings))
}

fn verdict_of(findings: &Findings) -> Verdict {
    if findings.has(Status::Wrong) {
        Verdict::Found
    } else if findings.has(Status::NotChecked) {
        Verdict::CouldNotCheck
    } else {
        Verdict::Good
    }
}

fn line(finding: &Finding) -> String {
    let Finding {
        part,
        status,
        what,
        command,
    } = finding;
    let mark = match status {
        Status::Good => '✓',
        Status::Note => '!',
        Status::Wrong => '✗',
        Status::NotChecked => '?',
    };
    let command = command.as_ref().map(|command| format!("    {command}\n"));
    format!("{mark} {part}: {what}\n{}", command.unwrap_or_default())
}

fn residue(arguments: &Arguments, sources: &Sources<'_>) -> anyhow::Result<Verdict> {
    let settings = Settings::load(sources)?;
    let data_dir = settings.server.data_dir.as_deref();
    let data_dir = data_dir.ok_or(ConfigurationError::DataDirMissing)?;
    let configured = settings.server.master_key_file.as_deref();
    let master_key = match &arguments.master_key_file {
        Some(file) => master_key_in("--master-key-file", file, data_dir),
        None => master_key(configured, Some(data_dir), sources.environment),
    }?;
    residue::run(data_dir, &master_key, arguments.json)
}
