//! Overrides: what an operator decided about a user; facts like any other.
//!
//! Whoever asks what held at an earlier time leaves out the overrides made after it, as with events.

use crate::history::Arrival;
use crate::id::OverrideId;
use crate::time::Timestamp;

/// What an operator decided.
///
/// Of blocks and unblocks in force the latest holds, grants in force add up, and of resets in force the one counts that
/// forgives most. So what ends by itself gives way to what was decided before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// So many attempts more than the policy allows, in every window while it is in force.
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

impl Action {
    /// Returns the action's stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant { .. } => "grant",
            Self::Reset => "reset",
            Self::Block => "block",
            Self::Unblock => "unblock",
        }
    }

    /// Returns how many attempts it grants, if it grants any.
    pub fn attempts(self) -> Option<u32> {
        match self {
            Self::Grant { attempts } => Some(attempts),
            Self::Reset | Self::Block | Self::Unblock => None,
        }
    }
}

/// An override of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// Its own id.
    pub id: OverrideId,
    /// What was decided.
    pub action: Action,
    /// When it ends by itself; `None` for never.
    pub expires: Option<Timestamp>,
    /// When it was made. Its place in the log says which of two is the later one: a clock may have been set back.
    pub arrival: Arrival,
}

impl Override {
    /// Returns when it was made.
    pub fn at(&self) -> Timestamp {
        self.arrival.received_at.second()
    }

    /// Returns whether the override has not ended by itself at `now`.
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}
