//! When something ends: in a while, or at a time.

use std::str::FromStr;

use chrono::DateTime;
use state_machine::time::Timestamp;

/// When something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    /// So many seconds from now.
    In(i64),
    /// At this time.
    At(Timestamp),
}

/// Why a text says no end.
#[derive(Debug, thiserror::Error)]
#[error(
    "give a while, such as 90d, 12h or 30m, or a time, such as 2027-03-31T00:00:00Z or Unix seconds"
)]
pub(super) struct NoExpiry;

impl FromStr for Expiry {
    type Err = NoExpiry;

    fn from_str(text: &str) -> Result<Self, NoExpiry> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::At(Timestamp(time.timestamp())));
        }
        if let Ok(seconds) = text.parse() {
            return Ok(Self::At(Timestamp(seconds)));
        }
        let units = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
        let mut counted = units.into_iter().filter_map(|(unit, seconds)| {
            let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
            i64::from(count).checked_mul(seconds)
        });
        counted.next().map(Self::In).ok_or(NoExpiry)
    }
}

impl Expiry {
    /// Returns the time, seen from another one.
    pub(super) fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::In(seconds) => now.plus_seconds(seconds),
            Self::At(time) => time,
        }
    }
}
