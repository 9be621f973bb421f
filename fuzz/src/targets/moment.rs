//! A moment that can be read in a query is one of the calendar, and is named by a text that means the same.

use avow::service::moment::{as_of, as_of_text, moment, valid_at};
use state_machine::horizon::AsOf;

/// The last second of the last year that RFC 3339 can write.
const LAST_SECOND: i64 = 253_402_300_799;

/// Reads the bytes as `as_of` and as `valid_at`.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    if let Some(known) = as_of(text) {
        if let AsOf::Time(time) = known {
            assert!((0..=LAST_SECOND * 1000 + 999).contains(&time.0));
        }
        assert_eq!(as_of(&as_of_text(known)), Some(known), "{text}");
    }
    if let Some(valid) = valid_at(text) {
        assert!((0..=LAST_SECOND).contains(&valid.0));
        assert_eq!(valid_at(&moment(valid)), Some(valid), "{text}");
    }
}
