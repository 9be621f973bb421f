//! The name of a policy: a hash of everything that it says.

use sha2::{Digest, Sha256};
use state_machine::retry::policy::Policy;

/// A policy, and the hash that names it in every decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPolicy {
    /// The policy.
    pub policy: Policy,
    /// Its name.
    pub hash: String,
}

impl From<Policy> for NamedPolicy {
    fn from(policy: Policy) -> Self {
        let hash = hash(&policy);
        Self { policy, hash }
    }
}

/// Returns 16 hex digits that differ between any two policies that decide differently.
pub(super) fn hash(policy: &Policy) -> String {
    // Taken apart in full, so that a new field cannot be forgotten here.
    let Policy {
        attempts_max,
        window_seconds,
        cooldown_seconds,
        cooldown_factor,
        cooldown_max_seconds,
        classes,
    } = policy;
    let mut text = format!(
        "avow retry policy 1\nattempts_max {attempts_max}\nwindow_seconds {window_seconds}\n\
         cooldown_seconds {cooldown_seconds}\ncooldown_factor {cooldown_factor}\n\
         cooldown_max_seconds {cooldown_max_seconds}\n",
    );
    for (code, class) in classes {
        let class = class.as_str();
        text.extend(["class ", code.as_str(), " ", class, "\n"]);
    }
    let digest = Sha256::digest(text.as_bytes());
    hex::encode(digest.iter().take(8).copied().collect::<Vec<_>>())
}
