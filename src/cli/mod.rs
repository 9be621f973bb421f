//! The command line: translates, calls, prints; decides nothing. Data goes to stdout, talk to stderr.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod access_record;
mod audit;
mod backup;
mod config;
mod custody;
mod demo;
mod diff;
mod digest;
mod doctor;
mod expiry;
mod explain;
mod explained_text;
mod export;
mod horizon;
mod import;
mod keys;
mod man;
mod named_user;
mod opened;
mod output;
mod overrides;
mod policy_file;
mod progress;
mod rebuild;
mod reload;
mod reloaded;
mod replay;
mod restore;
mod serve;
mod server;
mod server_access;
mod signal;
mod simulate;
pub mod simulation;
mod sources;
mod spans;
mod status;
mod tokens;
mod told;
mod trace;
mod what_if;
mod witness;
mod world;

/// Turn Stripe Identity webhooks into an answer that a company can act on and prove
///
/// Avow keeps every signed event that Stripe sends in an append-only log, folds the log into the standing of each user,
/// and answers who is verified, why, since when, and whether this person may try again.
///
/// Start with `avow demo`, which needs nothing. Exit codes: 0 good, 1 the check found something, 2 could not check;
/// `avow audit verify` has more.
#[derive(Debug, Parser)]
#[command(name = "avow", version, term_width = 80)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Arguments),
    Config(config::Arguments),
    Keys(keys::Arguments),
    Tokens(tokens::Arguments),
    Erase(custody::Erase),
    Hold(custody::Hold),
    Release(custody::Release),
    Override(overrides::Arguments),
    Status(status::Arguments),
    Doctor(doctor::Arguments),
    Digest(digest::Arguments),
    Rebuild(rebuild::Arguments),
    Export(export::Arguments),
    Import(import::Arguments),
    Backup(Box<backup::Arguments>),
    Restore(Box<restore::Arguments>),
    Audit(audit::Arguments),
    Replay(replay::Arguments),
    Explain(explain::Arguments),
    Diff(diff::Arguments),
    Simulate(simulate::Arguments),
    Demo(demo::Arguments),
    Witness(witness::Arguments),
    Man(man::Man),
    Completions(man::Completions),
}

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// All is well.
    Good,
    /// The check found something.
    Found,
    /// Something could not be checked, and nothing else was found.
    CouldNotCheck,
    /// An audit found two histories, or an older one than somebody has seen.
    ForkedOrRolledBack,
    /// An audit found what was to be erased.
    ErasureIncomplete,
    /// An audit found that nobody trusted stands for the log.
    UntrustedKey,
}

impl Verdict {
    fn good_if(is_good: bool) -> Self {
        if is_good { Self::Good } else { Self::Found }
    }

    fn exit_code(self) -> ExitCode {
        ExitCode::from(match self {
            Self::Good => 0,
            Self::Found => 1,
            Self::CouldNotCheck => 2,
            Self::ForkedOrRolledBack => 3,
            Self::ErasureIncomplete => 4,
            Self::UntrustedKey => 5,
        })
    }
}

/// Runs a command, and returns its exit code.
pub fn run(arguments: Arguments) -> ExitCode {
    let verdict = match arguments.command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Tokens(arguments) => tokens::run(&arguments),
        Command::Erase(arguments) => custody::erase(&arguments),
        Command::Hold(arguments) => custody::hold(&arguments),
        Command::Release(arguments) => custody::release(&arguments),
        Command::Override(arguments) => overrides::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Digest(arguments) => digest::run(&arguments),
        Command::Rebuild(arguments) => rebuild::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Backup(arguments) => backup::run(&arguments),
        Command::Restore(arguments) => restore::run(&arguments),
        Command::Audit(arguments) => audit::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Witness(arguments) => witness::run(&arguments),
        Command::Man(arguments) => man::man(&arguments),
        Command::Completions(arguments) => man::completions(&arguments),
    };
    match verdict {
        Ok(verdict) => verdict.exit_code(),
        Err(error) => {
            output::talk(&format!("avow: {error:#}"));
            ExitCode::from(2)
        }
    }
}
