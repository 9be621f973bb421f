//! The tree is RFC 6962's: roots and proofs of every small size against the definition and an independent
//! implementation, and no proof that was touched is accepted.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;

use avow::transparency::frontier::Frontier;
use avow::transparency::hash::{EMPTY_ROOT, Hash, TreeHead, leaf_hash};
use avow::transparency::proof::{
    ProofError, ProveError, check_consistency, check_inclusion, consistency_proof, inclusion_proof,
};
use avow::transparency::subtree::{ReadError, head_at};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use sha2::{Digest, Sha256};

/// Two full tiles and a part of a third, and enough for a second level.
const SIZE_MAX: u64 = 600;

/// A tree as a store keeps it: the hashes of each tile level.
pub(crate) struct StoredTree {
    levels: [Vec<Hash>; 8],
    frontier: Frontier,
}

impl StoredTree {
    pub(crate) fn of(leaves: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut tree = Self {
            levels: Default::default(),
            frontier: Frontier::new(),
        };
        for leaf in leaves {
            let Self { levels, frontier } = &mut tree;
            frontier.push(leaf_hash(&leaf), |level, hash| {
                levels[usize::from(level)].push(hash);
            });
        }
        tree
    }

    pub(crate) fn read(&self, level: u8, hashes: Range<u64>) -> Result<Vec<Hash>, Infallible> {
        let [start, end] = [hashes.start, hashes.end].map(|index| index.try_into().unwrap());
        Ok(self.levels[usize::from(level)][start..end].to_vec())
    }

    pub(crate) fn head_at(&self, size: u64) -> TreeHead {
        head_at(size, |level, hashes| self.read(level, hashes)).unwrap()
    }

    pub(crate) fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        inclusion_proof(index, size, |level, hashes| self.read(level, hashes)).unwrap()
    }

    pub(crate) fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        consistency_proof(old, new, |level, hashes| self.read(level, hashes)).unwrap()
    }
}

pub(crate) fn leaves(count: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|index| index.to_be_bytes().to_vec())
}

/// RFC 6962 section 2.1, word for word, over the leaves that [`leaves`] yields.
#[derive(Default)]
struct Definition {
    hashes: HashMap<Range<u64>, [u8; 32]>,
}

impl Definition {
    fn mth(&mut self, entries: Range<u64>) -> [u8; 32] {
        if let Some(hash) = self.hashes.get(&entries) {
            return *hash;
        }
        let mut sha256 = Sha256::new();
        match entries.end - entries.start {
            0 => {}
            1 => {
                sha256.update([0]);
                sha256.update(entries.start.to_be_bytes());
            }
            n => {
                let k = entries.start + largest_power_of_two_below(n);
                sha256.update([1]);
                sha256.update(self.mth(entries.start..k));
                sha256.update(self.mth(k..entries.end));
            }
        }
        let hash = sha256.finalize().into();
        self.hashes.insert(entries, hash);
        hash
    }

    fn path(&mut self, m: u64, entries: Range<u64>) -> Vec<Hash> {
        let n = entries.end - entries.start;
        if n == 1 {
            return Vec::new();
        }
        let k = largest_power_of_two_below(n);
        let middle = entries.start + k;
        let (mut path, sibling) = if m < k {
            (self.path(m, entries.start..middle), middle..entries.end)
        } else {
            (self.path(m - k, middle..entries.end), entries.start..middle)
        };
        path.push(Hash(self.mth(sibling)));
        path
    }

    fn subproof(&mut self, m: u64, entries: Range<u64>, is_known: bool) -> Vec<Hash> {
        let n = entries.end - entries.start;
        if m == n {
            return if is_known {
                Vec::new()
            } else {
                vec![Hash(self.mth(entries))]
            };
        }
        let k = largest_power_of_two_below(n);
        let middle = entries.start + k;
        let (mut proof, sibling) = if m <= k {
            let proof = self.subproof(m, entries.start..middle, is_known);
            (proof, middle..entries.end)
        } else {
            let proof = self.subproof(m - k, middle..entries.end, false);
            (proof, entries.start..middle)
        };
        proof.push(Hash(self.mth(sibling)));
        proof
    }
}

fn largest_power_of_two_below(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

#[test]
fn every_small_tree_has_the_root_that_rfc_6962_defines() {
    let tree = StoredTree::of(leaves(SIZE_MAX));
    let mut definition = Definition::default();
    let mut grown = Frontier::new();
    let mut independent = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for size in 0..=SIZE_MAX {
        let root = Hash(definition.mth(0..size));

        assert_eq!(tree.head_at(size), TreeHead { size, root });
        assert_eq!(grown.head(), TreeHead { size, root });
        if size > 0 {
            assert_eq!(independent.root().as_bytes().as_slice(), root.0);
        }

        let read = Frontier::read(size, |level, hashes| tree.read(level, hashes)).unwrap();
        assert_eq!(read, grown);
        let leaf = size.to_be_bytes().to_vec();
        grown.push(leaf_hash(&leaf), |_, _| {});
        independent.push(leaf);
    }
}

#[test]
fn every_leaf_of_every_small_tree_has_the_inclusion_proof_that_rfc_6962_defines() {
    let tree = StoredTree::of(leaves(SIZE_MAX));
    let mut definition = Definition::default();
    for size in 1..=SIZE_MAX {
        let head = tree.head_at(size);
        for (index, leaf) in (0..size).zip(leaves(size)) {
            let proof = tree.inclusion(index, size);

            assert_eq!(proof, definition.path(index, 0..size), "{index} of {size}");
            assert_eq!(
                check_inclusion(&leaf_hash(&leaf), index, &head, &proof),
                Ok(())
            );
        }
    }
}

#[test]
fn every_two_small_trees_have_the_consistency_proof_that_rfc_6962_defines() {
    let tree = StoredTree::of(leaves(SIZE_MAX));
    let mut definition = Definition::default();
    for new_size in 1..=SIZE_MAX {
        let new = tree.head_at(new_size);
        for old_size in 1..=new_size {
            let proof = tree.consistency(old_size, new_size);

            let defined = definition.subproof(old_size, 0..new_size, true);
            assert_eq!(proof, defined, "{old_size} to {new_size}");
            assert_eq!(
                check_consistency(&tree.head_at(old_size), &new, &proof),
                Ok(())
            );
        }
    }
}
