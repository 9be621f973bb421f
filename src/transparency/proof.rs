//! Inclusion and consistency proofs of RFC 6962: made from a stored tree, and checked against heads.

use std::ops::Range;

use super::hash::{EMPTY_ROOT, Hash, TreeHead, node_hash};
use super::subtree::{ReadError, Subtree};

/// A tree that cannot hold what should be proved of it: it has no such leaf, or is smaller than the older tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{inner} does not lie within a tree of size {size}")]
pub struct OutsideTree {
    /// The index, or the older size.
    pub inner: u64,
    /// The size of the tree.
    pub size: u64,
}

/// Why a proof cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// There is no such proof.
    #[error(transparent)]
    OutsideTree(#[from] OutsideTree),
    /// Hashes of the stored tree are not there.
    #[error(transparent)]
    Read(#[from] ReadError<E>),
}

/// Why a proof does not show what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The tree has no such leaf.
    #[error("leaf {index} does not lie within a tree of size {size}")]
    OutsideTree {
        /// Where the leaf should be.
        index: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The tree that should be the older one is larger.
    #[error("size {old} is not one that a tree of size {new} has had")]
    Shrunk {
        /// The size that should be the older one.
        old: u64,
        /// The size that should be the newer one.
        new: u64,
    },
    /// A proof between these has another number of hashes.
    #[error("the proof has {found} hashes instead of {expected}")]
    WrongLength {
        /// How many hashes it has.
        found: usize,
        /// How many it must have.
        expected: usize,
    },
    /// The proof leads to another root than the older tree's.
    #[error("the proof does not lead to the older root")]
    OldRootDiffers,
    /// The proof leads to another root than the tree's.
    #[error("the proof does not lead to the root")]
    RootDiffers,
}

/// Proves that leaf `index` lies in the tree of the first `size` leaves.
pub fn inclusion_proof<E>(
    index: u64,
    size: u64,
    read: impl FnMut(u8, Range<u64>) -> Result<Vec<Hash>, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    Ok(roots(&inclusion_path(index, size)?, read)?)
}

/// Proves that the tree of the first `old_size` leaves is the beginning of that of `new_size`. Nothing has to be
/// proved where the two are equal or the old one is empty.
pub fn consistency_proof<E>(
    old_size: u64,
    new_size: u64,
    read: impl FnMut(u8, Range<u64>) -> Result<Vec<Hash>, E>,
) -> Result<Vec<Hash>, ProveError<E>> {
    Ok(roots(&consistency_path(old_size, new_size)?, read)?)
}

fn roots<E>(
    path: &[Subtree],
    mut read: impl FnMut(u8, Range<u64>) -> Result<Vec<Hash>, E>,
) -> Result<Vec<Hash>, ReadError<E>> {
    path.iter().map(|subtree| subtree.root(&mut read)).collect()
}

/// Returns the subtrees whose roots are the inclusion proof of a leaf: RFC 6962's `PATH`.
pub fn inclusion_path(index: u64, size: u64) -> Result<Vec<Subtree>, OutsideTree> {
    if index >= size {
        return Err(OutsideTree { inner: index, size });
    }
    let mut path = Vec::new();
    let mut subtree = Subtree::of_first(size);
    while let Some((left, right)) = subtree.halves() {
        let (within, beside) = if left.leaves().contains(&index) {
            (left, right)
        } else {
            (right, left)
        };
        path.push(beside);
        subtree = within;
    }
    path.reverse();
    Ok(path)
}

/// Returns the subtrees whose roots are the consistency proof between two sizes: RFC 6962's `PROOF`.
pub fn consistency_path(old_size: u64, new_size: u64) -> Result<Vec<Subtree>, OutsideTree> {
    if old_size > new_size {
        let (inner, size) = (old_size, new_size);
        return Err(OutsideTree { inner, size });
    }
    let mut path = Vec::new();
    if old_size == 0 {
        return Ok(path);
    }
    let mut subtree = Subtree::of_first(new_size);
    while subtree.leaves().end != old_size
        && let Some((left, right)) = subtree.halves()
    {
        let (within, beside) = if old_size <= left.leaves().end {
            (left, right)
        } else {
            (right, left)
        };
        path.push(beside);
        subtree = within;
    }
    // Whoever checks knows the root of the whole old tree; of a part of it they have to be told.
    if subtree.leaves().start > 0 {
        path.push(subtree);
    }
    path.reverse();
    Ok(path)
}

/// Checks that the leaf with this hash is the one at `index` of the tree.
pub fn check_inclusion(
    leaf: &Hash,
    index: u64,
    tree: &TreeHead,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let size = tree.size;
    if index >= size {
        return Err(ProofError::OutsideTree { index, size });
    }
    let path = Path::new(index, size - 1);
    check_length(proof, path.inner + path.border)?;
    if path.climb(leaf, proof) == tree.root {
        Ok(())
    } else {
        Err(ProofError::RootDiffers)
    }
}

/// Checks that the old tree is the beginning of the new one.
pub fn check_consistency(old: &TreeHead, new: &TreeHead, proof: &[Hash]) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(ProofError::Shrunk {
            old: old.size,
            new: new.size,
        });
    }
    if old.size == 0 || old.size == new.size {
        return check_without_proof(old, new, proof);
    }
    // The path starts from the last of the old tree's complete subtrees. The proof begins with its root, unless it is
    // the whole old tree, whose root is known.
    let height = old.size.trailing_zeros();
    let last = (old.size - 1) >> height;
    let path = Path::new(last, (new.size - 1) >> height);
    let told = usize::from(last != 0);
    check_length(proof, told + path.inner + path.border)?;
    let (start, proof) = match proof.split_first() {
        Some(split) if last != 0 => split,
        _ => (&old.root, proof),
    };
    if path.climb_within_old(start, proof) != old.root {
        return Err(ProofError::OldRootDiffers);
    }
    if path.climb(start, proof) != new.root {
        return Err(ProofError::RootDiffers);
    }
    Ok(())
}

/// Nothing needs to be proved of a tree and itself, nor of the empty tree, which begins every other.
fn check_without_proof(old: &TreeHead, new: &TreeHead, proof: &[Hash]) -> Result<(), ProofError> {
    check_length(proof, 0)?;
    if old.size == 0 && old.root != EMPTY_ROOT {
        return Err(ProofError::OldRootDiffers);
    }
    if old.size == new.size && old.root != new.root {
        return Err(ProofError::RootDiffers);
    }
    Ok(())
}

fn check_length(proof: &[Hash], expected: usize) -> Result<(), ProofError> {
    let found = proof.len();
    if found == expected {
        Ok(())
    } else {
        Err(ProofError::WrongLength { found, expected })
    }
}

/// The way from the node at `index` of its height up to the root.
struct Path {
    index: u64,
    /// How many steps it takes until it meets the tree's right edge: siblings on both sides.
    inner: usize,
    /// How many siblings are left along the right edge: each on the left.
    border: usize,
}

impl Path {
    /// Returns the path from `index` in a tree whose last node of that height is `last`.
    fn new(index: u64, last: u64) -> Self {
        let heights = 0..64;
        let inner = heights
            .clone()
            .take_while(|height| (index ^ last) >> height != 0)
            .count();
        let border = heights
            .skip(inner)
            .filter(|height| index >> height & 1 == 1)
            .count();
        Self {
            index,
            inner,
            border,
        }
    }

    /// Returns the root that the siblings lead to.
    fn climb(&self, start: &Hash, siblings: &[Hash]) -> Hash {
        (0..).zip(siblings).fold(*start, |node, (step, sibling)| {
            if step >= self.inner || self.is_right(step) {
                node_hash(sibling, &node)
            } else {
                node_hash(&node, sibling)
            }
        })
    }

    /// Returns the root of the tree that ended with the start: what stands to its right was not there yet.
    fn climb_within_old(&self, start: &Hash, siblings: &[Hash]) -> Hash {
        (0..)
            .zip(siblings)
            .filter(|(step, _)| *step >= self.inner || self.is_right(*step))
            .fold(*start, |node, (_, left)| node_hash(left, &node))
    }

    fn is_right(&self, step: usize) -> bool {
        self.index >> step & 1 == 1
    }
}
