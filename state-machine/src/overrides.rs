//! Overrides: what an operator decided about a user; facts like any other.
//!
//! Whoever asks what held at an earlier time leaves out the overrides made after it, as with events.

use crate::id::EventId;
use crate::time::Timestamp;

/// What an operator decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// So many attempts more than the policy allows.
    Grant {
        /// How many.
        attempts: u32,
    },
    /// What came before no longer counts against the user.
    Reset,
    /// No more attempts.
    Block,
    /// Lifts a block.
    Unblock,
}

/// An override of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Its own id.
    pub id: EventId,
    /// What was decided.
    pub action: Action,
    /// When.
    pub at: Timestamp,
    /// When it ends by itself; `None` for never.
    pub expires: Option<Timestamp>,
}

impl Override {
    /// Returns whether the override has not ended by itself at `now`.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}
