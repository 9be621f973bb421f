//! `avow serve`: the service itself.

use clap::Args;

use super::sources::SourceArguments;
use super::{Verdict, output, server, signal, trace};
use crate::config::Configuration;

/// Serve: take Stripe's webhooks, keep them, and answer who is verified and who may try again
///
/// Prints `listening on http://ADDRESS` (or https) on stdout once it serves. Needs a data directory, a master key and a
/// webhook secret; `avow config` shows what is set. SIGTERM and SIGINT stop it: deliveries that were accepted are
/// committed and answered first. On SIGHUP, or when their files change, it takes anew: access tokens, webhook secrets, the
/// certificate, and the retry policy. What cannot be used leaves in force what was.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    sources: SourceArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let configuration = arguments.sources.with(Configuration::load)?;
    let _spans = trace::start(&configuration.settings.trace)?;
    let scheme = match configuration.certificate {
        Some(_) => "https",
        None => "http",
    };
    let started = |address| output::data(&format!("listening on {scheme}://{address}"));
    server::run(
        configuration,
        Some(&arguments.sources),
        started,
        signal::stop,
    )?;
    Ok(Verdict::Good)
}
