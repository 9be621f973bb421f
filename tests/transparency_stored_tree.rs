//! A tree as a store keeps it, in memory, and RFC 6962's definition to compare it with.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;

use avow::transparency::frontier::Frontier;
use avow::transparency::hash::{Hash, TreeHead, leaf_hash};
use avow::transparency::proof::{consistency_proof, inclusion_proof};
use avow::transparency::subtree::{Subtree, head_at};
use sha2::{Digest, Sha256};

/// Returns the leaves that the tests hash: each is its index.
pub(crate) fn leaves(count: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|index| index.to_be_bytes().to_vec())
}

/// The hashes of each tile level.
pub(crate) struct StoredTree {
    levels: [Vec<Hash>; 8],
    frontier: Frontier,
}

impl StoredTree {
    pub(crate) fn of(leaves: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut levels: [Vec<Hash>; 8] = Default::default();
        let mut frontier = Frontier::new();
        for leaf in leaves {
            frontier.push(leaf_hash(&leaf), |level, hash| {
                levels[usize::from(level)].push(hash);
            });
        }
        Self { levels, frontier }
    }

    pub(crate) fn level(&self, level: u8) -> &[Hash] {
        &self.levels[usize::from(level)]
    }

    pub(crate) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    pub(crate) fn reader(
        &self,
    ) -> impl FnMut(u8, Range<u64>) -> Result<Vec<Hash>, Infallible> + Copy {
        |level, hashes| {
            let index = |index: u64| usize::try_from(index).unwrap();
            Ok(self.level(level)[index(hashes.start)..index(hashes.end)].to_vec())
        }
    }

    pub(crate) fn head_at(&self, size: u64) -> TreeHead {
        head_at(size, self.reader()).unwrap()
    }

    pub(crate) fn root(&self, subtree: &Subtree) -> Hash {
        subtree.root(self.reader()).unwrap()
    }

    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        inclusion_proof(index, size, self.reader()).unwrap()
    }

    pub(crate) fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        consistency_proof(old, new, self.reader()).unwrap()
    }
}

/// RFC 6962, section 2.1, word for word, over what [`leaves`] returns; roots are remembered.
#[derive(Default)]
pub(crate) struct Definition {
    roots: HashMap<Range<u64>, Hash>,
}

impl Definition {
    /// Returns `MTH(D[start:end])`.
    pub(crate) fn mth(&mut self, entries: Range<u64>) -> Hash {
        if let Some(root) = self.roots.get(&entries) {
            return *root;
        }
        let root = match entries.end - entries.start {
            0 => Sha256::new(),
            1 => Sha256::new_with_prefix([0]).chain_update(entries.start.to_be_bytes()),
            n => {
                let middle = entries.start + largest_power_of_two_below(n);
                let [left, right] = [entries.start..middle, middle..entries.end];
                let node = Sha256::new_with_prefix([1]);
                node.chain_update(self.mth(left).0)
                    .chain_update(self.mth(right).0)
            }
        };
        let root = Hash(root.finalize().into());
        self.roots.insert(entries, root);
        root
    }

    /// Returns `PATH(m, D[start:end])`.
    pub(crate) fn path(&mut self, m: u64, entries: Range<u64>) -> Vec<Hash> {
        let n = entries.end - entries.start;
        if n == 1 {
            return Vec::new();
        }
        let k = largest_power_of_two_below(n);
        let [left, right] = [
            entries.start..entries.start + k,
            entries.start + k..entries.end,
        ];
        if m < k {
            let mut path = self.path(m, left);
            path.push(self.mth(right));
            path
        } else {
            let mut path = self.path(m - k, right);
            path.push(self.mth(left));
            path
        }
    }

    /// Returns `SUBPROOF(m, D[start:end], is_known)`.
    pub(crate) fn subproof(&mut self, m: u64, entries: Range<u64>, is_known: bool) -> Vec<Hash> {
        let n = entries.end - entries.start;
        if m == n && is_known {
            return Vec::new();
        }
        if m == n {
            return vec![self.mth(entries)];
        }
        let k = largest_power_of_two_below(n);
        let [left, right] = [
            entries.start..entries.start + k,
            entries.start + k..entries.end,
        ];
        if m <= k {
            let mut proof = self.subproof(m, left, is_known);
            proof.push(self.mth(right));
            proof
        } else {
            let mut proof = self.subproof(m - k, right, false);
            proof.push(self.mth(left));
            proof
        }
    }
}

fn largest_power_of_two_below(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}
