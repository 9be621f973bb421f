//! Policies: by which one is decided, how each is named, and that the log knows when which came into force.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};
use state_machine::horizon::Horizon;
use state_machine::id::SequenceNumber;
use state_machine::retry::policy::Policy;

use super::Service;
use super::in_force::InForce;
use crate::log::{AppendError, Log};
use crate::projections::policies::{RecordedPolicy, in_force};
use crate::projections::store::StoreError;
use crate::projections::view::View;

/// A policy that decides, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPolicy {
    /// The policy.
    pub policy: Policy,
    /// The hash that names it.
    pub hash: String,
    /// The entry that says that it decides from there on; none where the log records no policy.
    pub recorded: Option<SequenceNumber>,
}

impl NamedPolicy {
    /// Names a policy.
    pub fn new(policy: Policy, recorded: Option<SequenceNumber>) -> Self {
        let hash = hash(&policy);
        Self {
            policy,
            hash,
            recorded,
        }
    }
}

impl From<&RecordedPolicy> for NamedPolicy {
    fn from(recorded: &RecordedPolicy) -> Self {
        Self::new(recorded.policy.clone(), Some(recorded.arrival.sequence))
    }
}

/// The policy in force, and whether the log is still to be told of it.
pub(super) struct PolicyInForce {
    policy: InForce<NamedPolicy>,
    /// Whether the log is told at all: a service that only reads leaves it alone.
    records: bool,
    is_unrecorded: AtomicBool,
    /// Whether it was said that the log does not take it: once, not with each try.
    is_refused: AtomicBool,
}

impl PolicyInForce {
    pub(super) fn new(policy: Policy, records: bool) -> Self {
        Self {
            policy: InForce::new(NamedPolicy::new(policy, None)),
            records,
            is_unrecorded: AtomicBool::new(records),
            is_refused: AtomicBool::new(false),
        }
    }

    pub(super) fn get(&self) -> Arc<NamedPolicy> {
        self.policy.get()
    }

    /// Returns what was in force before. The log is told of the other one within about a second.
    pub(super) fn replace(&self, other: Arc<NamedPolicy>) -> Arc<NamedPolicy> {
        let before = self.policy.replace(other);
        self.is_unrecorded.store(self.records, Ordering::SeqCst);
        before
    }

    /// Appends the policy, unless it is the last one that the log records; returns whether there is an entry to fold.
    /// Called by the projector alone, with all that was committed folded: so no policy is recorded twice in a row.
    pub(super) fn record(&self, log: &Log, view: &View) -> bool {
        if !self.is_unrecorded.swap(false, Ordering::SeqCst) {
            return false;
        }
        let policy = self.get().policy.clone();
        match recorded(log, view, policy) {
            Ok(is_new) => {
                self.is_refused.store(false, Ordering::SeqCst);
                is_new
            }
            Err(error) => {
                if !self.is_refused.swap(true, Ordering::SeqCst) {
                    tracing::warn!(error, "the retry policy in force is not in the log yet");
                }
                self.is_unrecorded.store(true, Ordering::SeqCst);
                false
            }
        }
    }
}

fn recorded(log: &Log, view: &View, policy: Policy) -> Result<bool, String> {
    let policies = view
        .policies()
        .map_err(|error: StoreError| error.to_string())?;
    if policies.last().is_some_and(|last| last.policy == policy) {
        return Ok(false);
    }
    let (sender, appended) = crossbeam_channel::bounded(1);
    log.append(log.prepare_policy(policy), move |result| {
        sender.send(result).ok();
    });
    match appended.recv() {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(AppendError::Closing.to_string()),
    }
}

impl Service {
    /// Returns the policy that decided within a horizon; where the log records none, the one that does today.
    pub(super) fn policy_within(
        &self,
        view: &View,
        horizon: &Horizon,
    ) -> Result<Arc<NamedPolicy>, StoreError> {
        if horizon.is_open() {
            return Ok(self.policy.get());
        }
        let policies = view.policies()?;
        let then = in_force(&policies, horizon).map(NamedPolicy::from);
        Ok(then.map_or_else(|| self.policy.get(), Arc::new))
    }
}

/// Returns 16 hex digits that differ between any two policies that decide differently.
pub fn hash(policy: &Policy) -> String {
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
