//! `avow config`: what is in effect, and whether it will do.

use clap::Args;

use super::sources::SourceArguments;
use super::{Verdict, output};
use crate::config::error::ConfigurationError;
use crate::config::sources::Sources;
use crate::config::{Configuration, reference};

/// Print the configuration in effect, where each value comes from, and whether `avow serve` accepts it
///
/// The output is TOML that can be used as the configuration file. Secrets are never shown: only whether they are set,
/// and the fingerprints of webhook secrets. Exits with 1 and a sentence on stderr if `avow serve` would refuse it.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    sources: SourceArguments,
    /// Print the reference of all settings instead, in Markdown
    #[arg(long)]
    reference: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    if arguments.reference {
        output::data(&reference::markdown())?;
        return Ok(Verdict::Good);
    }
    let shown = arguments.sources.with(show);
    match shown.map_err(anyhow::Error::downcast) {
        Ok(()) => Ok(Verdict::Good),
        // An unreadable file says nothing about the configuration: that is no finding, but no check.
        Err(Ok(error @ ConfigurationError::FileUnreadable { .. })) => Err(error.into()),
        Err(Ok(error)) => {
            output::talk(&format!("avow: {:#}", anyhow::Error::from(error)));
            Ok(Verdict::Found)
        }
        Err(Err(error)) => Err(error),
    }
}

fn show(sources: &Sources<'_>) -> anyhow::Result<()> {
    output::data(&reference::effective(sources)?)?;
    Configuration::load(sources)?;
    Ok(())
}
