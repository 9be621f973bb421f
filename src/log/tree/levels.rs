//! The stored tree: one file for each tile level, a flat sequence of hashes.
//!
//! Derived from the leaves, and not synced: what a power cut takes of it is hashed again.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::log::durable::read_up_to;
use crate::transparency::frontier::Frontier;
use crate::transparency::hash::Hash;
use crate::transparency::tile::TILE_HEIGHT;

const HASH_BYTES: u64 = 32;
/// 256⁸ leaves are as many as a sequence number counts.
const LEVELS: usize = 8;

/// The files of a stored tree. One thread appends, any reads.
pub(in crate::log) struct Levels {
    files: Vec<File>,
}

impl Levels {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let open = |level: usize| {
            let mut options = File::options();
            options.read(true).write(true).create(true).truncate(false);
            options.open(directory.join(level.to_string()))
        };
        let files = (0..LEVELS).map(open).collect::<io::Result<_>>()?;
        Ok(Self { files })
    }

    /// Returns the largest tree that every level has all hashes of.
    pub(super) fn size(&self) -> io::Result<u64> {
        let mut size = u64::MAX;
        for (level, file) in (0_u8..).zip(&self.files) {
            let hashes = file.metadata()?.len() / HASH_BYTES;
            let shift = u32::from(level * TILE_HEIGHT);
            // One leaf fewer than would complete another hash of this level.
            let next = u128::from(hashes) + 1;
            let leaves_max = u64::try_from((next << shift) - 1).unwrap_or(u64::MAX);
            size = size.min(leaves_max);
        }
        Ok(size)
    }

    /// Returns hashes of a level; fewer if there are no more.
    pub(super) fn read(&self, level: u8, range: &Range<u64>) -> io::Result<Vec<Hash>> {
        let count = range.end.saturating_sub(range.start);
        let bytes = usize::try_from(count.saturating_mul(HASH_BYTES)).map_err(io::Error::other)?;
        let mut bytes = vec![0; bytes];
        let offset = range.start.saturating_mul(HASH_BYTES);
        let read = match self.files.get(usize::from(level)) {
            Some(file) => read_up_to(file, &mut bytes, offset)?,
            None => 0,
        };
        let (hashes, _) = bytes.get(..read).unwrap_or_default().as_chunks();
        Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
    }

    /// Appends leaves: to the frontier, and to the files every hash that they complete.
    pub(super) fn append(
        &self,
        frontier: &mut Frontier,
        leaves: impl IntoIterator<Item = Hash>,
    ) -> io::Result<()> {
        let first = frontier.size();
        let mut new: [Vec<u8>; LEVELS] = Default::default();
        for leaf in leaves {
            frontier.push(leaf, |level, hash| {
                if let Some(level) = new.get_mut(usize::from(level)) {
                    level.extend_from_slice(&hash.0);
                }
            });
        }
        for ((level, file), hashes) in (0_u8..).zip(&self.files).zip(&new) {
            if !hashes.is_empty() {
                file.write_all_at(hashes, complete(first, level) * HASH_BYTES)?;
            }
        }
        Ok(())
    }

    /// Cuts every level to what a tree of `size` leaves has.
    pub(super) fn cut(&self, size: u64) -> io::Result<()> {
        for (level, file) in (0_u8..).zip(&self.files) {
            let length = complete(size, level) * HASH_BYTES;
            if file.metadata()?.len() > length {
                file.set_len(length)?;
            }
        }
        Ok(())
    }
}

/// Returns how many hashes of a level `size` leaves complete.
fn complete(size: u64, level: u8) -> u64 {
    size >> (level * TILE_HEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transparency::hash::leaf_hash;
    use crate::transparency::subtree::head_at;

    fn leaf(number: u64) -> Hash {
        leaf_hash(&number.to_le_bytes())
    }

    /// The edges of tiles: 256 leaves complete a hash of level 1, 256² one of level 2.
    const EDGES: [u64; 9] = [1, 255, 256, 257, 512, 65_535, 65_536, 65_537, 66_000];

    #[test]
    fn a_tree_that_grows_over_the_edges_of_its_tiles_is_stored_whole() {
        let directory = tempfile::tempdir().unwrap();
        let levels = Levels::open(directory.path()).unwrap();
        let (mut frontier, mut heads) = (Frontier::new(), Vec::new());
        for size in EDGES {
            let more = (frontier.size()..size).map(leaf);

            levels.append(&mut frontier, more).unwrap();

            heads.push(frontier.head());
            assert_eq!(levels.size().unwrap(), size);
            for (level, hashes) in [(0, size), (1, size / 256), (2, size / 65_536)] {
                let there = levels.read(level, &(0..100_000)).unwrap().len();
                assert_eq!(there, usize::try_from(hashes).unwrap(), "{size} {level}");
            }
        }
        for head in heads {
            let read = |level, range| levels.read(level, &range);
            assert_eq!(head_at(head.size, read).unwrap(), head);
        }
    }

    #[test]
    fn what_is_cut_at_an_edge_is_appended_again_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let levels = Levels::open(directory.path()).unwrap();
        let mut whole = Frontier::new();
        let last = EDGES[EDGES.len() - 1];
        levels.append(&mut whole, (0..last).map(leaf)).unwrap();
        let files =
            || (0..3).map(|level| fs::read(directory.path().join(level.to_string())).unwrap());
        let before: Vec<Vec<u8>> = files().collect();
        for size in EDGES {
            levels.cut(size).unwrap();
            assert_eq!(levels.size().unwrap(), size);
            let read = |level, range: Range<u64>| levels.read(level, &range);
            let mut frontier = Frontier::read(size, read).unwrap();

            levels
                .append(&mut frontier, (size..last).map(leaf))
                .unwrap();

            assert_eq!(frontier, whole, "{size}");
            assert!(files().eq(before.iter().cloned()), "{size}");
        }
    }
}
