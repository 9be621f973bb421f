//! States and transitions: what a session is, and one step of how it came to be that.

use crate::anomaly::Rule;
use crate::event::{EventType, LastError};
use crate::id::{EventId, ReportId};
use crate::time::Timestamp;

/// The state of a session, with the data that belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// No event that states a status was folded yet.
    #[default]
    Unseen,
    /// Stripe waits for the user.
    RequiresInput {
        /// When the session entered this state.
        since: Timestamp,
        /// The failure that was reported last, or `None` for a session that is as it was born.
        last_error: Option<LastErrorAt>,
    },
    /// A submission is being checked.
    Processing {
        /// When the session entered this state.
        since: Timestamp,
    },
    /// The identity is verified.
    Verified {
        /// When the session entered this state.
        at: Timestamp,
        /// The report that proves it.
        report: Option<ReportId>,
    },
    /// The session is closed.
    Canceled {
        /// When the session entered this state.
        at: Timestamp,
        /// Whether it was canceled because it is being redacted.
        by_redaction: bool,
    },
    /// Its personal data is gone, at Stripe: final.
    Redacted {
        /// When the session entered this state.
        at: Timestamp,
    },
}

impl State {
    /// Returns the state's name.
    pub fn name(&self) -> StateName {
        match self {
            Self::Unseen => StateName::Unseen,
            Self::RequiresInput { .. } => StateName::RequiresInput,
            Self::Processing { .. } => StateName::Processing,
            Self::Verified { .. } => StateName::Verified,
            Self::Canceled { .. } => StateName::Canceled,
            Self::Redacted { .. } => StateName::Redacted,
        }
    }

    /// Returns when the session entered this state.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Unseen => None,
            Self::RequiresInput { since: at, .. }
            | Self::Processing { since: at }
            | Self::Verified { at, .. }
            | Self::Canceled { at, .. }
            | Self::Redacted { at } => Some(*at),
        }
    }

    /// Returns the failure that the user has to act upon.
    pub fn last_error(&self) -> Option<&LastErrorAt> {
        match self {
            Self::RequiresInput { last_error, .. } => last_error.as_ref(),
            Self::Unseen
            | Self::Processing { .. }
            | Self::Verified { .. }
            | Self::Canceled { .. }
            | Self::Redacted { .. } => None,
        }
    }
}

/// A last error, and when it was reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastErrorAt {
    /// What Stripe said.
    pub error: LastError,
    /// When.
    pub at: Timestamp,
}

/// The name of a state, without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// No event that states a status was folded yet.
    Unseen,
    /// `requires_input`
    RequiresInput,
    /// `processing`
    Processing,
    /// `verified`
    Verified,
    /// `canceled`
    Canceled,
    /// `redacted`
    Redacted,
}

impl StateName {
    /// Every name, in the order of the transition table.
    pub const ALL: [Self; 6] = [
        Self::Unseen,
        Self::RequiresInput,
        Self::Processing,
        Self::Verified,
        Self::Canceled,
        Self::Redacted,
    ];

    /// Returns the name as HTTP and CLI spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unseen => "unseen",
            Self::RequiresInput => "requires_input",
            Self::Processing => "processing",
            Self::Verified => "verified",
            Self::Canceled => "canceled",
            Self::Redacted => "redacted",
        }
    }
}

/// How expected a step was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// ✓: the event was expected in that state.
    Expected,
    /// ~: the event was followed; a step before it was not seen.
    Inferred,
    /// !: the event is kept as an anomaly, and the state stands.
    Anomaly(Rule),
}

impl Mark {
    /// Returns the sign that the transition table has for it.
    pub fn sign(self) -> char {
        match self {
            Self::Expected => '✓',
            Self::Inferred => '~',
            Self::Anomaly(_) => '!',
        }
    }
}

/// One step of a fold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The stable id of the row (of its branch, where a row has several).
    pub row: &'static str,
    /// How expected it was.
    pub mark: Mark,
    /// The event that was folded.
    pub event: EventId,
    /// Its type.
    pub event_type: EventType,
    /// When it happened, at Stripe.
    pub at: Timestamp,
    /// The state before.
    pub from: StateName,
    /// The state after.
    pub to: StateName,
    /// What the row means, in one sentence.
    pub meaning: &'static str,
}
