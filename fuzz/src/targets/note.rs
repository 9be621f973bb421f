//! A note that can be read is written again byte for byte.

use avow::transparency::note::Note;

/// Reads the bytes as a note.
pub(crate) fn holds(bytes: &[u8]) {
    if let Ok(note) = Note::parse(bytes) {
        assert_eq!(note.to_string().as_bytes(), bytes);
    }
}
