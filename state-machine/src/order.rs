//! The canonical order in which a history is folded, whatever the order in which its events arrived.
//!
//! Stripe's `created` has a grain of one second, so the rank says what comes first within one, and the event id
//! breaks the last tie. Arrival takes no part: two services that saw the same events agree.

use core::cmp::Ordering;

use crate::event::{Event, EventType};

/// Compares two events of one session by (`created`, rank, event id).
pub fn compare(left: &Event, right: &Event) -> Ordering {
    (left.created.cmp(&right.created))
        .then_with(|| rank(left.event_type).cmp(&rank(right.event_type)))
        .then_with(|| left.id.cmp(&right.id))
}

/// Returns what comes first within one second: the way a session goes, with its ends last.
pub fn rank(event_type: EventType) -> u8 {
    match event_type {
        EventType::Created => 0,
        EventType::Processing => 1,
        EventType::RequiresInput => 2,
        EventType::Verified => 3,
        EventType::Observed => 4,
        EventType::Canceled => 5,
        EventType::Redacted => 6,
    }
}
