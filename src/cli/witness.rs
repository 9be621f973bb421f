//! `avow witness`: the other side, which an auditor runs elsewhere.

use std::future::pending;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::rt::System;
use clap::{Args, Subcommand};

use super::{Verdict, output, server, signal, trace};
use crate::config;
use crate::config::secrets::witness_seed_in;
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::system;
use crate::transparency::key::{KeyName, VerifierKey};
use crate::transparency::signing_key::CosigningKey;
use crate::witness::cosigner::Witness;
use crate::witness::server::serve;

/// Watch logs from elsewhere, and cosign what they never take back
///
/// A witness remembers of each log the last checkpoint that it saw, and cosigns the next one only if that continues it.
/// Whoever asks for its cosignature is then safe from a log that shows different histories to different people. Run it
/// where the log's operator has no access.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Serve),
    Vkey(Vkey),
}

/// Serve as a witness: take checkpoints, and answer cosignatures
///
/// Speaks C2SP tlog-witness. Prints `listening on http://ADDRESS` on stdout once it serves. SIGTERM and SIGINT stop it;
/// open requests are answered first.
#[derive(Debug, Args)]
struct Serve {
    #[command(flatten)]
    key: KeyArguments,
    /// Remember in this directory what was cosigned; whoever loses it begins again with another key
    #[arg(long, value_name = "DIR")]
    state_dir: PathBuf,
    /// Watch the log with this verifier key; repeatable
    #[arg(long, value_name = "VKEY", required = true)]
    log: Vec<VerifierKey>,
    /// Serve on this address; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8791")]
    listen: SocketAddr,
}

/// Print the verifier key of a witness, for policies
#[derive(Debug, Args)]
struct Vkey {
    #[command(flatten)]
    key: KeyArguments,
}

#[derive(Debug, Args)]
struct KeyArguments {
    /// Cosign under this name, such as `witness.example.com/avow`
    #[arg(long)]
    name: KeyName,
    /// Read the key from this file, which only its owner can read; `avow keys generate --out FILE` makes one
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    match &arguments.command {
        Command::Serve(arguments) => arguments.run()?,
        Command::Vkey(arguments) => {
            output::data(&arguments.key.read()?.verifier_key().to_string())?;
        }
    }
    Ok(Verdict::Good)
}

impl Serve {
    fn run(&self) -> anyhow::Result<()> {
        let sources = Sources {
            file: None,
            environment: &config::environment,
            command_line: &[],
        };
        let _spans = trace::start(&Settings::load(&sources)?.trace)?;
        let witness = Witness::open(
            self.key.read()?,
            self.log.clone(),
            &self.state_dir,
            system::now_seconds,
        )?;
        server::serve(
            &System::new(),
            self.listen,
            |listener| serve(Arc::new(witness), listener),
            pending(),
            |address| output::data(&format!("listening on http://{address}")),
            signal::stop,
        )
    }
}

impl KeyArguments {
    fn read(&self) -> anyhow::Result<CosigningKey> {
        let seed = witness_seed_in("--key-file", &self.key_file)?;
        Ok(CosigningKey::new(self.name.clone(), &seed))
    }
}
