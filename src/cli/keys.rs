//! `avow keys`: secrets from the system's random source.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::{Verdict, output};
use crate::system;

/// Make keys
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(Generate),
}

/// Make a master key: 64 hexadecimal digits from the system's random source
///
/// Keep a copy of it apart from the data: without it no payload can be opened again.
#[derive(Debug, Args)]
struct Generate {
    /// Write to this new file, which only its owner can read, instead of to stdout; never overwrite one
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make a webhook secret for tests and simulations instead; Stripe makes the real ones
    #[arg(long)]
    webhook_secret: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let Command::Generate(generate) = &arguments.command;
    let key = if generate.webhook_secret {
        webhook_secret()?
    } else {
        master_key()?
    };
    match &generate.out {
        None => output::data(&key)?,
        Some(path) => {
            write_new(path, &key).with_context(|| format!("{} is not written", path.display()))?;
            let advice = if generate.webhook_secret {
                ""
            } else {
                "; keep a copy of it apart from the data"
            };
            output::talk(&format!("wrote {}{advice}", path.display()));
        }
    }
    Ok(Verdict::Good)
}

/// Returns 64 random hexadecimal digits.
pub(super) fn master_key() -> anyhow::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; 32]);
    system::fill_random(bytes.as_mut_slice())?;
    Ok(Zeroizing::new(hex::encode(bytes.as_slice())))
}

/// Returns a random secret in Stripe's shape.
pub(super) fn webhook_secret() -> anyhow::Result<Zeroizing<String>> {
    Ok(Zeroizing::new(format!("whsec_{}", *master_key()?)))
}

fn write_new(path: &Path, key: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{key}")?;
    file.sync_all()
}
