//! What an export takes of the service: the digest of the projections, the checkpoints, and the log's word for it.

use std::io;

use super::Service;
use super::read::ReadError;
use crate::log::vault::VaultError;
use crate::projections::digest::ProjectionsDigest;
use crate::transparency::export::ManifestHash;
use crate::transparency::note::Note;

impl Service {
    /// Returns the digest of the projections as they stood at some moment since the call. Reads all of them, unless
    /// nothing was folded since it did so last.
    pub fn digest(&self) -> Result<ProjectionsDigest, ReadError> {
        self.ready()?;
        Ok(self.projections.store().digest()?)
    }

    /// Returns the checkpoints that were signed up to a size, in order.
    pub fn checkpoints_through(
        &self,
        size: u64,
    ) -> io::Result<impl Iterator<Item = io::Result<Note>> + use<>> {
        self.log.checkpoints_through(size)
    }

    /// Signs that an export with this manifest is the log's.
    pub fn sign_export(&self, manifest: &ManifestHash) -> Result<Note, VaultError> {
        self.log.sign_export(manifest)
    }
}
