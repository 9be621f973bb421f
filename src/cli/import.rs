//! `avow import`: an export made a data directory again.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::progress::Bar;
use super::sources::SourceArguments;
use super::{Verdict, output};
use crate::audit::import::{Imported, Importing, Step, import};
use crate::config::secrets::master_key_in;
use crate::config::settings::Settings;
use crate::system;

/// Import an export into an empty data directory: the same entries, the same root, the same digest
///
/// All of the export is checked before anything is written: the log's signature, every file, the tree, every checkpoint,
/// and every payload. The keys are not in an export: give a copy of the vault that is no older. What was erased stays
/// erased, even where an older vault still has its key. Prints root and digest, which are those of the export.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory that `avow export` wrote
    #[arg(value_name = "EXPORT")]
    export: PathBuf,
    /// A copy of the log's vault: the file `vault` of the data directory
    #[arg(long, value_name = "FILE")]
    vault: PathBuf,
    /// The file that holds the vault's master key
    #[arg(long, value_name = "FILE")]
    master_key_file: PathBuf,
    #[command(flatten)]
    sources: SourceArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let settings = arguments.sources.with(Settings::load)?;
    let data_dir = settings.server.data_dir.as_deref();
    let data_dir = data_dir.context("no data directory is set; give `--data-dir DIR`")?;
    let key_file = &arguments.master_key_file;
    let importing = Importing {
        export: &arguments.export,
        vault: &arguments.vault,
        master_key: &master_key_in("--master-key-file", key_file, data_dir)?,
        data_dir,
        options: settings.log_options(system::fill_random, system::now),
        projections_cache_bytes: settings.projections.cache_bytes,
    };
    let bar = Bar::of("steps");
    let imported = import(&importing, |manifest, step| {
        let files = u64::try_from(manifest.files.len()).unwrap_or(u64::MAX);
        let done = match step {
            Step::Files(done) => done,
            Step::Check(done) => files + done,
            Step::Write(done) => files + manifest.size + done,
        };
        bar.set(done, files + 2 * manifest.size);
    })?;
    bar.finish();
    let Imported {
        tree,
        digest,
        digest_is_comparable,
    } = imported;
    output::data(&format!(
        "root {} of {} entries\ndigest {digest} of the first {}",
        tree.root, tree.size, digest.sequence
    ))?;
    if !digest_is_comparable {
        output::talk(
            "the export's digest was made by another version of the fold, and is not compared",
        );
    }
    Ok(Verdict::Good)
}
