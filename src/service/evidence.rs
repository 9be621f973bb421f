//! Evidence: what lets a stranger audit the log without trust in whoever serves it. Nothing is handed out that the
//! latest checkpoint does not cover.

use std::io;
use std::sync::Arc;

use state_machine::id::SequenceNumber;

use super::Service;
use crate::log::entry::Entry;
use crate::log::tree::PayloadReadError;
use crate::log::{ReadError, Words};
use crate::transparency::bundle::{LeafTooLong, put_leaf};
use crate::transparency::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use crate::transparency::key::VerifierKey;
use crate::transparency::note::Note;
use crate::transparency::proof::{ProveError, inclusion_proof};
use crate::transparency::receipt::Receipt;
use crate::transparency::subtree::ReadError as Unread;
use crate::transparency::tile::{EntryBundle, Tile};

/// Why a piece of evidence cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The log does not reach so far.
    #[error("the log does not reach so far")]
    BeyondEnd,
    /// The log has it, and a checkpoint will cover it within a moment.
    #[error("no checkpoint covers it yet")]
    NotCovered,
    /// An entry could not be read.
    #[error(transparent)]
    Entry(#[from] ReadError),
    /// An entry could not be read with its payload.
    #[error(transparent)]
    Payload(#[from] PayloadReadError),
    /// The stored tree could not be read, or lacks what a checkpoint covers.
    #[error(transparent)]
    Tree(#[from] ProveError<io::Error>),
    /// What was published is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A leaf does not fit into a bundle.
    #[error(transparent)]
    LeafTooLong(#[from] LeafTooLong),
    /// A sealed payload does not fit into a bundle.
    #[error("a sealed payload has 4 GiB or more")]
    PayloadTooLong,
}

/// An entry as an auditor may see it.
#[derive(Debug, Clone)]
pub struct PublicEntry {
    /// The entry; its payload is empty if it was never kept or is erased.
    pub entry: Entry,
    /// Who stated it and why, if somebody did.
    pub words: Option<Words>,
}

impl Service {
    /// Returns the key by which the log's checkpoints are authenticated.
    pub fn verifier_key(&self) -> &VerifierKey {
        self.log.verifier_key()
    }

    /// Returns the latest checkpoint.
    pub fn checkpoint(&self) -> Arc<SignedCheckpoint> {
        self.log.checkpoint()
    }

    /// Returns the checkpoint for those who ask for one: cosigned, while witnesses answer.
    pub fn published_checkpoint(&self) -> Arc<Note> {
        self.log.published_checkpoint()
    }

    /// Returns the bytes of a tile.
    pub fn tile(&self, tile: Tile) -> Result<Vec<u8>, EvidenceError> {
        self.check_covered(|size| tile.is_within(size))?;
        let (level, wanted) = (tile.level(), tile.hashes());
        let hashes = self.log.hashes(level, &wanted);
        let hashes = hashes.map_err(|error| ProveError::Read(Unread::Reader(error)))?;
        if u64::try_from(hashes.len()) == Ok(wanted.end - wanted.start) {
            Ok(hashes.iter().flat_map(|hash| hash.0).collect())
        } else {
            let hashes = wanted;
            Err(ProveError::Read(Unread::Missing { level, hashes }).into())
        }
    }

    /// Returns the bytes of an entry bundle.
    pub fn entry_bundle(&self, bundle: EntryBundle) -> Result<Vec<u8>, EvidenceError> {
        self.check_covered(|size| bundle.is_within(size))?;
        let mut bytes = Vec::new();
        for sequence in bundle.entries().map(SequenceNumber) {
            let leaf = self.log.leaf(sequence)?.ok_or(EvidenceError::BeyondEnd)?;
            put_leaf(&mut bytes, &leaf)?;
        }
        Ok(bytes)
    }

    /// Returns the sealed payloads of a bundle's entries, each behind its length in four bytes, big-endian: 0 where none
    /// was kept, or it is erased.
    pub fn payload_bundle(&self, bundle: EntryBundle) -> Result<Vec<u8>, EvidenceError> {
        self.check_covered(|size| bundle.is_within(size))?;
        let mut bytes = Vec::new();
        for sequence in bundle.entries().map(SequenceNumber) {
            let entry = self.log.sealed_entry(sequence)?;
            let sealed = entry.ok_or(EvidenceError::BeyondEnd)?.sealed;
            let length = u32::try_from(sealed.len()).map_err(|_| EvidenceError::PayloadTooLong)?;
            bytes.extend(length.to_be_bytes());
            bytes.extend(sealed);
        }
        Ok(bytes)
    }

    /// Returns an entry.
    pub fn public_entry(&self, sequence: SequenceNumber) -> Result<PublicEntry, EvidenceError> {
        self.check_covered(|size| sequence.0 < size)?;
        let entry = self.log.sealed_entry(sequence)?;
        let entry = entry.ok_or(EvidenceError::BeyondEnd)?;
        let words = self.log.words(&entry);
        Ok(PublicEntry { entry, words })
    }

    /// Returns the proof that an entry lies in the log, under the checkpoint that is published.
    pub fn receipt(&self, sequence: SequenceNumber) -> Result<Receipt, EvidenceError> {
        let published = self.published_checkpoint();
        let checkpoint: Checkpoint = published.text().parse()?;
        let (index, size) = (sequence.0, checkpoint.tree().size);
        self.check_reached(size, |size| index < size)?;
        let read = |level, hashes| self.log.hashes(level, &hashes);
        Ok(Receipt {
            extra: None,
            index,
            proof: inclusion_proof(index, size, read)?,
            checkpoint: Note::clone(&published),
        })
    }

    fn check_covered(&self, is_within: impl Fn(u64) -> bool) -> Result<(), EvidenceError> {
        self.check_reached(self.log.checkpoint().tree().size, is_within)
    }

    fn check_reached(
        &self,
        covered: u64,
        is_within: impl Fn(u64) -> bool,
    ) -> Result<(), EvidenceError> {
        if is_within(covered) {
            Ok(())
        } else if is_within(self.log.size()) {
            Err(EvidenceError::NotCovered)
        } else {
            Err(EvidenceError::BeyondEnd)
        }
    }
}
