//! Moments as people write them: an entry's number, a time in RFC 3339, or Unix seconds.
//!
//! A whole second means all of it, as every time that Avow shows is cut to the second.

use std::ops::RangeInclusive;

use chrono::{DateTime, SecondsFormat};
use state_machine::horizon::AsOf;
use state_machine::id::SequenceNumber;
use state_machine::time::{ReceivedAt, Timestamp};

/// What [`as_of`] accepts.
pub const AS_OF_FORM: &str =
    "an entry's number, or a time such as 2026-01-31T12:00:00Z or @1769860800";
/// What [`valid_at`] accepts.
pub const VALID_AT_FORM: &str = "a time such as 2026-01-31T12:00:00Z or 1769860800";

/// From the year in which Stripe began, so that an entry's number is not taken for a time, to the last one of RFC 3339.
const SECONDS: RangeInclusive<i64> = 1_262_304_000..=253_402_300_799;

/// Returns a time of Stripe's in words; one that no calendar has, in seconds.
pub fn moment(time: Timestamp) -> String {
    let moment = DateTime::from_timestamp(time.0, 0);
    moment.map_or_else(
        || format!("{} s", time.0),
        |moment| moment.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

/// Returns the moment of our knowledge that a text names: plain digits are an entry's number, `@` and digits a time.
pub fn as_of(text: &str) -> Option<AsOf> {
    if is_number(text) {
        return Some(AsOf::Sequence(SequenceNumber(text.parse().ok()?)));
    }
    let milliseconds = match text.strip_prefix('@') {
        Some(digits) => unix_seconds(digits)?.saturating_mul(1000),
        None => rfc_3339(text)?,
    };
    let is_whole_second = milliseconds.rem_euclid(1000) == 0;
    let rest = if is_whole_second { 999 } else { 0 };
    Some(AsOf::Time(ReceivedAt(milliseconds.saturating_add(rest))))
}

/// Returns the text that names a moment of our knowledge.
pub fn as_of_text(as_of: AsOf) -> String {
    match as_of {
        AsOf::Sequence(sequence) => sequence.to_string(),
        AsOf::Time(time) => {
            let text = DateTime::from_timestamp_millis(time.0);
            let is_whole_second = time.0.rem_euclid(1000) == 999;
            let form = if is_whole_second {
                SecondsFormat::Secs
            } else {
                SecondsFormat::Millis
            };
            text.map_or_else(
                || format!("{} ms", time.0),
                |moment| moment.to_rfc3339_opts(form, true),
            )
        }
    }
}

/// Returns the time of Stripe's that a text names.
pub fn valid_at(text: &str) -> Option<Timestamp> {
    let digits = text.strip_prefix('@').unwrap_or(text);
    let seconds = unix_seconds(digits)
        .or_else(|| rfc_3339(text).map(|milliseconds| milliseconds.div_euclid(1000)))?;
    Some(Timestamp(seconds))
}

fn unix_seconds(digits: &str) -> Option<i64> {
    let seconds = digits.parse().ok().filter(|_| is_number(digits))?;
    SECONDS.contains(&seconds).then_some(seconds)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the milliseconds that Unix counts: a leap second is the second after it.
fn rfc_3339(text: &str) -> Option<i64> {
    // In a query, a `+` that nobody escaped reads as a space.
    let text = match text.rsplit_once(' ') {
        Some((time, offset)) if time.contains('T') => format!("{time}+{offset}"),
        Some(_) | None => text.to_owned(),
    };
    let milliseconds = DateTime::parse_from_rfc3339(&text).ok()?.timestamp_millis();
    let seconds = milliseconds.div_euclid(1000);
    SECONDS.contains(&seconds).then_some(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_told_by_its_form() {
        let entry = |sequence| Some(AsOf::Sequence(SequenceNumber(sequence)));
        let time = |milliseconds| Some(AsOf::Time(ReceivedAt(milliseconds)));
        #[rustfmt::skip]
        let rows = [
            ("0",                              entry(0),                None),
            ("120",                            entry(120),              None),
            ("1769860800",                     entry(1_769_860_800),    Some(1_769_860_800)),
            ("@1769860800",                    time(1_769_860_800_999), Some(1_769_860_800)),
            ("2026-01-31T12:00:00Z",           time(1_769_860_800_999), Some(1_769_860_800)),
            ("2026-01-31T13:00:00+01:00",      time(1_769_860_800_999), Some(1_769_860_800)),
            ("2026-01-31T13:00:00 01:00",      time(1_769_860_800_999), Some(1_769_860_800)),
            ("2026-01-31 12:00:00Z",           time(1_769_860_800_999), Some(1_769_860_800)),
            ("2026-01-31T12:00:00.250Z",       time(1_769_860_800_250), Some(1_769_860_800)),
            ("2016-12-31T23:59:60Z",           time(1_483_228_800_999), Some(1_483_228_800)),
            ("9999-12-31T23:59:59Z",           time(253_402_300_799_999), Some(253_402_300_799)),
            ("9999-12-31T23:59:60Z",           None,                    None),
            ("18446744073709551615",           entry(u64::MAX),         None),
            ("18446744073709551616",           None,                    None),
            ("-1",                             None,                    None),
            ("+7",                             None,                    None),
            ("@7",                             None,                    None),
            ("@-1",                            None,                    None),
            ("@253402300800",                  None,                    None),
            ("1969-12-31T23:59:59Z",           None,                    None),
            ("2026-01-31",                     None,                    None),
            ("2026-01-31T12:00:00",            None,                    None),
            ("yesterday",                      None,                    None),
            ("@",                              None,                    None),
            ("",                               None,                    None),
        ];
        for (text, known, valid) in rows {
            assert_eq!(as_of(text), known, "as_of {text}");
            assert_eq!(valid_at(text), valid.map(Timestamp), "valid_at {text}");
        }
    }
}
