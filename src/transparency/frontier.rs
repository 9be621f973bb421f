//! The right edge of a growing tree: all that appending to it needs.

use std::ops::Range;

use super::hash::{Hash, TreeHead, node_hash};
use super::subtree::{ReadError, Subtree, root_of};
use super::tile::TILE_HEIGHT;

/// The roots of the complete subtrees of a tree, the largest first: one for each bit of its size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// Returns the frontier of the tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the frontier that a stored tree had at `size`, in one range of at most 128 hashes for each bit of it.
    pub fn read<E>(
        size: u64,
        read: impl FnMut(u8, Range<u64>) -> Result<Vec<Hash>, E>,
    ) -> Result<Self, ReadError<E>> {
        let peaks = Subtree::of_first(size).peaks(read)?;
        Ok(Self { size, peaks })
    }

    /// Returns how many leaves the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root of the tree.
    pub fn root(&self) -> Hash {
        root_of(&self.peaks)
    }

    /// Returns size and root.
    pub fn head(&self) -> TreeHead {
        TreeHead {
            size: self.size,
            root: self.root(),
        }
    }

    /// Appends a leaf, and hands each hash that a stored tree keeps of it to `complete`, with its tile level: the
    /// leaf's own at level 0, and the root of each subtree of height 8, 16, … that the leaf completes.
    pub fn push(&mut self, leaf: Hash, mut complete: impl FnMut(u8, Hash)) {
        complete(0, leaf);
        let mut root = leaf;
        // Each low bit of the size that is set stands for a subtree as large as the one just completed.
        for height in (1..=64).take_while(|height| self.size >> (height - 1) & 1 == 1) {
            let Some(left) = self.peaks.pop() else { break };
            root = node_hash(&left, &root);
            if height % TILE_HEIGHT == 0 {
                complete(height / TILE_HEIGHT, root);
            }
        }
        self.peaks.push(root);
        self.size += 1;
    }
}
