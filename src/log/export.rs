//! What an export takes of the log: its checkpoints, and its word for a manifest.

use std::io;

use super::Log;
use super::vault::VaultError;
use crate::transparency::checkpoint::Checkpoint;
use crate::transparency::export::{self, ManifestHash};
use crate::transparency::note::Note;
use crate::transparency::signing_key::SigningKey;

impl Log {
    /// Returns the checkpoints that were signed up to a size, in order, and none that nobody may have seen yet.
    pub fn checkpoints_through(
        &self,
        size: u64,
    ) -> io::Result<impl Iterator<Item = io::Result<Note>> + use<>> {
        let size = size.min(self.checkpoint().tree().size);
        let is_within = move |note: &io::Result<Note>| {
            note.as_ref().map_or(true, |note| {
                let checkpoint: Result<Checkpoint, _> = note.text().parse();
                checkpoint.is_ok_and(|checkpoint| checkpoint.tree().size <= size)
            })
        };
        Ok(self.checkpoints()?.take_while(is_within))
    }

    /// Signs that an export with this manifest is the log's. The text is made here, so that nobody can have the key sign
    /// another.
    pub fn sign_export(&self, manifest: &ManifestHash) -> Result<Note, VaultError> {
        let seed = self.shared.keys.vault.signing_seed()?;
        let key = SigningKey::new(self.verifier_key().name().clone(), seed.expose());
        Ok(export::sign(manifest, &key))
    }
}
