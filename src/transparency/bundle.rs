//! The bytes of an entry bundle: each leaf behind its length in two bytes, big-endian.

use super::tile::EntryBundle;

/// The longest leaf that an entry bundle can hold.
pub const LEAF_BYTES_MAX: usize = 65_535;

/// A leaf that is longer than [`LEAF_BYTES_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a leaf of an entry bundle has at most {LEAF_BYTES_MAX} bytes")]
pub struct LeafTooLong;

/// Why bytes are not those of an entry bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// They end within a leaf or its length, or hold too few leaves.
    #[error("the entry bundle ends before its last leaf")]
    TooShort,
    /// They go on.
    #[error("the entry bundle goes on behind its last leaf")]
    TooLong,
}

/// Appends a leaf to the bytes of a bundle.
pub fn put_leaf(bundle: &mut Vec<u8>, leaf: &[u8]) -> Result<(), LeafTooLong> {
    let length = u16::try_from(leaf.len()).map_err(|_| LeafTooLong)?;
    bundle.extend(length.to_be_bytes());
    bundle.extend(leaf);
    Ok(())
}

/// Returns the leaves of a bundle, as many as it has entries.
pub fn leaves(bundle: EntryBundle, mut bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let leaves = bundle
        .entries()
        .map(|_| {
            let (length, rest) = bytes.split_first_chunk().ok_or(BundleError::TooShort)?;
            let (leaf, rest) = rest
                .split_at_checked(u16::from_be_bytes(*length).into())
                .ok_or(BundleError::TooShort)?;
            bytes = rest;
            Ok(leaf)
        })
        .collect::<Result<_, _>>()?;
    if bytes.is_empty() {
        Ok(leaves)
    } else {
        Err(BundleError::TooLong)
    }
}
