//! Export: a log in a directory of its own, signed by the log, for whoever audits it or carries it elsewhere.
//!
//! Writes go on meanwhile. What is exported is what one checkpoint covers, in the memory of one bundle of entries and of
//! the list of files, some hundred bytes for each 256 entries.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::export_directory::ExportDirectory;
use super::export_entries::ExportEntries;
use super::manifest::{CHECKPOINT, CHECKPOINTS, FORMAT, Manifest, Projected};
use super::source::SourceError;
use crate::log::leaf::LeafError;
use crate::log::vault::VaultError;
use crate::service::evidence::EvidenceError;
use crate::service::read::ReadError;
use crate::transparency::bundle::{self, BundleError};
use crate::transparency::checkpoint::{SignedCheckpoint, UnauthenticCheckpoint};
use crate::transparency::export::ManifestHash;
use crate::transparency::hash::TreeHead;
use crate::transparency::key::VerifierKey;
use crate::transparency::note::Note;
use crate::transparency::payload_bundle;
use crate::transparency::tile::{EntryBundle, entry_bundles};

/// How long to wait for a checkpoint that covers more.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// How often to ask: for longer than a cosigned checkpoint stands for later ones. A payload that is gone without an
/// erasure is no reason to wait for ever.
const ASK_MAX: u32 = 400;

/// A log that can be exported: one that is open here, or one behind a server.
pub trait ExportSource {
    /// Returns the key by which the log's notes are authenticated.
    fn verifier_key(&self) -> Result<VerifierKey, ExportError>;
    /// Returns what the projections come to.
    fn projected(&self) -> Result<Projected, ExportError>;
    /// Returns the published checkpoint.
    fn checkpoint(&self) -> Result<Note, ExportError>;
    /// Writes every checkpoint up to a size, as the log keeps them.
    fn write_checkpoints(&self, through: u64, to: &mut dyn Write) -> Result<(), ExportError>;
    /// Returns the bytes of an entry bundle.
    fn leaves(&self, bundle: EntryBundle) -> Result<Vec<u8>, ExportError>;
    /// Returns the bytes of the payloads of a bundle's entries.
    fn payloads(&self, bundle: EntryBundle) -> Result<Vec<u8>, ExportError>;
    /// Has the log sign a manifest.
    fn sign(&self, manifest: &ManifestHash) -> Result<Note, ExportError>;
}

/// Why a log was not exported. What is left in the directory has no signed manifest.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// Something is there already.
    #[error("{} is not empty; an export is written into a directory of its own", .0.display())]
    NotEmpty(PathBuf),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The server gave no usable answer.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] EvidenceError),
    /// The projections could not be read.
    #[error(transparent)]
    Projections(#[from] ReadError),
    /// The log's key could not be had.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The checkpoint is not the log's.
    #[error(transparent)]
    Checkpoint(#[from] UnauthenticCheckpoint),
    /// A bundle has more or less than its entries.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A leaf cannot be read.
    #[error("entry {sequence}: {cause}")]
    Leaf {
        /// Which.
        sequence: u64,
        /// Why.
        cause: LeafError,
    },
    /// A leaf is longer than a bundle holds.
    #[error("the leaf of entry {sequence} is longer than the layout allows")]
    LeafTooLong {
        /// Which.
        sequence: u64,
    },
    /// The entries do not hash to what the log signed.
    #[error("the entries do not hash to the root of the checkpoint of size {0}")]
    OtherRoot(u64),
    /// An earlier backup has more entries than the log.
    #[error(
        "the log has {there} entries, and the backup {kept}: an older log was put back, or this is another one"
    )]
    Behind {
        /// How many the log's checkpoint covers.
        there: u64,
        /// How many the backup has.
        kept: u64,
    },
    /// An earlier backup is of another log.
    #[error("the backup is of another log: its key is {kept}, and this one's is {there}")]
    OtherLog {
        /// The log's key.
        there: Box<VerifierKey>,
        /// The backup's.
        kept: Box<VerifierKey>,
    },
    /// No checkpoint covers what the projections have folded.
    #[error("no checkpoint covers entry {0}, which the projections have folded; export again")]
    NotCovered(u64),
}

impl ExportError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Io { path, source }
    }
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Its checkpoint's head.
    pub tree: TreeHead,
    /// What the projections came to.
    pub projected: Projected,
    /// Whether payloads are missing that no entry of it says were erased.
    pub is_incomplete: bool,
}

/// Exports a log into an empty directory. `progress` is told how many entries of how many are done.
pub fn export(
    source: &impl ExportSource,
    directory: &Path,
    with_payloads: bool,
    progress: impl FnMut(u64, u64),
) -> Result<Exported, ExportError> {
    let entries = ExportEntries::new(with_payloads);
    export_into(
        source,
        ExportDirectory::begin(directory)?,
        entries,
        progress,
    )
}

/// Exports a log into files that may share those of an earlier export.
pub(super) fn export_into(
    source: &impl ExportSource,
    mut files: ExportDirectory,
    mut entries: ExportEntries,
    mut progress: impl FnMut(u64, u64),
) -> Result<Exported, ExportError> {
    let with_payloads = entries.with_payloads();
    let key = source.verifier_key()?;
    // Before the checkpoint, which is to cover it.
    let projected = source.projected()?;
    let mut asked = 0;
    let checkpoint = loop {
        let checkpoint = SignedCheckpoint::authenticate(source.checkpoint()?, &key)?;
        let tree = checkpoint.tree();
        copy(source, tree.size, &mut entries, &mut files, &mut progress)?;
        if entries.head() != tree {
            return Err(ExportError::OtherRoot(tree.size));
        }
        // A payload that was erased since the checkpoint is gone, and the entry that says so lies behind it.
        let is_covered = tree.size >= projected.sequence;
        if (is_covered && entries.explains_what_is_gone()) || asked == ASK_MAX {
            break checkpoint;
        }
        asked += 1;
        thread::sleep(ASK_AGAIN);
    };
    let tree = checkpoint.tree();
    if tree.size < projected.sequence {
        return Err(ExportError::NotCovered(projected.sequence));
    }
    let is_incomplete = !entries.explains_what_is_gone();
    entries.finish(&mut files)?;
    files.write(CHECKPOINT, checkpoint.note().to_string().as_bytes())?;
    files.write_with(CHECKPOINTS, |to| source.write_checkpoints(tree.size, to))?;
    let manifest = |files| Manifest {
        format: FORMAT,
        origin: key.name().to_string(),
        vkey: key.to_string(),
        size: tree.size,
        root: tree.root.to_string(),
        payloads: with_payloads,
        projections: projected.clone(),
        files,
    };
    files.finish(manifest, |hash| source.sign(hash))?;
    Ok(Exported {
        tree,
        projected,
        is_incomplete,
    })
}

/// Appends the entries up to a size that are not appended yet.
fn copy(
    source: &impl ExportSource,
    size: u64,
    entries: &mut ExportEntries,
    files: &mut ExportDirectory,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), ExportError> {
    let begun = entries.head().size;
    for bundle in entry_bundles(size).skip_while(|bundle| bundle.entries().end <= begun) {
        let leaves = source.leaves(bundle)?;
        let payloads = entries.with_payloads().then(|| source.payloads(bundle));
        let payloads = payloads.transpose()?;
        let sealed = payloads
            .as_ref()
            .map(|bytes| payload_bundle::payloads(bundle, bytes));
        let sealed = sealed.transpose()?.unwrap_or_default();
        let sealed = sealed.into_iter().chain(std::iter::repeat(&[][..]));
        let stored = bundle::leaves(bundle, &leaves)?.into_iter().zip(sealed);
        for (sequence, entry) in bundle.entries().zip(stored) {
            if sequence >= begun {
                entries.append(entry, files)?;
            }
        }
        progress(entries.head().size, size);
    }
    Ok(())
}
