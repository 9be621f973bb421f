//! Subtrees computed from a stored tree.
//!
//! Of each tile level a stored tree keeps one sequence of hashes: hash `i` of level `L` is the root of the complete
//! subtree of height `8·L` at index `i`. What lies between two levels is hashed again from at most 128 of the lower.

use std::ops::Range;

use super::hash::{EMPTY_ROOT, Hash, TreeHead, node_hash};
use super::tile::TILE_HEIGHT;

/// Why hashes of a stored tree are not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError<E> {
    /// The reader says so.
    #[error(transparent)]
    Reader(E),
    /// The reader gave another number of hashes than it was asked for.
    #[error("level {level} of the tree has no hashes {} to {}", .hashes.start, .hashes.end)]
    Missing {
        /// The tile level.
        level: u8,
        /// The hashes asked for.
        hashes: Range<u64>,
    },
}

/// Returns the head that a stored tree had at `size`.
pub fn head_at<E>(
    size: u64,
    read: impl FnMut(u8, Range<u64>) -> Result<Vec<Hash>, E>,
) -> Result<TreeHead, ReadError<E>> {
    let root = Subtree::of_first(size).root(read)?;
    Ok(TreeHead { size, root })
}

/// Consecutive leaves over which RFC 6962 has a hash: those of a whole tree, or of a half of a subtree.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subtree {
    leaves: Range<u64>,
}

impl Subtree {
    /// Returns the whole tree of the first `size` leaves.
    pub fn of_first(size: u64) -> Self {
        Self { leaves: 0..size }
    }

    /// Returns the two halves of more than one leaf: the left is the largest complete subtree that leaves something
    /// to the right.
    pub fn halves(&self) -> Option<(Self, Self)> {
        let Range { start, end } = self.leaves;
        let last = (end - start).checked_sub(1)?;
        let middle = start + (1 << last.checked_ilog2()?);
        let [left, right] = [start..middle, middle..end].map(|leaves| Self { leaves });
        Some((left, right))
    }

    /// Returns which leaves it has.
    pub fn leaves(&self) -> &Range<u64> {
        &self.leaves
    }

    /// Returns its root, from ranges of at most 128 hashes of a stored tree.
    pub fn root<E>(
        &self,
        read: impl FnMut(u8, Range<u64>) -> Result<Vec<Hash>, E>,
    ) -> Result<Hash, ReadError<E>> {
        Ok(root_of(&self.peaks(read)?))
    }

    /// Returns the roots of the complete subtrees that it is made of, the largest first.
    pub(super) fn peaks<E>(
        &self,
        mut read: impl FnMut(u8, Range<u64>) -> Result<Vec<Hash>, E>,
    ) -> Result<Vec<Hash>, ReadError<E>> {
        let mut peaks = Vec::new();
        let Range { mut start, end } = self.leaves;
        while let Some(height) = (end - start).checked_ilog2() {
            let [height, ..] = height.to_le_bytes();
            peaks.push(complete_root(height, start >> height, &mut read)?);
            start += 1 << height;
        }
        Ok(peaks)
    }
}

/// Returns the root of the tree that is made of complete subtrees with these roots, the largest first.
pub(super) fn root_of(peaks: &[Hash]) -> Hash {
    peaks
        .iter()
        .rev()
        .copied()
        .reduce(|right, left| node_hash(&left, &right))
        .unwrap_or(EMPTY_ROOT)
}

/// Returns the root of the complete subtree at `index` among those of its height.
fn complete_root<E>(
    height: u8,
    index: u64,
    mut read: impl FnMut(u8, Range<u64>) -> Result<Vec<Hash>, E>,
) -> Result<Hash, ReadError<E>> {
    let (level, above) = (height / TILE_HEIGHT, height % TILE_HEIGHT);
    let start = index << above;
    let hashes = start..start + (1 << above);
    let mut row = read(level, hashes.clone()).map_err(ReadError::Reader)?;
    if row.len() != 1 << above {
        return Err(ReadError::Missing { level, hashes });
    }
    while row.len() > 1 {
        row = row
            .chunks_exact(2)
            .filter_map(|pair| Some(node_hash(pair.first()?, pair.last()?)))
            .collect();
    }
    row.pop().ok_or(ReadError::Missing { level, hashes })
}
