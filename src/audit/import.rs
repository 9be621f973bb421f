//! Import: an export, and a copy of the vault, made a data directory again: the same entries, the same root.
//!
//! All of the export is checked before anything is written: each payload opens with its key, or an entry says that it was
//! erased, or it is told. What is written is opened and compared with what was signed.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use state_machine::id::SequenceNumber;
use state_machine::time::ReceivedAt;

use super::heads::Seen;
use super::import_check::{Checked, check};
use super::import_custody::Unexplained;
use super::manifest::{CHECKPOINTS, Manifest, ManifestError};
use super::source::{Source, SourceError, StoredEntry};
use super::tiles::Tiles;
use crate::log::import::{Import, ImportError as WriteError, ImportedVault};
use crate::log::keys::MasterKey;
use crate::log::leaf::LeafError;
use crate::log::unsealer::Unsealer;
use crate::log::vault::VaultError;
use crate::log::vault::copy::whole_copy;
use crate::log::vault::reader::VaultReader;
use crate::log::{self, Log, PayloadError};
use crate::projections::catch_up::catch_up;
use crate::projections::digest::ProjectionsDigest;
use crate::projections::live::Live;
use crate::projections::store::{REDUCER_VERSION, StoreError};
use crate::transparency::checkpoint::{Checkpoint, UnauthenticCheckpoint};
use crate::transparency::hash::TreeHead;
use crate::transparency::subtree::head_at;

/// What an import is made from.
pub struct Importing<'import> {
    /// The export.
    pub export: &'import Path,
    /// A copy of the log's vault.
    pub vault: &'import Path,
    /// The key that wraps the keys in it.
    pub master_key: &'import MasterKey,
    /// Where to.
    pub data_dir: &'import Path,
    /// Checkpoints of the log that others have seen.
    pub seen: &'import [Seen],
    /// Whether a log will do that ends before one of them.
    pub accepts_loss: bool,
    /// How the log is opened.
    pub options: log::Options,
    /// The cache of the projections.
    pub projections_cache_bytes: u64,
}

/// What an import came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Size and root, which are those of the export.
    pub tree: TreeHead,
    /// What the projections came to.
    pub digest: ProjectionsDigest,
    /// Whether that could be compared: it is what the export says, unless another version of the fold made that.
    pub digest_is_comparable: bool,
    /// What no entry of the log explains.
    pub unexplained: Unexplained,
    /// When the last entry was received.
    pub last_received_at: Option<ReceivedAt>,
}

/// Why nothing was imported, or not what was exported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It has no payloads.
    #[error(
        "the export has no payloads: no user could be named and no signature authenticated again; \
         export without `--without-payloads`"
    )]
    WithoutPayloads,
    /// It is not what its log signed.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A checkpoint is not the log's.
    #[error(transparent)]
    Checkpoint(#[from] UnauthenticCheckpoint),
    /// Checkpoint and manifest differ.
    #[error("the checkpoint is of another size or root than the manifest")]
    OtherCheckpoint,
    /// A checkpoint lies on another log.
    #[error("the entries do not hash to the checkpoint of size {0}")]
    OtherRoot(u64),
    /// A leaf cannot be read.
    #[error("entry {sequence}: {cause}")]
    Leaf {
        /// Which.
        sequence: u64,
        /// Why.
        cause: LeafError,
    },
    /// A leaf has another number than its place.
    #[error("entry {sequence} says that it is entry {says}")]
    OtherSequence {
        /// Its place.
        sequence: u64,
        /// Its number.
        says: u64,
    },
    /// A payload is not the one that its leaf names.
    #[error("the payload of entry {0} is not the one that its leaf names")]
    OtherPayload(u64),
    /// A payload does not open.
    #[error("the payload of entry {sequence}: {cause}")]
    Payload {
        /// Which entry's.
        sequence: u64,
        /// Why.
        cause: PayloadError,
    },
    /// What somebody has seen is no checkpoint of this log.
    #[error("{name}: {cause}")]
    Seen {
        /// What it is called.
        name: String,
        /// Why.
        cause: UnauthenticCheckpoint,
    },
    /// What somebody has seen is longer.
    #[error(
        "{name} is of {seen} entries, and here are {there}: what came between them would be lost; look for a later backup, \
         or accept the loss with `--accept-loss`"
    )]
    Behind {
        /// What it is called.
        name: String,
        /// Its size.
        seen: u64,
        /// How many entries there are.
        there: u64,
    },
    /// What somebody has seen lies on another log.
    #[error("{name} has another root than the entries here: the log was forked")]
    Forked {
        /// What it is called.
        name: String,
    },
    /// The vault could not be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The log could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The log was written, and does not open.
    #[error(transparent)]
    Open(#[from] log::OpenError),
    /// The projections cannot be folded.
    #[error(transparent)]
    Projections(#[from] StoreError),
    /// What was written has another root.
    #[error("the imported log does not have the root of the export")]
    ImportedOtherwise,
    /// Its projections come to something else.
    #[error("the projections come to {found}, and the export says {expected}")]
    OtherDigest {
        /// What they come to.
        found: String,
        /// What they came to.
        expected: String,
    },
}

impl ImportError {
    fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Io { path, source }
    }
}

/// What `import` is doing, and how much of how much is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Hashing files.
    Files(u64),
    /// Checking entries.
    Check(u64),
    /// Writing entries.
    Write(u64),
}

/// Imports an export into an empty directory.
pub fn import(
    importing: &Importing<'_>,
    mut progress: impl FnMut(&Manifest, Step),
) -> Result<Imported, ImportError> {
    let Importing {
        export,
        vault,
        master_key,
        data_dir,
        ..
    } = *importing;
    let (manifest, key) = Manifest::read(export)?;
    if !manifest.payloads {
        return Err(ImportError::WithoutPayloads);
    }
    check_length(importing, &manifest)?;
    manifest.check_files(export, |done| progress(&manifest, Step::Files(done)))?;
    let source = Source::Export(Tiles::of_export(export)?);
    let vault = Unsealer::new(VaultReader::open(&whole_copy(vault))?, master_key)?;
    let mut vault = ImportedVault::check(vault, &importing.options, &key)?;
    let told = (&mut vault, importing.seen);
    let checked = check(&source, &manifest, &key, told, |done| {
        progress(&manifest, Step::Check(done));
    })?;

    let mut log = Import::begin(data_dir, &vault, &importing.options)?;
    for chunk in source.chunks(true) {
        let chunk = chunk?;
        for StoredEntry { leaf, sealed } in &chunk.entries {
            log.append(leaf, sealed)?;
        }
        progress(&manifest, Step::Write(chunk.first));
    }
    let path = export.join(CHECKPOINTS);
    let mut checkpoints = File::open(&path).map_err(|source| ImportError::io(&path, source))?;
    log.finish(&mut checkpoints)?;
    compare(importing, &manifest, checked)
}

/// Refuses to go back behind what somebody has seen.
fn check_length(importing: &Importing<'_>, manifest: &Manifest) -> Result<(), ImportError> {
    for Seen { name, note } in importing.seen.iter().filter(|_| !importing.accepts_loss) {
        let checkpoint: Result<Checkpoint, _> = note.text().parse();
        let seen = checkpoint.map_or(0, |checkpoint| checkpoint.tree().size);
        if seen > manifest.size {
            let (name, there) = (name.clone(), manifest.size);
            return Err(ImportError::Behind { name, seen, there });
        }
    }
    Ok(())
}

/// Opens what was written, and compares it with what was exported.
fn compare(
    importing: &Importing<'_>,
    manifest: &Manifest,
    checked: Checked,
) -> Result<Imported, ImportError> {
    let checkpoint = &checked.checkpoint;
    let data_dir = importing.data_dir;
    let options = importing.options.clone();
    let (log, _) = Log::open(&data_dir.join("log"), importing.master_key, options)?;
    let tree = checkpoint.tree();
    let hashes = |level, range| log.hashes(level, &range);
    if !head_at(tree.size, hashes).is_ok_and(|found| found == tree) {
        return Err(ImportError::ImportedOtherwise);
    }
    if checkpoint.note().signatures().len() > 1 {
        // Witnesses have seen it, and it goes on being shown to whoever trusts them.
        let published = log.publish_cosigned(checkpoint.note().clone());
        published.map_err(|source| ImportError::io(data_dir, source))?;
    }
    let cache_bytes = importing.projections_cache_bytes;
    let directory = data_dir.join("projections");
    let projections = Live::open(&directory, cache_bytes, &log)?.0.store();
    let sequence = SequenceNumber(manifest.projections.sequence);
    let up_to_digest = |next: SequenceNumber| {
        let left = sequence.0.saturating_sub(next.0);
        (log.entries_from(next)).take(usize::try_from(left).unwrap_or(usize::MAX))
    };
    catch_up(&projections, up_to_digest, |_, _| {})?;
    let digest = projections.digest()?;
    let digest_is_comparable = manifest.projections.reducer_version == REDUCER_VERSION;
    if digest_is_comparable && digest.to_string() != manifest.projections.digest {
        return Err(ImportError::OtherDigest {
            found: digest.to_string(),
            expected: manifest.projections.digest.clone(),
        });
    }
    catch_up(&projections, |next| log.entries_from(next), |_, _| {})?;
    Ok(Imported {
        tree,
        digest,
        digest_is_comparable,
        unexplained: checked.unexplained,
        last_received_at: checked.last_received_at,
    })
}
