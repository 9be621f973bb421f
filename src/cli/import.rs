//! `avow import`: an export made a data directory again.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use state_machine::time::Timestamp;

use super::progress::Bar;
use super::sources::SourceArguments;
use super::{Verdict, output};
use crate::audit::heads::Seen;
use crate::audit::import::{Imported, Importing, Step, import};
use crate::config::secrets::master_key_in;
use crate::config::settings::Settings;
use crate::log::entry::SubjectName;
use crate::service::moment::moment;
use crate::system;

/// Import an export into an empty data directory: the same entries, the same root, the same digest
///
/// All of the export is checked before anything is written: the log's signature, every file, the tree, every checkpoint,
/// and that every payload opens. The keys are not in an export: give a copy of the vault that is no older. What was erased
/// stays erased, even where an older vault still has its key. Prints root and digest, which are those of the export. Exits
/// with 1 if something is left to do, which is told.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory that `avow export` wrote
    #[arg(value_name = "EXPORT")]
    export: PathBuf,
    #[command(flatten)]
    import: ImportArguments,
}

/// The keys, and where to.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
pub(super) struct ImportArguments {
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
    tell(&arguments.import.import(&arguments.export, &[], false)?)
}

impl ImportArguments {
    /// Makes a data directory of an export that ends no earlier than what was seen, unless that is accepted.
    pub(super) fn import(
        &self,
        export: &Path,
        seen: &[Seen],
        accepts_loss: bool,
    ) -> anyhow::Result<Imported> {
        let settings = self.sources.with(Settings::load)?;
        let data_dir = settings.server.data_dir.as_deref();
        let data_dir = data_dir.context("no data directory is set; give `--data-dir DIR`")?;
        let key_file = &self.master_key_file;
        let importing = Importing {
            export,
            vault: &self.vault,
            master_key: &master_key_in("--master-key-file", key_file, data_dir)?,
            data_dir,
            seen,
            accepts_loss,
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
        Ok(imported)
    }
}

/// Says what an import came to, and what is left to do.
pub(super) fn tell(imported: &Imported) -> anyhow::Result<Verdict> {
    let Imported {
        tree,
        digest,
        digest_is_comparable,
        unexplained,
        last_received_at,
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
    if let Some(last) = last_received_at {
        output::talk(&format!(
            "the last entry was received at {}: have Stripe deliver again what came since, and carry out again what was \
             erased since",
            moment(Timestamp(last.0.div_euclid(1000)))
        ));
    }
    let mut is_done = true;
    for subject in unexplained.without_key() {
        is_done = false;
        output::talk(&format!(
            "the key of {} is destroyed, and no entry says why: it was erased later, so erase it again: `avow erase {}`",
            name_of(subject),
            flags_of(subject)
        ));
    }
    let missing = unexplained.without_payload().count();
    if missing > 0 {
        is_done = false;
        output::talk(&format!(
            "{missing} payloads are missing that no entry says were erased; `avow audit verify` names them"
        ));
    }
    Ok(Verdict::good_if(is_done))
}

fn name_of(subject: &SubjectName) -> String {
    match subject {
        SubjectName::Session(_, session) => session.to_string(),
        SubjectName::Entry(sequence) => format!("entry {sequence}"),
    }
}

/// Returns the flags by which `avow erase` knows a subject.
fn flags_of(subject: &SubjectName) -> String {
    match subject {
        SubjectName::Session(world, session) => {
            let account = world
                .account
                .as_ref()
                .map_or("", |account| account.as_str());
            let livemode = world.livemode;
            format!("--session {session} --livemode {livemode} --account '{account}'")
        }
        SubjectName::Entry(sequence) => format!("--entry {sequence}"),
    }
}
