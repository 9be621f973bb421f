//! A proof is accepted exactly if the algorithm of RFC 9162, written down as it stands there, accepts it; and one that a
//! tree has made, and nobody has touched, is.
//!
//! The bytes: what is proved, how many leaves, which leaf or older size, and what is done to the proof.

use std::ops::Range;

use avow::transparency::hash::{Hash, TreeHead, leaf_hash, node_hash};
use avow::transparency::proof::{
    check_consistency, check_inclusion, consistency_proof, inclusion_proof,
};
use avow::transparency::subtree::head_at;

/// Proves, changes and checks.
pub(crate) fn holds(bytes: &[u8]) {
    let [kind, size, inner, changes @ ..] = bytes else {
        return;
    };
    let (size, inner) = (u64::from(*size), u64::from(*inner));
    if inner > size {
        return;
    }
    let is_inclusion = kind.is_multiple_of(2);
    let proof = if is_inclusion {
        inclusion_proof(inner, size, read)
    } else {
        consistency_proof(inner, size, read)
    };
    let Ok(proof) = proof else {
        assert!(is_inclusion && inner >= size);
        return;
    };
    let mut claim = Claim {
        inner,
        leaf: leaf(inner),
        old_root: head(inner).root,
        tree: head(size),
        proof,
    };
    assert!(claim.check(is_inclusion), "a true proof is refused");
    for change in changes.chunks_exact(10) {
        claim.change(change);
    }
    assert_eq!(claim.check(is_inclusion), claim.check_again(is_inclusion));
}

struct Claim {
    /// The index of a leaf, or the older size.
    inner: u64,
    leaf: Hash,
    old_root: Hash,
    tree: TreeHead,
    proof: Vec<Hash>,
}

impl Claim {
    /// Changes something: the first byte says what, the second where, the others are a number.
    fn change(&mut self, change: &[u8]) {
        let [what, place, number @ ..] = change else {
            return;
        };
        let mut bytes = [0; 8];
        bytes.copy_from_slice(number);
        let (place, number) = (usize::from(*place), u64::from_le_bytes(bytes));
        match what % 8 {
            0 => self.inner = number,
            1 => self.tree.size = number,
            2 => self.tree.root.0[place % 32] ^= bytes[0],
            3 => self.old_root.0[place % 32] ^= bytes[0],
            4 => self
                .proof
                .insert(place % (self.proof.len() + 1), leaf(number)),
            5 if !self.proof.is_empty() => {
                self.proof.remove(place % self.proof.len());
            }
            6 => self.leaf = leaf(number),
            // Another tree, whose root is right.
            _ => self.tree = head(number % 256),
        }
    }

    fn check(&self, is_inclusion: bool) -> bool {
        if is_inclusion {
            check_inclusion(&self.leaf, self.inner, &self.tree, &self.proof).is_ok()
        } else {
            let old = TreeHead {
                size: self.inner,
                root: self.old_root,
            };
            check_consistency(&old, &self.tree, &self.proof).is_ok()
        }
    }

    fn check_again(&self, is_inclusion: bool) -> bool {
        if is_inclusion {
            self.includes()
        } else {
            self.continues()
        }
    }

    /// RFC 9162, section 2.1.3.2.
    fn includes(&self) -> bool {
        if self.inner >= self.tree.size {
            return false;
        }
        let (mut node, mut last) = (self.inner, self.tree.size - 1);
        let mut root = self.leaf;
        for hash in &self.proof {
            if last == 0 {
                return false;
            }
            if node & 1 == 1 || node == last {
                root = node_hash(hash, &root);
                while node & 1 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                root = node_hash(&root, hash);
            }
            node >>= 1;
            last >>= 1;
        }
        last == 0 && root == self.tree.root
    }

    /// RFC 9162, section 2.1.4.2, and what it leaves to the reader: equal sizes, and the empty tree.
    fn continues(&self) -> bool {
        let (old, new) = (self.inner, self.tree.size);
        if old == new || old == 0 {
            let is_empty = old != 0 || self.old_root == head(0).root;
            let is_same = old != new || self.old_root == self.tree.root;
            return self.proof.is_empty() && is_empty && is_same;
        }
        if old > new {
            return false;
        }
        let mut path = self.proof.clone();
        if old.is_power_of_two() {
            path.insert(0, self.old_root);
        }
        let Some((first, rest)) = path.split_first() else {
            return false;
        };
        let (mut node, mut last) = (old - 1, new - 1);
        while node & 1 == 1 {
            node >>= 1;
            last >>= 1;
        }
        let (mut old_root, mut new_root) = (*first, *first);
        for hash in rest {
            if last == 0 {
                return false;
            }
            if node & 1 == 1 || node == last {
                old_root = node_hash(hash, &old_root);
                new_root = node_hash(hash, &new_root);
                while node & 1 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                new_root = node_hash(&new_root, hash);
            }
            node >>= 1;
            last >>= 1;
        }
        last == 0 && old_root == self.old_root && new_root == self.tree.root
    }
}

fn leaf(number: u64) -> Hash {
    leaf_hash(&number.to_le_bytes())
}

fn head(size: u64) -> TreeHead {
    head_at(size, read).unwrap()
}

/// Reads the tree whose leaves are the numbers; it is too small for a second level.
fn read(level: u8, hashes: Range<u64>) -> Result<Vec<Hash>, u8> {
    match level {
        0 => Ok(hashes.map(leaf).collect()),
        level => Err(level),
    }
}
