//! An event: what one Stripe event says of one session, without personal data.

use alloc::boxed::Box;

use crate::id::{ErrorCode, EventId, ReportId, UserTag};
use crate::time::Timestamp;

/// The six event types that Stripe sends for a verification session, and our own observation of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// `identity.verification_session.created`
    Created,
    /// `identity.verification_session.processing`
    Processing,
    /// `identity.verification_session.requires_input`
    RequiresInput,
    /// `identity.verification_session.verified`
    Verified,
    /// A snapshot that we fetched from Stripe's API: an authoritative statement of status at its time.
    Observed,
    /// `identity.verification_session.canceled`
    Canceled,
    /// `identity.verification_session.redacted`
    Redacted,
}

impl EventType {
    /// Every type, in the order of the transition table.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Processing,
        Self::RequiresInput,
        Self::Verified,
        Self::Observed,
        Self::Canceled,
        Self::Redacted,
    ];

    /// Returns the last word of the type's name, by which the transition table calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Processing => "processing",
            Self::RequiresInput => "requires_input",
            Self::Verified => "verified",
            Self::Observed => "observed",
            Self::Canceled => "canceled",
            Self::Redacted => "redacted",
        }
    }
}

/// The `status` of a session object, as Stripe spells it; the list is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Status {
    /// `requires_input`
    RequiresInput,
    /// `processing`
    Processing,
    /// `verified`
    Verified,
    /// `canceled`
    Canceled,
    /// A status that Stripe did not have when this was written.
    Other(Box<str>),
}

impl Status {
    /// Returns the status that `text` spells.
    pub fn parse(text: &str) -> Self {
        match text {
            "requires_input" => Self::RequiresInput,
            "processing" => Self::Processing,
            "verified" => Self::Verified,
            "canceled" => Self::Canceled,
            other => Self::Other(other.into()),
        }
    }

    /// Returns the status as Stripe spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::RequiresInput => "requires_input",
            Self::Processing => "processing",
            Self::Verified => "verified",
            Self::Canceled => "canceled",
            Self::Other(text) => text,
        }
    }
}

/// The `redaction.status` of a session object; the list is open.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RedactionStatus {
    /// `processing`: it takes up to four days.
    Processing,
    /// `redacted`
    Redacted,
    /// Another value; Stripe sends some that its schema does not list.
    Other(Box<str>),
}

impl RedactionStatus {
    /// Returns the redaction status that `text` spells.
    pub fn parse(text: &str) -> Self {
        match text {
            "processing" => Self::Processing,
            "redacted" => Self::Redacted,
            other => Self::Other(other.into()),
        }
    }

    /// Returns the redaction status as Stripe spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Processing => "processing",
            Self::Redacted => "redacted",
            Self::Other(text) => text,
        }
    }
}

/// The `last_error` of a session object, without its free text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LastError {
    /// The code, which Stripe may leave null.
    pub code: Option<ErrorCode>,
}

/// The facts of one event: a snapshot of its session at `created`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The event's own id.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// When it happened, at Stripe, with a grain of one second.
    pub created: Timestamp,
    /// When the session was created, if the snapshot says so.
    pub session_created: Option<Timestamp>,
    /// The snapshot's status, if it has one.
    pub status: Option<Status>,
    /// The snapshot's last error; `None` where Stripe says null.
    pub last_error: Option<LastError>,
    /// The snapshot's last verification report.
    pub report: Option<ReportId>,
    /// The snapshot's redaction status; `None` where Stripe says null.
    pub redaction: Option<RedactionStatus>,
    /// Whom the snapshot names as the session's user.
    pub user: Option<UserTag>,
}
