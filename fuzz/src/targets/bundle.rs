//! The leaves and the payloads of a bundle are as many as its path says, and put together again they are its bytes.
//!
//! The bytes: how many entries the log has, less one, and the bundle.

use avow::transparency::bundle::{leaves, put_leaf};
use avow::transparency::payload_bundle::{payloads, put_payload};
use avow::transparency::tile::EntryBundle;

/// Reads the bytes as a bundle of leaves, and as one of payloads.
pub(crate) fn holds(bytes: &[u8]) {
    let Some((last, bytes)) = bytes.split_first() else {
        return;
    };
    let entries = u64::from(*last) + 1;
    let bundle = EntryBundle::holding(0, entries).unwrap();
    if let Ok(leaves) = leaves(bundle, bytes) {
        let mut again = Vec::new();
        for leaf in &leaves {
            put_leaf(&mut again, leaf).unwrap();
        }
        assert_eq!(again, bytes);
        assert_eq!(u64::try_from(leaves.len()), Ok(entries));
    }
    if let Ok(payloads) = payloads(bundle, bytes) {
        let mut again = Vec::new();
        for payload in &payloads {
            put_payload(&mut again, payload);
        }
        assert_eq!(again, bytes);
        assert_eq!(u64::try_from(payloads.len()), Ok(entries));
    }
}
