//! How many bytes that somebody else wrote are read: a hostile export or server gets no more of an auditor's memory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::manifest::MANIFEST;
use crate::transparency::bundle::LEAF_BYTES_MAX;
use crate::transparency::tile::TILE_WIDTH;

/// The longest tile.
const TILE_BYTES_MAX: u64 = 256 * 32;
/// The longest entry bundle: each leaf behind its length.
const ENTRIES_BYTES_MAX: u64 = 256 * (2 + 65_535);
/// The longest payloads of a bundle: each behind its length, and sealed from the longest body that a setting allows.
const PAYLOADS_BYTES_MAX: u64 = 256 * (4 + (4 << 20) + (64 << 10));
/// The longest manifest: that of some two hundred million entries.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// The longest of anything else that is read whole: notes, and answers in JSON.
const OTHERS_BYTES_MAX: u64 = 4 << 20;

const _: () = assert!(TILE_WIDTH == 256 && LEAF_BYTES_MAX == 65_535);

/// Returns how long the file or resource at a path of an export or a server may be.
pub(super) fn bytes_max(path: &str) -> u64 {
    let path = path.strip_prefix("v1/log/").unwrap_or(path);
    if path.starts_with("tile/entries/") {
        ENTRIES_BYTES_MAX
    } else if path.starts_with("tile/") {
        TILE_BYTES_MAX
    } else if path.starts_with("payloads/") {
        PAYLOADS_BYTES_MAX
    } else if path == MANIFEST {
        MANIFEST_BYTES_MAX
    } else {
        OTHERS_BYTES_MAX
    }
}

/// Reads a file below a directory. One that is too long is cut one byte beyond its bound, where nothing that is checked
/// can end; what is no file, and might never end, is not opened.
pub(super) fn read(directory: &Path, path: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(&directory.join(path))?
        .take(bytes_max(path) + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens what is a file.
pub(super) fn open(path: &Path) -> io::Result<File> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("this is no file"));
    }
    File::open(path)
}
