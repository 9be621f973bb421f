//! An earlier export of the same log, from which the next one takes what it has: everything is taken from it that is what
//! its signed manifest says, and the rest from the log.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::export::{ExportError, ExportSource};
use super::manifest::{Manifest, ManifestError, Projected};
use crate::transparency::checkpoint::Checkpoint;
use crate::transparency::export::ManifestHash;
use crate::transparency::key::VerifierKey;
use crate::transparency::note::Note;
use crate::transparency::payload_bundle;
use crate::transparency::tile::EntryBundle;

/// An earlier export.
pub(super) struct Earlier {
    directory: PathBuf,
    manifest: Manifest,
    key: VerifierKey,
}

impl Earlier {
    /// Opens an export that was finished.
    pub(super) fn open(directory: &Path) -> Result<Self, ManifestError> {
        let (manifest, key) = Manifest::read(directory)?;
        Ok(Self {
            directory: directory.to_owned(),
            manifest,
            key,
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns how many entries it has.
    pub(super) fn size(&self) -> u64 {
        self.manifest.size
    }

    /// Returns the root of their tree.
    pub(super) fn root(&self) -> &str {
        &self.manifest.root
    }

    /// Returns a file, if it is whole.
    fn read(&self, path: &str) -> Option<Vec<u8>> {
        let expected = self.manifest.files.get(path)?;
        let bytes = fs::read(self.directory.join(path)).ok()?;
        (hex::encode(Sha256::digest(&bytes)) == *expected).then_some(bytes)
    }
}

/// A log of which an earlier export has the beginning.
pub(super) struct Continued<'log, S> {
    pub(super) log: &'log S,
    pub(super) earlier: &'log Earlier,
}

impl<S: ExportSource> ExportSource for Continued<'_, S> {
    fn verifier_key(&self) -> Result<VerifierKey, ExportError> {
        let there = self.log.verifier_key()?;
        if there == self.earlier.key {
            return Ok(there);
        }
        Err(ExportError::OtherLog {
            there: Box::new(there),
            kept: Box::new(self.earlier.key.clone()),
        })
    }

    fn projected(&self) -> Result<Projected, ExportError> {
        self.log.projected()
    }

    fn checkpoint(&self) -> Result<Note, ExportError> {
        let note = self.log.checkpoint()?;
        let checkpoint: Result<Checkpoint, _> = note.text().parse();
        let (there, kept) = (
            checkpoint.map(|checkpoint| checkpoint.tree().size),
            self.earlier.size(),
        );
        match there {
            Ok(there) if there < kept => Err(ExportError::Behind { there, kept }),
            // What is no checkpoint is refused where it is authenticated.
            Ok(_) | Err(_) => Ok(note),
        }
    }

    fn write_checkpoints(&self, through: u64, to: &mut dyn Write) -> Result<(), ExportError> {
        self.log.write_checkpoints(through, to)
    }

    fn leaves(&self, bundle: EntryBundle) -> Result<Vec<u8>, ExportError> {
        let kept = self.earlier.read(&bundle.to_string());
        kept.map_or_else(|| self.log.leaves(bundle), Ok)
    }

    fn payloads(&self, bundle: EntryBundle) -> Result<Vec<u8>, ExportError> {
        let kept = self.earlier.read(&payload_bundle::path(bundle));
        kept.map_or_else(|| self.log.payloads(bundle), Ok)
    }

    fn sign(&self, manifest: &ManifestHash) -> Result<Note, ExportError> {
        self.log.sign(manifest)
    }
}
