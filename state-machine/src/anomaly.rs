//! Anomalies: strange facts, kept and shown, never errors.

use crate::event::{Event, EventType, Status};
use crate::id::EventId;
use crate::time::Timestamp;

macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $name:literal,)*) => {
        /// The rule that a strange fact broke.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// Every rule, in the order of their names.
            pub const ALL: &'static [Self] = &[$(Self::$rule),*];

            /// Returns the rule's stable name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$rule => $name,)*
                }
            }
        }
    };
}

rules! {
    /// `canceled` for a session that is redacted.
    CanceledAfterRedacted = "canceled_after_redacted",
    /// `canceled`, not by redaction, for a session that is verified.
    CanceledAfterVerified = "canceled_after_verified",
    /// `canceled`, not by redaction, for a session that is canceled.
    CanceledRepeated = "canceled_repeated",
    /// `created` for a session that is canceled.
    CreatedAfterCanceled = "created_after_canceled",
    /// `created` for a session that is in processing.
    CreatedAfterProcessing = "created_after_processing",
    /// `created` for a session that is redacted.
    CreatedAfterRedacted = "created_after_redacted",
    /// `created` for a session that waits for the user already.
    CreatedAfterRequiresInput = "created_after_requires_input",
    /// `created` for a session that is verified.
    CreatedAfterVerified = "created_after_verified",
    /// An observation of a redacted session that does not say that it is redacted.
    ObservedAfterRedacted = "observed_after_redacted",
    /// `processing` for a session that is canceled.
    ProcessingAfterCanceled = "processing_after_canceled",
    /// `processing` for a session that is redacted.
    ProcessingAfterRedacted = "processing_after_redacted",
    /// `processing` for a session that is verified.
    ProcessingAfterVerified = "processing_after_verified",
    /// `processing` for a session that is in processing.
    ProcessingRepeated = "processing_repeated",
    /// `requires_input` for a session that is canceled.
    RequiresInputAfterCanceled = "requires_input_after_canceled",
    /// `requires_input` for a session that is redacted.
    RequiresInputAfterRedacted = "requires_input_after_redacted",
    /// Snapshots disagree about when the session was created.
    SessionCreatedChanged = "session_created_changed",
    /// The snapshot's status is not the one that its event type announces.
    StatusMismatch = "status_mismatch",
    /// The snapshot has no status.
    StatusMissing = "status_missing",
    /// The snapshot's status is none that Stripe's API has.
    StatusUnknown = "status_unknown",
    /// Events name different users for one session.
    UserChanged = "user_changed",
    /// `verified` for a session that is canceled.
    VerifiedAfterCanceled = "verified_after_canceled",
    /// `verified` for a session that is redacted.
    VerifiedAfterRedacted = "verified_after_redacted",
}

/// A strange fact of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anomaly {
    /// What it broke.
    pub rule: Rule,
    /// The event that broke it.
    pub event: EventId,
    /// When that event happened, at Stripe.
    pub at: Timestamp,
}

impl Anomaly {
    /// Returns the anomaly that this event is by this rule.
    pub(crate) fn of(rule: Rule, event: &Event) -> Self {
        Self {
            rule,
            event: event.id.clone(),
            at: event.created,
        }
    }
}

/// Returns what is strange about a snapshot's status, seen with nothing but its event's type.
pub(crate) fn of_status(event: &Event) -> Option<Rule> {
    use Status::{Canceled, Other, Processing, RequiresInput, Verified};
    let status = event.status.as_ref();
    let is_as_announced = match event.event_type {
        EventType::Created | EventType::RequiresInput => status == Some(&RequiresInput),
        EventType::Processing => status == Some(&Processing),
        EventType::Verified => status == Some(&Verified),
        // Redaction announces itself as a cancelation, and leaves a verified session's status as it is.
        EventType::Canceled if event.redaction.is_some() => {
            matches!(status, Some(Canceled | Verified))
        }
        EventType::Canceled => status == Some(&Canceled),
        EventType::Observed | EventType::Redacted => true,
    };
    match status {
        _ if event.event_type == EventType::Observed => None, // the transition table has rows for it
        None => Some(Rule::StatusMissing),
        Some(Other(_)) => Some(Rule::StatusUnknown),
        Some(RequiresInput | Processing | Verified | Canceled) => {
            (!is_as_announced).then_some(Rule::StatusMismatch)
        }
    }
}
