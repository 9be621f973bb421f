//! A tile and a bundle have one path each, and what is read from it is what a tree that large has.

use avow::transparency::tile::{EntryBundle, Tile};

/// Reads the bytes as a path.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(path) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(tile) = path.parse::<Tile>() {
        assert_eq!(tile.to_string(), path);
        let hashes = tile.hashes();
        assert!(hashes.start < hashes.end && hashes.end - hashes.start <= 256);
        assert_eq!(hashes.start % 256, 0);
        let leaves = u64::from(tile.level()) * 8;
        let size = 1_u64.checked_shl(leaves.try_into().unwrap());
        if let Some(size) = size.and_then(|width| hashes.end.checked_mul(width)) {
            assert!(tile.is_within(size) && !tile.is_within(size - 1));
            assert_eq!(Tile::holding(tile.level(), hashes.start, size), Some(tile));
        }
    }
    if let Ok(bundle) = path.parse::<EntryBundle>() {
        assert_eq!(bundle.to_string(), path);
        let entries = bundle.entries();
        assert!(bundle.is_within(entries.end) && !bundle.is_within(entries.end - 1));
        assert_eq!(
            EntryBundle::holding(entries.start, entries.end),
            Some(bundle)
        );
    }
}
