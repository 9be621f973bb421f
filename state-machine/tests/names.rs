//! Identifiers and words: which texts are accepted, and that each is written as it was read.

use state_machine::event::{RedactionStatus, Status};
use state_machine::id::{EventId, IDENTIFIER_BYTES_MAX, InvalidIdentifier, SequenceNumber};
use state_machine::overrides::Action;

#[test]
fn an_identifier_has_from_1_to_255_visible_characters() {
    let longest = "e".repeat(IDENTIFIER_BYTES_MAX);
    let check = |text: &str, expected: Result<(), InvalidIdentifier>| {
        let parsed = EventId::parse(text);
        assert_eq!(parsed.map(|id| assert_eq!(id.as_str(), text)), expected);
    };

    assert_eq!(IDENTIFIER_BYTES_MAX, 255);
    check("e", Ok(()));
    check(&longest, Ok(()));
    check(&format!("{longest}e"), Err(InvalidIdentifier::TooLong));
    check(&longest.repeat(2), Err(InvalidIdentifier::TooLong));
    check("", Err(InvalidIdentifier::Empty));
    check("evt 1", Err(InvalidIdentifier::NotVisibleAscii));
    check("evt_\u{e9}", Err(InvalidIdentifier::NotVisibleAscii));
}

#[test]
fn what_is_no_identifier_is_told_why() {
    let told = |text: &str| EventId::parse(text).unwrap_err().to_string();

    assert_eq!(told(""), "the identifier is empty");
    assert_eq!(
        told(&"e".repeat(256)),
        "the identifier is longer than 255 bytes"
    );
    assert_eq!(
        told("\n"),
        "the identifier holds other than visible ASCII characters"
    );
}

#[test]
fn a_sequence_number_is_written_as_a_number() {
    assert_eq!(SequenceNumber(42).to_string(), "42");
}

#[test]
fn a_status_is_spelled_as_stripe_spelled_it() {
    for text in [
        "requires_input",
        "processing",
        "verified",
        "canceled",
        "paused",
    ] {
        assert_eq!(Status::parse(text).as_str(), text);
    }
    for text in ["processing", "redacted", "validated"] {
        assert_eq!(RedactionStatus::parse(text).as_str(), text);
    }
}

#[test]
fn an_action_has_a_name_and_only_a_grant_gives_attempts() {
    let told = |action: Action| (action.as_str(), action.attempts());

    assert_eq!(told(Action::Grant { attempts: 3 }), ("grant", Some(3)));
    assert_eq!(told(Action::Reset), ("reset", None));
    assert_eq!(told(Action::Block), ("block", None));
    assert_eq!(told(Action::Unblock), ("unblock", None));
}
