//! The state machine's words as Stripe spells them. Stripe's lists are open: no unknown word is an error.

use state_machine::event::{EventType, RedactionStatus, Status};

/// What the type of every event of a verification session starts with.
pub const SESSION_EVENT_PREFIX: &str = "identity.verification_session.";

/// Returns the event type that Stripe spells `identity.verification_session.<name>`.
pub fn event_type(name: &str) -> Option<EventType> {
    match name {
        "created" => Some(EventType::Created),
        "processing" => Some(EventType::Processing),
        "requires_input" => Some(EventType::RequiresInput),
        "verified" => Some(EventType::Verified),
        "canceled" => Some(EventType::Canceled),
        "redacted" => Some(EventType::Redacted),
        _ => None,
    }
}

/// Returns the event type in Stripe's full spelling; `None` for our own observation, which Stripe never sends.
pub fn event_type_name(event_type: EventType) -> Option<&'static str> {
    match event_type {
        EventType::Created => Some("identity.verification_session.created"),
        EventType::Processing => Some("identity.verification_session.processing"),
        EventType::RequiresInput => Some("identity.verification_session.requires_input"),
        EventType::Verified => Some("identity.verification_session.verified"),
        EventType::Observed => None,
        EventType::Canceled => Some("identity.verification_session.canceled"),
        EventType::Redacted => Some("identity.verification_session.redacted"),
    }
}

/// Returns the status that a text spells; of an unknown word, what may stand in the log.
pub fn status(text: &str) -> Status {
    match Status::parse(text) {
        Status::Other(word) => Status::Other(visible(&word).into()),
        known @ (Status::RequiresInput
        | Status::Processing
        | Status::Verified
        | Status::Canceled) => known,
    }
}

/// Returns the redaction status that a text spells; of an unknown word, what may stand in the log.
pub fn redaction_status(text: &str) -> RedactionStatus {
    match RedactionStatus::parse(text) {
        RedactionStatus::Other(word) => RedactionStatus::Other(visible(&word).into()),
        known @ (RedactionStatus::Processing | RedactionStatus::Redacted) => known,
    }
}

/// Returns what may stand in the log of a word that is not listed here: its visible ASCII characters, at most 255.
pub fn visible(text: &str) -> String {
    text.chars()
        .filter(char::is_ascii_graphic)
        .take(255)
        .collect()
}
