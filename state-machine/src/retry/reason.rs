//! Reasons: the facts that led to a decision, as data.

use crate::id::{ErrorCode, OverrideId, SessionId};
use crate::retry::policy::ErrorClass;
use crate::time::Timestamp;

/// A fact that led to an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// This session is verified.
    SessionVerified {
        /// The session.
        session: SessionId,
        /// Since when.
        at: Timestamp,
    },
    /// This session is in processing.
    SessionProcessing {
        /// The session.
        session: SessionId,
        /// Since when.
        since: Timestamp,
    },
    /// An operator blocked the user.
    Block {
        /// The override.
        id: OverrideId,
        /// When it was made.
        at: Timestamp,
        /// When it ends by itself.
        expires: Option<Timestamp>,
    },
    /// A session reported an error whose class decides.
    Error {
        /// The session.
        session: SessionId,
        /// The code.
        code: ErrorCode,
        /// What the policy makes of it.
        class: ErrorClass,
        /// When it was reported.
        at: Timestamp,
    },
    /// This attempt counts, and is in the window.
    Attempt {
        /// Its session.
        session: SessionId,
        /// When it was first seen.
        at: Timestamp,
        /// When it leaves the window.
        leaves_at: Timestamp,
    },
    /// So many failures in the window ask for this long a wait.
    Cooldown {
        /// How many.
        failures: u32,
        /// When the last verdict of them came.
        last_at: Timestamp,
        /// How long, in seconds.
        seconds: u32,
    },
    /// An operator granted attempts.
    Grant {
        /// The override.
        id: OverrideId,
        /// How many attempts.
        attempts: u32,
        /// When it ends by itself.
        expires: Option<Timestamp>,
    },
    /// An operator let everything up to here count no longer.
    Reset {
        /// The override.
        id: OverrideId,
        /// When it was made.
        at: Timestamp,
        /// When it ends by itself.
        expires: Option<Timestamp>,
    },
}

impl Reason {
    /// Returns the stable name of the kind of reason.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SessionVerified { .. } => "session_verified",
            Self::SessionProcessing { .. } => "session_processing",
            Self::Block { .. } => "block",
            Self::Error { .. } => "error",
            Self::Attempt { .. } => "attempt",
            Self::Cooldown { .. } => "cooldown",
            Self::Grant { .. } => "grant",
            Self::Reset { .. } => "reset",
        }
    }
}
