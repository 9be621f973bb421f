//! The numbers that stand for words in a leaf. A word of an open list that has no number stands as it is,
//! behind 0.

use state_machine::event::{EventType, RedactionStatus, Status};

use super::binary::{Fields, put_text};

pub(super) fn of_event_type(event_type: EventType) -> u8 {
    match event_type {
        EventType::Created => 1,
        EventType::Processing => 2,
        EventType::RequiresInput => 3,
        EventType::Verified => 4,
        EventType::Observed => 5,
        EventType::Canceled => 6,
        EventType::Redacted => 7,
    }
}

pub(super) fn event_type(code: u8) -> Option<EventType> {
    Some(match code {
        1 => EventType::Created,
        2 => EventType::Processing,
        3 => EventType::RequiresInput,
        4 => EventType::Verified,
        5 => EventType::Observed,
        6 => EventType::Canceled,
        7 => EventType::Redacted,
        _ => return None,
    })
}

/// A value of an open list: a code of ours, or 0 and Stripe's word.
pub(super) type Open<'text> = (u8, &'text str);

pub(super) fn put_open(bytes: &mut Vec<u8>, (code, word): Open<'_>) {
    bytes.push(code);
    if code == 0 {
        put_text(bytes, word);
    }
}

pub(super) fn open<T>(fields: &mut Fields<'_>, value: fn(Open<'_>) -> Option<T>) -> Option<T> {
    let code = fields.u8()?;
    let word = if code == 0 { fields.text()? } else { "" };
    value((code, word))
}

pub(super) fn of_status(status: &Status) -> Open<'_> {
    match status {
        Status::RequiresInput => (1, ""),
        Status::Processing => (2, ""),
        Status::Verified => (3, ""),
        Status::Canceled => (4, ""),
        Status::Other(word) => (0, word),
    }
}

pub(super) fn status((code, word): Open<'_>) -> Option<Status> {
    Some(match code {
        0 => Status::Other(word.into()),
        1 => Status::RequiresInput,
        2 => Status::Processing,
        3 => Status::Verified,
        4 => Status::Canceled,
        _ => return None,
    })
}

pub(super) fn of_redaction(redaction: &RedactionStatus) -> Open<'_> {
    match redaction {
        RedactionStatus::Processing => (1, ""),
        RedactionStatus::Redacted => (2, ""),
        RedactionStatus::Other(word) => (0, word),
    }
}

pub(super) fn redaction((code, word): Open<'_>) -> Option<RedactionStatus> {
    Some(match code {
        0 => RedactionStatus::Other(word.into()),
        1 => RedactionStatus::Processing,
        2 => RedactionStatus::Redacted,
        _ => return None,
    })
}
