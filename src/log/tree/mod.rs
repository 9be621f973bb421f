//! The Merkle tree over the leaves (RFC 6962), its checkpoints, and what is published of them.

use std::fs;
use std::io::{self, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use state_machine::id::SequenceNumber;
use state_machine::time::ReceivedAt;

pub mod checkpoint_reader;
mod checkpoints;
mod levels;
pub(super) mod notary;
pub(super) mod opening;
pub mod witnesses;

pub use checkpoints::{checkpoint_record, recorded_checkpoints};
use levels::Levels;

use super::Log;
use super::durable::create_whole;
use super::entry::Entry;
use super::read::ReadError;
use super::record::Record;
use super::vault::{KeySlot, VaultError};
use crate::transparency::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::transparency::hash::Hash;
use crate::transparency::key::VerifierKey;
use crate::transparency::note::Note;
use witnesses::WitnessState;

/// How long a cosigned checkpoint is published although a later one is signed: beyond it, no witness answers, and
/// readers had better see a checkpoint without cosignatures than an old one.
const COSIGNED_PUBLISHED_MAX_MS: i64 = 60_000;

/// The tree, as readers see it.
pub(super) struct Tree {
    verifier_key: VerifierKey,
    levels: Levels,
    checkpoints: PathBuf,
    cosigned: PathBuf,
    published: Mutex<Published>,
    witnesses: Mutex<Vec<WitnessState>>,
}

struct Published {
    latest: Arc<SignedCheckpoint>,
    /// When it was signed; of one that an earlier process signed, when its file was written last.
    signed_at: ReceivedAt,
    cosigned: Option<Cosigned>,
}

struct Cosigned {
    note: Arc<Note>,
    size: u64,
    at: ReceivedAt,
}

impl Tree {
    pub(super) fn signed_at(&self) -> ReceivedAt {
        self.published().signed_at
    }

    fn published(&self) -> MutexGuard<'_, Published> {
        // No code that holds the lock can panic half-way through a change.
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a payload could not be read for somebody else.
#[derive(Debug, thiserror::Error)]
pub enum PayloadReadError {
    /// Its entry cannot be read.
    #[error(transparent)]
    Entry(#[from] ReadError),
    /// Whether its key still stands cannot be told.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Log {
    /// Returns the key by which its checkpoints are authenticated.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.shared.tree.verifier_key
    }

    /// Returns the latest checkpoint: at least each second while the log grows, another.
    pub fn checkpoint(&self) -> Arc<SignedCheckpoint> {
        Arc::clone(&self.shared.tree.published().latest)
    }

    /// Returns the checkpoint for those who ask: the latest cosigned one while witnesses answer, else the latest.
    pub fn published_checkpoint(&self) -> Arc<Note> {
        let now = (self.shared.options.clock)();
        let published = self.shared.tree.published();
        let latest = &published.latest;
        let is_fresh = |cosigned: &&Cosigned| {
            cosigned.size == latest.tree().size
                || now.0.saturating_sub(cosigned.at.0) <= COSIGNED_PUBLISHED_MAX_MS
        };
        match published.cosigned.as_ref().filter(is_fresh) {
            Some(cosigned) => Arc::clone(&cosigned.note),
            None => Arc::new(latest.note().clone()),
        }
    }

    /// Returns the size of the latest checkpoint that enough witnesses cosigned.
    pub fn cosigned_size(&self) -> Option<u64> {
        let published = self.shared.tree.published();
        published.cosigned.as_ref().map(|cosigned| cosigned.size)
    }

    /// Publishes a checkpoint of this log that witnesses have cosigned, and keeps it; one that is older than what is
    /// published changes nothing.
    pub fn publish_cosigned(&self, note: Note) -> io::Result<()> {
        let tree = &self.shared.tree;
        let checkpoint: Checkpoint = note.text().parse().map_err(io::Error::other)?;
        let size = checkpoint.tree().size;
        let is_older = |published: &Published| {
            let cosigned = published.cosigned.as_ref();
            cosigned.is_some_and(|cosigned| cosigned.size > size)
        };
        if is_older(&tree.published()) {
            return Ok(());
        }
        // Not under the lock: readers and the notary do not wait for the disk.
        create_whole(&tree.cosigned, |mut file| {
            file.write_all(note.to_string().as_bytes())
        })?;
        let mut published = tree.published();
        if !is_older(&published) {
            published.cosigned = Some(Cosigned {
                note: Arc::new(note),
                size,
                at: (self.shared.options.clock)(),
            });
        }
        Ok(())
    }

    /// Returns every checkpoint that was ever signed, in order.
    pub fn checkpoints(&self) -> io::Result<impl Iterator<Item = io::Result<Note>> + use<>> {
        recorded_checkpoints(&self.shared.tree.checkpoints)
    }

    /// Returns hashes of a tile level: hash `i` of level `L` is the root of the `i`th complete subtree of 256ᴸ leaves.
    /// Fewer are returned where the tree ends.
    pub fn hashes(&self, level: u8, range: &Range<u64>) -> io::Result<Vec<Hash>> {
        self.shared.tree.levels.read(level, range)
    }

    /// Returns the bytes of a leaf, or `None` beyond the end.
    pub fn leaf(&self, sequence: SequenceNumber) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.entry(sequence)?.map(|entry| entry.leaf.encode()))
    }

    /// Returns an entry as somebody else may have it: without its payload, if that is erased.
    pub fn sealed_entry(
        &self,
        sequence: SequenceNumber,
    ) -> Result<Option<Entry>, PayloadReadError> {
        let Some(entry) = self.entry(sequence)? else {
            return Ok(None);
        };
        let mut entry = Entry::clone(&entry);
        let slot = entry.leaf.key_slot;
        // sled keeps what the journal has no more; whoever wants it erased does not want it handed out.
        if slot != KeySlot::LOG && !self.shared.keys.vault.holds(slot)? {
            entry.sealed.clear();
        }
        Ok(Some(entry))
    }
}

/// Returns the hash under which a record's leaf stands in the tree.
fn hash_of(record: &Record<'_>) -> Hash {
    crate::transparency::hash::leaf_hash(record.leaf)
}

/// Returns what was published last, if it can be read.
fn read_cosigned(path: &std::path::Path) -> Option<(Note, u64)> {
    let note = Note::parse(&fs::read(path).ok()?).ok()?;
    let checkpoint: Checkpoint = note.text().parse().ok()?;
    Some((note, checkpoint.tree().size))
}
