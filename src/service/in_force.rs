//! What is in force, and can be replaced while the service runs: the retry policy, and the webhook secrets.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use state_machine::retry::policy::Policy;

use super::Service;
use super::policy::NamedPolicy;
use crate::stripe::secret::Secrets;

/// A value that is replaced as a whole: whoever has begun with one ends with it.
pub(super) struct InForce<T>(RwLock<Arc<T>>);

impl<T> InForce<T> {
    pub(super) fn new(value: T) -> Self {
        Self(RwLock::new(Arc::new(value)))
    }

    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns what was in force before.
    pub(super) fn replace(&self, other: Arc<T>) -> Arc<T> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *current, other)
    }
}

impl Service {
    /// Returns the retry policy in force.
    pub fn policy(&self) -> Arc<NamedPolicy> {
        self.policy.get()
    }

    /// Puts another retry policy in force: from here on every decision is made by it, and names it. Returns it, unless
    /// it is the one that was in force. The only place where a policy changes; the log says so within about a second.
    pub fn replace_policy(&self, policy: Policy) -> Option<Arc<NamedPolicy>> {
        let policy = Arc::new(NamedPolicy::new(policy, None));
        // The same one stays, with what the log has said of it.
        if self.policy.get().hash == policy.hash {
            return None;
        }
        self.policy.replace(Arc::clone(&policy));
        Some(policy)
    }

    /// Puts other webhook secrets in force. Returns whether they are others.
    pub fn replace_secrets(&self, secrets: Secrets) -> bool {
        let secrets = Arc::new(secrets);
        let before = self.secrets.replace(Arc::clone(&secrets));
        let names = |secrets: &Secrets| {
            let names = secrets.iter().map(|secret| secret.fingerprint().0);
            names.collect::<BTreeSet<_>>()
        };
        names(&before) != names(&secrets)
    }
}
