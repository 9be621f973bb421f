//! A leaf has one form: what can be read at all is written again byte for byte. So is a retry policy, which is part of one.

use avow::log::configuration_fact::{policy_bytes, policy_of_bytes};
use avow::log::entry::Leaf;

/// Reads the bytes as a leaf, and as a policy.
pub(crate) fn holds(bytes: &[u8]) {
    if let Ok(leaf) = Leaf::decode(bytes) {
        assert_eq!(leaf.encode(), bytes, "{leaf:?}");
    }
    if let Ok(policy) = policy_of_bytes(bytes) {
        assert_eq!(policy_bytes(&policy), bytes, "{policy:?}");
    }
}
