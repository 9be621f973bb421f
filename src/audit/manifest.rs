//! The manifest of an export: what it holds, and the hash of every file. A note of the log's key stands for it.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::bounds;
use crate::transparency::export::{self, ManifestHash, UnauthenticExport};
use crate::transparency::key::{VerifierKey, VerifierKeyError};
use crate::transparency::note::{Note, NoteError};
use crate::transparency::payload_bundle;
use crate::transparency::tile::{entry_bundles, tiles};

/// The manifest's file.
pub(super) const MANIFEST: &str = "manifest.json";
/// The file of the note that stands for it; written last, so that a bundle without it is a broken-off one.
pub(super) const MANIFEST_NOTE: &str = "manifest.note";
/// The file of the checkpoint that covers the export.
pub(super) const CHECKPOINT: &str = "checkpoint";
/// The file of every checkpoint up to that.
pub(super) const CHECKPOINTS: &str = "checkpoints";

/// The version of the layout.
pub(super) const FORMAT: u32 = 1;

/// What an export holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the layout.
    pub format: u32,
    /// Which log it is of.
    pub origin: String,
    /// The log's verifier key.
    pub vkey: String,
    /// How many entries.
    pub size: u64,
    /// The root of their tree, in base64.
    pub root: String,
    /// Whether the sealed payloads are there, but for the erased ones.
    pub payloads: bool,
    /// What the log's projections came to.
    pub projections: Projected,
    /// The SHA-256 of every other file, in hexadecimal, by path.
    pub files: BTreeMap<String, String>,
}

/// What the projections came to, at some entry that the export covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Projected {
    /// The version of the fold.
    pub reducer_version: u32,
    /// The first entry that was not folded.
    pub sequence: u64,
    /// The digest, as `GET /v1/digest` tells it.
    pub digest: String,
}

/// Why an export is not what its log signed.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It was broken off before its end.
    #[error("there is no manifest.note: the export was not finished")]
    Unfinished,
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The manifest is no manifest.
    #[error("manifest.json cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It is of a format that is not known.
    #[error("the export has format {0}; this avow reads format {FORMAT}")]
    UnknownFormat(u32),
    /// Its verifier key is none.
    #[error(transparent)]
    Key(#[from] VerifierKeyError),
    /// Its note is none.
    #[error("manifest.note: {0}")]
    Note(#[from] NoteError),
    /// Its note does not stand for it.
    #[error("manifest.note: {0}")]
    Unauthentic(#[from] UnauthenticExport),
    /// It names another file than is due.
    #[error("the manifest names {found} where an export of its size has {due}")]
    OtherFiles {
        /// What it names.
        found: String,
        /// What is due.
        due: String,
    },
    /// A file was changed.
    #[error("{0} is not the file that the manifest names")]
    Changed(String),
}

impl Manifest {
    /// Reads the manifest of an export, and believes it if the log whose key it names has signed it. Whether that is the
    /// right log is for the caller to say.
    pub fn read(directory: &Path) -> Result<(Self, VerifierKey), ManifestError> {
        if !directory.join(MANIFEST_NOTE).exists() {
            return Err(ManifestError::Unfinished);
        }
        let read = |name: &str| {
            bounds::read(directory, name).map_err(|source| ManifestError::Io {
                path: directory.join(name),
                source,
            })
        };
        let bytes = read(MANIFEST)?;
        let manifest: Self = serde_json::from_slice(&bytes)?;
        if manifest.format != FORMAT {
            return Err(ManifestError::UnknownFormat(manifest.format));
        }
        let key: VerifierKey = manifest.vkey.parse()?;
        export::authenticate(&Note::parse(&read(MANIFEST_NOTE)?)?, &hash(&bytes), &key)?;
        if manifest.origin != key.name().as_str() {
            return Err(UnauthenticExport::OtherText.into());
        }
        Ok((manifest, key))
    }

    /// Hashes every file, and tells the progress as files done; returns when each is the one that the log signed.
    pub fn check_files(
        &self,
        directory: &Path,
        mut done: impl FnMut(u64),
    ) -> Result<(), ManifestError> {
        // One more than it names is enough to find out that it names too few: its size is what somebody says.
        let enough = self.files.len().saturating_add(1);
        let mut due: Vec<String> = paths(self.size, self.payloads).take(enough).collect();
        due.sort_unstable();
        let mut due = due.into_iter();
        for (count, (path, expected)) in (1..).zip(&self.files) {
            let due = due.next().unwrap_or_else(|| "no more files".to_owned());
            if *path != due {
                let found = path.clone();
                return Err(ManifestError::OtherFiles { found, due });
            }
            let file = directory.join(path);
            let found = hash_of_file(&file, path);
            let found = found.map_err(|source| ManifestError::Io { path: file, source })?;
            if hex::encode(found) != *expected {
                return Err(ManifestError::Changed(path.clone()));
            }
            done(count);
        }
        match due.next() {
            None => Ok(()),
            Some(due) => {
                let found = "no more files".to_owned();
                Err(ManifestError::OtherFiles { found, due })
            }
        }
    }
}

/// Returns the SHA-256 of a manifest.
pub(super) fn hash(bytes: &[u8]) -> ManifestHash {
    Sha256::digest(bytes).into()
}

/// Returns the files that a manifest names.
fn paths(size: u64, payloads: bool) -> impl Iterator<Item = String> {
    let payloads = payloads.then(|| entry_bundles(size).map(payload_bundle::path));
    [CHECKPOINT, CHECKPOINTS]
        .map(str::to_owned)
        .into_iter()
        .chain(tiles(size).map(|tile| tile.to_string()))
        .chain(entry_bundles(size).map(|bundle| bundle.to_string()))
        .chain(payloads.into_iter().flatten())
}

/// Hashes a file, and no more of it than one byte beyond its bound; the checkpoints, which are read one by one, have none.
fn hash_of_file(file: &Path, path: &str) -> io::Result<[u8; 32]> {
    let bytes_max = match path {
        CHECKPOINTS => u64::MAX,
        path => bounds::bytes_max(path) + 1,
    };
    let mut hash = Sha256::new();
    io::copy(
        &mut bounds::open(file)?.take(bytes_max),
        &mut Hashing(&mut hash),
    )?;
    Ok(hash.finalize().into())
}

/// Hashes what is written.
pub(super) struct Hashing<'hash>(pub(super) &'hash mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
