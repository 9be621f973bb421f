//! `avow keys`: secrets from the system's random source, and another master key for a log that has one.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::{Verdict, output};
use crate::config::secrets::master_key_in;
use crate::log::vault::rotation::{Rotated, rotate_master_key};
use crate::system;

/// Make keys, and change the master key
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(Generate),
    Rotate(Rotate),
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

/// Change the master key: wrap every key in the vault under another one
///
/// Stop the service first. Nothing in the log changes, and every payload opens as before. If this is interrupted, run it
/// again with the same keys. Copies of the vault that were made before still open with the old key: destroy them with it.
#[derive(Debug, Args)]
struct Rotate {
    /// The service's data directory (setting `data_dir`)
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The file that holds the master key so far
    #[arg(long, value_name = "OLD")]
    master_key_file: PathBuf,
    /// The file that holds the master key to change to; `avow keys generate --out NEW` makes one
    #[arg(long, value_name = "NEW")]
    new_master_key_file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    match &arguments.command {
        Command::Generate(arguments) => generate(arguments)?,
        Command::Rotate(arguments) => rotate(arguments)?,
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

fn generate(generate: &Generate) -> anyhow::Result<()> {
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
    Ok(())
}

fn rotate(rotate: &Rotate) -> anyhow::Result<()> {
    let Rotate {
        data_dir,
        master_key_file,
        new_master_key_file,
    } = rotate;
    let old = master_key_in("--master-key-file", master_key_file, data_dir)
        .context("the old key cannot be used")?;
    let new = master_key_in("--new-master-key-file", new_master_key_file, data_dir)
        .context("the new key cannot be used")?;
    let done = match rotate_master_key(data_dir, &old, &new, system::fill_random)? {
        Rotated::Rewrapped { keys } => format!("wrapped {keys} keys under the new master key"),
        Rotated::AlreadyDone => "the new master key is the vault's already".to_owned(),
    };
    output::talk(&format!(
        "{done}; give it to the service, and destroy the old one and every copy of the vault that was made before"
    ));
    Ok(())
}

pub(super) fn write_new(path: &Path, key: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    writeln!(file, "{key}")?;
    file.sync_all()
}
