//! The horizon of a question about an earlier time: the facts that it leaves out.
//!
//! Every fact has two times, when it was true and when we knew. A horizon bounds either or both, and what lies within it
//! is folded like any other set of facts.

use crate::history::Arrival;
use crate::id::SequenceNumber;
use crate::time::{ReceivedAt, Timestamp};

/// What is left out of the facts; by default nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Horizon {
    /// Leaves out what was not known then.
    pub as_of: Option<AsOf>,
    /// Leaves out what had not happened then, at Stripe.
    pub valid_at: Option<Timestamp>,
}

/// A moment of our own knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// When the log ended with this entry.
    Sequence(SequenceNumber),
    /// This time of the service's clock.
    Time(ReceivedAt),
}

impl AsOf {
    /// Returns whether what arrived so was known.
    pub fn knows(self, arrival: Arrival) -> bool {
        match self {
            Self::Sequence(last) => arrival.sequence <= last,
            Self::Time(time) => arrival.received_at <= time,
        }
    }
}

impl Horizon {
    /// Returns whether nothing is left out.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether a fact lies within: it happened at `at`, at Stripe.
    pub fn admits(&self, at: Timestamp, arrival: Arrival) -> bool {
        self.as_of.is_none_or(|as_of| as_of.knows(arrival))
            && self.valid_at.is_none_or(|valid_at| at <= valid_at)
    }

    /// Returns whether a fact of our own lies within: it has been true since it was recorded.
    pub fn admits_own(&self, arrival: Arrival) -> bool {
        self.admits(arrival.received_at.second(), arrival)
    }
}
