//! A receipt that can be read is written again byte for byte.

use avow::transparency::receipt::Receipt;

/// Reads the bytes as a receipt.
pub(crate) fn holds(bytes: &[u8]) {
    if let Ok(receipt) = Receipt::parse(bytes) {
        assert_eq!(receipt.to_string().as_bytes(), bytes);
    }
}
