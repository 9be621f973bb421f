//! A witness, as whoever submits to it knows it.

use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

use super::exchange::Trouble;
use crate::log::tree::witnesses::WitnessState;
use crate::transparency::policy;

/// The longest time for which a witness that failed is left alone.
const BACKOFF_MAX: Duration = Duration::from_mins(1);

/// A witness of the policy that can be asked.
pub(super) struct Peer {
    pub(super) witness: policy::Witness,
    /// Where it takes checkpoints.
    pub(super) url: Url,
    /// The size of the checkpoint that it cosigned last. It is the witness that knows: it says so when this is wrong.
    pub(super) known_size: u64,
    has_cosigned: bool,
    trouble: Option<String>,
    failures: u32,
    leave_alone_until: Option<Instant>,
}

impl Peer {
    pub(super) fn new(witness: policy::Witness, url: Url) -> Self {
        Self {
            witness,
            url,
            known_size: 0,
            has_cosigned: false,
            trouble: None,
            failures: 0,
            leave_alone_until: None,
        }
    }

    /// Returns how it fares.
    pub(super) fn state(&self) -> WitnessState {
        WitnessState {
            name: self.witness.name.clone(),
            size: self.known_size,
            trouble: self.trouble.clone(),
        }
    }

    /// Learns that there is another checkpoint to cosign.
    pub(super) fn begin(&mut self) {
        self.has_cosigned = false;
    }

    /// Returns whether it is to be asked at this time.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.has_cosigned && self.leave_alone_until.is_none_or(|until| until <= now)
    }

    /// Learns that it cosigned the tree of this size.
    pub(super) fn succeed(&mut self, size: u64) {
        if self.trouble.take().is_some() {
            tracing::info!(witness = self.witness.name, "the witness cosigns again");
        }
        self.known_size = size;
        self.has_cosigned = true;
        self.failures = 0;
        self.leave_alone_until = None;
    }

    /// Learns that it did not cosign. This is told once, until something else is the matter; the witness is tried again
    /// in the next round, and then less and less often.
    pub(super) fn fail(&mut self, trouble: &Trouble, now: Instant, interval: Duration) {
        let text = trouble.to_string();
        if self.trouble.as_ref() != Some(&text) {
            let (witness, cause) = (&self.witness.name, trouble.cause());
            if trouble.is_alarming() {
                tracing::error!(witness, cause, "a witness refuses to cosign: {trouble}");
            } else {
                tracing::warn!(witness, cause, "a witness does not cosign: {trouble}");
            }
        }
        self.trouble = Some(text);
        let rounds = 2_u32.saturating_pow(self.failures) - 1;
        self.failures = self.failures.saturating_add(1);
        self.leave_alone_until = Some(now + interval.saturating_mul(rounds).min(BACKOFF_MAX));
    }
}
