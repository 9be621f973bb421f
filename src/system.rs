//! The clock and the random source of this machine: read here and nowhere else, and handed down as arguments.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use state_machine::time::{ReceivedAt, Timestamp};

use crate::log::RandomError;

/// Returns the time in Unix milliseconds.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the clock"
)]
pub fn now() -> ReceivedAt {
    // A clock before 1970 is wrong; every signature then looks as if it came from the future, which Stripe's own
    // clients accept too.
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    ReceivedAt(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Returns the time in whole Unix seconds, as Stripe counts it.
pub fn now_seconds() -> Timestamp {
    Timestamp(now().0 / 1000)
}

/// Returns a time that only goes forward, by which durations are measured.
pub fn stopwatch() -> Instant {
    Instant::now()
}

/// Fills `buffer` from the system's random source.
pub fn fill_random(buffer: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(buffer).map_err(|_| RandomError)
}
