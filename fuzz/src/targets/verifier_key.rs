//! Keys and hashes have one spelling each: what can be read is written again as it was.

use avow::transparency::hash::Hash;
use avow::transparency::key::{KeyName, VerifierKey};

/// Reads the bytes as a verifier key, the name of one, and a hash.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Ok(key) = text.parse::<VerifierKey>() {
        assert_eq!(key.to_string(), text);
    }
    if let Ok(name) = text.parse::<KeyName>() {
        assert_eq!(name.to_string(), text);
    }
    if let Ok(hash) = text.parse::<Hash>() {
        assert_eq!(hash.to_string(), text);
    }
}
