//! `avow audit`: whether a log is what it says.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::progress::Bar;
use super::server_access::ServerAccess;
use super::{Verdict, access_record, output};
use crate::audit::auditor::{Request, audit};
use crate::audit::finding::Class;
use crate::audit::heads::Seen;
use crate::audit::payload_check::Keys;
use crate::config::secrets::master_key_in;
use crate::log::unsealer::Unsealer;
use crate::log::vault::reader::VaultReader;
use crate::stripe::secret::Secrets;
use crate::transparency::key::VerifierKey;
use crate::transparency::note::Note;
use crate::transparency::policy::Policy;

/// Prove that a log was not changed, cut, reordered or forked; tell who had to do with it
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Verify(Box<Verify>),
    Access(access_record::Arguments),
}

/// Audit a data directory, an export or a server, and change nothing
///
/// Hashes every entry anew and holds the result against every checkpoint that the log recorded and every one that you
/// kept; compares the stored tree, the payloads and what was erased; folds the projections again and compares them with
/// what is served. A data directory can be audited while the service runs.
///
/// Without `--vkey` or `--policy` the key is the log's own word (the report says so): an audit then finds damage and
/// contradictions, but not a log that was replaced as a whole. Keep checkpoints elsewhere, and tell them with `--seen`.
///
/// Exit codes, the gravest first: 5 the checkpoint is not by a key that you trust; 3 the log was forked or rolled back;
/// 1 something was tampered with; 4 an erasure is incomplete; 2 something could not be checked; 0 nothing was found.
#[derive(Debug, Args)]
struct Verify {
    /// A data directory (setting `data_dir`), a directory that `avow export` wrote, or the URL of a server
    source: String,
    /// Trust the log with this verifier key, as its operator published it
    #[arg(long, value_name = "KEY", conflicts_with = "policy")]
    vkey: Option<VerifierKey>,
    /// Trust the logs, and ask for the witnesses, that this tlog-policy names
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Hold the log against this checkpoint, which you kept; give it for each
    #[arg(long, value_name = "FILE")]
    seen: Vec<PathBuf>,
    /// Open payloads with this master key, too
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// Take keys from this copy of the vault [default: that of the data directory]
    #[arg(long, value_name = "FILE")]
    vault: Option<PathBuf>,
    /// Authenticate Stripe's signatures again, with these webhook secrets; needs the master key
    #[arg(long, value_name = "FILE", requires = "master_key_file")]
    webhook_secrets_file: Option<PathBuf>,
    #[command(flatten)]
    access: ServerAccess,
    /// Do not look at payloads
    #[arg(long)]
    no_payloads: bool,
    /// Do not fold the projections again
    #[arg(long)]
    no_projections: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    match &arguments.command {
        Command::Verify(arguments) => verify(arguments),
        Command::Access(arguments) => access_record::run(arguments),
    }
}

fn verify(arguments: &Verify) -> anyhow::Result<Verdict> {
    let access = arguments.access.read(&arguments.source)?;
    let request = arguments.request()?;
    let bar = Bar::of("entries");
    let report = audit(
        &arguments.source,
        Some(&access),
        request,
        &mut |read, size| {
            bar.set(read, size);
        },
    );
    bar.finish();
    output::data(&if arguments.json {
        serde_json::to_string_pretty(&report)?
    } else {
        report.to_string()
    })?;
    Ok(report.gravest().map_or(Verdict::Good, verdict_of))
}

fn verdict_of(class: Class) -> Verdict {
    match class {
        Class::UntrustedKey => Verdict::UntrustedKey,
        Class::ForkedOrRolledBack => Verdict::ForkedOrRolledBack,
        Class::Tampered => Verdict::Found,
        Class::ErasureIncomplete => Verdict::ErasureIncomplete,
        Class::CouldNotCheck => Verdict::CouldNotCheck,
    }
}

impl Verify {
    fn request(&self) -> anyhow::Result<Request> {
        let policy = match (&self.vkey, &self.policy) {
            (Some(key), _) => Some(Policy::of_log(key.clone())),
            (None, Some(path)) => {
                let policy = fs::read(path).with_context(|| path.display().to_string())?;
                Some(Policy::parse(&policy).with_context(|| path.display().to_string())?)
            }
            (None, None) => None,
        };
        Ok(Request {
            policy,
            seen: self
                .seen
                .iter()
                .map(|path| seen(path))
                .collect::<anyhow::Result<_>>()?,
            keys: self.keys()?,
            vault: self.vault.as_deref().map(open_vault).transpose()?,
            payloads: !self.no_payloads,
            projections: !self.no_projections,
        })
    }

    fn keys(&self) -> anyhow::Result<Keys> {
        let Some(path) = &self.master_key_file else {
            return Ok(Keys::default());
        };
        let source = Path::new(&self.source);
        let master_key = master_key_in("--master-key-file", path, source)?;
        let vault = self.vault.clone().unwrap_or_else(|| source.join("vault"));
        let unsealer = Unsealer::new(open_vault(&vault)?, &master_key)
            .with_context(|| vault.display().to_string())?;
        let secrets = self
            .webhook_secrets_file
            .as_deref()
            .map(|path| Secrets::parse(&read(path)?).with_context(|| path.display().to_string()));
        Ok(Keys {
            unsealer: Some(unsealer),
            secrets: secrets.transpose()?,
        })
    }
}

pub(super) fn open_vault(path: &Path) -> anyhow::Result<VaultReader> {
    VaultReader::open(path).with_context(|| path.display().to_string())
}

/// Reads a checkpoint that somebody kept.
pub(super) fn seen(path: &Path) -> anyhow::Result<Seen> {
    let name = path.display().to_string();
    let note = fs::read(path).with_context(|| name.clone())?;
    let note = Note::parse(&note).with_context(|| name.clone())?;
    Ok(Seen { name, note })
}

fn read(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    Ok(Zeroizing::new(text))
}
