//! The entries of an export, as they are appended: bundles of leaves and payloads, and the tiles that follow from them.
//!
//! Holds one bundle and one tile of each level. Tiles are hashed here, so that they cannot differ from the leaves.

use std::collections::BTreeSet;

use super::export::ExportError;
use super::export_directory::ExportDirectory;
use super::source::CHUNK_ENTRIES;
use crate::log::entry::{ErasureDoneFact, Fact, Leaf};
use crate::log::vault::KeySlot;
use crate::transparency::bundle::{self, put_leaf};
use crate::transparency::frontier::Frontier;
use crate::transparency::hash::{Hash, TreeHead, leaf_hash};
use crate::transparency::payload_bundle::{self, put_payload};
use crate::transparency::tile::{EntryBundle, TILE_WIDTH, Tile, entry_bundles};

/// What has been appended, and not yet written.
pub(super) struct ExportEntries {
    with_payloads: bool,
    frontier: Frontier,
    leaves: Vec<u8>,
    payloads: Vec<u8>,
    tiles: Vec<Vec<Hash>>,
    /// The keys of payloads that are gone and whose erasure has not been appended.
    unexplained: BTreeSet<KeySlot>,
    /// How many entries an earlier export has, and their root.
    earlier: (u64, String),
    /// The keys that later entries say were destroyed.
    erased_since: BTreeSet<KeySlot>,
}

impl ExportEntries {
    pub(super) fn new(with_payloads: bool) -> Self {
        Self {
            with_payloads,
            frontier: Frontier::new(),
            leaves: Vec::new(),
            payloads: Vec::new(),
            tiles: Vec::new(),
            unexplained: BTreeSet::new(),
            earlier: (0, String::new()),
            erased_since: BTreeSet::new(),
        }
    }

    /// Begins with what an earlier export of so many entries, with this root, holds.
    pub(super) fn after(entries: u64, root: &str) -> Self {
        Self {
            earlier: (entries, root.to_owned()),
            ..Self::new(true)
        }
    }

    /// Returns size and root of what has been appended.
    pub(super) fn head(&self) -> TreeHead {
        self.frontier.head()
    }

    pub(super) fn with_payloads(&self) -> bool {
        self.with_payloads
    }

    /// Tells whether each payload that is gone was erased by an entry that has been appended.
    pub(super) fn explains_what_is_gone(&self) -> bool {
        self.unexplained.is_empty()
    }

    /// Appends an entry, and writes what it completes.
    pub(super) fn append(
        &mut self,
        (leaf, sealed): (&[u8], &[u8]),
        directory: &mut ExportDirectory,
    ) -> Result<(), ExportError> {
        let sequence = self.frontier.size();
        put_leaf(&mut self.leaves, leaf).map_err(|_| ExportError::LeafTooLong { sequence })?;
        if self.with_payloads {
            put_payload(&mut self.payloads, sealed);
            let cause = |cause| ExportError::Leaf { sequence, cause };
            self.note_what_is_gone(&Leaf::decode(leaf).map_err(cause)?, sealed);
        }
        let tiles = &mut self.tiles;
        self.frontier.push(leaf_hash(leaf), |level, hash| {
            let level = usize::from(level);
            if tiles.len() <= level {
                tiles.resize(level + 1, Vec::new());
            }
            if let Some(tile) = tiles.get_mut(level) {
                tile.push(hash);
            }
        });
        let (size, root) = &self.earlier;
        if self.frontier.size() == *size && self.head().root.to_string() != *root {
            return Err(ExportError::OtherRoot(*size));
        }
        if self.frontier.size().is_multiple_of(CHUNK_ENTRIES) {
            self.write_bundle(directory)?;
        }
        self.write_tiles(usize::from(TILE_WIDTH), directory)
    }

    /// Writes what is left: the partial bundle and the partial tiles at the right edge.
    pub(super) fn finish(mut self, directory: &mut ExportDirectory) -> Result<(), ExportError> {
        if !self.leaves.is_empty() {
            self.write_bundle(directory)?;
        }
        self.write_tiles(1, directory)?;
        self.take_out_what_is_erased(directory)
    }

    /// Takes what has been erased since an earlier export out of what is shared with it.
    fn take_out_what_is_erased(&self, directory: &mut ExportDirectory) -> Result<(), ExportError> {
        let is_full = |bundle: &EntryBundle| bundle.entries().end.is_multiple_of(CHUNK_ENTRIES);
        let shared = entry_bundles(self.earlier.0).filter(is_full);
        for bundle in shared.filter(|_| !self.erased_since.is_empty()) {
            let leaves = directory.read(&bundle.to_string())?;
            let path = payload_bundle::path(bundle);
            let there = directory.read(&path)?;
            let payloads = payload_bundle::payloads(bundle, &there)?;
            let leaves = bundle::leaves(bundle, &leaves)?;
            let mut left = Vec::new();
            for ((sequence, leaf), sealed) in bundle.entries().zip(leaves).zip(payloads) {
                let cause = |cause| ExportError::Leaf { sequence, cause };
                let slot = Leaf::decode(leaf).map_err(cause)?.key_slot;
                let is_erased = self.erased_since.contains(&slot);
                put_payload(&mut left, if is_erased { &[] } else { sealed });
            }
            if left != there {
                directory.write(&path, &left)?;
            }
        }
        Ok(())
    }

    fn write_bundle(&mut self, directory: &mut ExportDirectory) -> Result<(), ExportError> {
        let size = self.frontier.size();
        if let Some(bundle) = EntryBundle::holding(size.saturating_sub(1), size) {
            directory.write(&bundle.to_string(), &self.leaves)?;
            if self.with_payloads {
                directory.write(&payload_bundle::path(bundle), &self.payloads)?;
            }
        }
        self.leaves.clear();
        self.payloads.clear();
        Ok(())
    }

    /// Writes the tile at the end of each level, if it has at least so many hashes.
    fn write_tiles(
        &mut self,
        hashes_min: usize,
        directory: &mut ExportDirectory,
    ) -> Result<(), ExportError> {
        let size = self.frontier.size();
        for (level, hashes) in (0_u8..).zip(&mut self.tiles) {
            if hashes.len() < hashes_min {
                continue;
            }
            let end = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
            if let Some(tile) = Tile::holding(level, end.saturating_sub(1), size) {
                let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
                directory.write(&tile.to_string(), &bytes)?;
            }
            hashes.clear();
        }
        Ok(())
    }

    fn note_what_is_gone(&mut self, leaf: &Leaf, sealed: &[u8]) {
        if leaf.payload.is_some() && sealed.is_empty() {
            self.unexplained.insert(leaf.key_slot);
        }
        match &leaf.fact {
            Fact::ErasureDone(ErasureDoneFact { subject, .. }) => {
                self.unexplained.remove(&subject.key_slot);
                if self.earlier.0 > 0 && leaf.sequence.0 >= self.earlier.0 {
                    self.erased_since.insert(subject.key_slot);
                }
            }
            Fact::Event(_)
            | Fact::Conflict(_)
            | Fact::Unreadable(_)
            | Fact::Erasure(_)
            | Fact::Hold(_)
            | Fact::Release(_)
            | Fact::Override(_)
            | Fact::Configuration(_)
            | Fact::Access(_) => {}
        }
    }
}
