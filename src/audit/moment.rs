//! Times as people write them: RFC 3339, in UTC.

use chrono::{DateTime, SecondsFormat};
use state_machine::time::Timestamp;

/// Returns a time of Stripe's in words; one that no calendar has, in seconds.
pub fn moment(time: Timestamp) -> String {
    let moment = DateTime::from_timestamp(time.0, 0);
    moment.map_or_else(
        || format!("{} s", time.0),
        |moment| moment.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

/// Returns the Unix milliseconds that a text names.
pub fn milliseconds(text: &str) -> Option<i64> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    Some(moment.timestamp_millis())
}
