//! `avow digest`: one hash over the projections.

use clap::Args;

use super::sources::SourceArguments;
use super::{Verdict, opened, output};
use crate::config::Configuration;

/// Print one hash over everything that is folded from the log
///
/// Two folds of the same entries have the same digest, whenever and wherever they were made: after a rebuild, an import
/// or on another machine. Prints the number of entries folded, and the digest. Works on a data directory that no server
/// holds, with the configuration of `avow serve`; a server tells its own at `/v1/digest`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    sources: SourceArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let configuration = arguments.sources.with(Configuration::load)?;
    let service = opened::open(configuration, "ask it for `/v1/digest`")?;
    let digest = service.digest()?;
    output::data(&format!("{} {digest}", digest.sequence))?;
    Ok(Verdict::Good)
}
