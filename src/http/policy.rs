//! A retry policy, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use state_machine::retry::policy::Policy;

use crate::service::policy::hash;

/// What a retry policy says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PolicyJson {
    /// The hash that names it.
    pub hash: String,
    /// How many counted attempts the window may hold.
    pub attempts_max: u32,
    /// The window.
    pub window_seconds: u32,
    /// How long a user waits after a counted failure.
    pub cooldown_seconds: u32,
    /// By how much each further failure multiplies that.
    pub cooldown_factor: u32,
    /// The longest wait.
    pub cooldown_max_seconds: u32,
    /// What each listed error code means; any other is counted.
    pub classes: BTreeMap<String, String>,
}

impl PolicyJson {
    /// Returns how a policy is told.
    pub fn of(policy: &Policy) -> Self {
        let classes = policy.classes.iter();
        Self {
            hash: hash(policy),
            attempts_max: policy.attempts_max,
            window_seconds: policy.window_seconds,
            cooldown_seconds: policy.cooldown_seconds,
            cooldown_factor: policy.cooldown_factor,
            cooldown_max_seconds: policy.cooldown_max_seconds,
            classes: classes
                .map(|(code, class)| (code.to_string(), class.as_str().to_owned()))
                .collect(),
        }
    }
}
