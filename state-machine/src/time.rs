//! The two times of every fact: when it was true at Stripe, and when we knew.

/// Stripe's time, in whole Unix seconds; absurd values are kept, and arithmetic saturates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Returns the time `seconds` later, or the last one there is.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

/// The time at which a delivery was received, in Unix milliseconds of the service's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceivedAt(pub i64);

impl ReceivedAt {
    /// Returns the second in which it lies.
    #[must_use]
    pub const fn second(self) -> Timestamp {
        Timestamp(self.0.div_euclid(1000))
    }
}
