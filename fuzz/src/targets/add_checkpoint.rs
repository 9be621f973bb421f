//! A request to a witness that can be read is written again byte for byte.

use avow::transparency::add_checkpoint::AddCheckpoint;

/// Reads the bytes as the body of a request.
pub(crate) fn holds(bytes: &[u8]) {
    if let Ok(request) = AddCheckpoint::parse(bytes) {
        assert_eq!(request.to_string().as_bytes(), bytes);
    }
}
