//! Measures: what the log measures of its own work, for whoever watches it. They change nothing.

use std::time::Instant;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::Log;

/// From an eighth of a millisecond to some four seconds.
const SECONDS: (f64, f64, u16) = (0.000_125, 2.0, 16);
/// From one entry to 4,096.
const ENTRIES: (f64, f64, u16) = (1.0, 2.0, 13);

/// What the log measures. A clone shares the counts.
#[derive(Debug, Clone)]
pub struct Measures {
    stopwatch: Option<fn() -> Instant>,
    /// How many entries a commit made durable.
    pub group_entries: Histogram,
    /// How long a commit took, from the first look at its entries to the last answer.
    pub commit_seconds: Histogram,
    /// How long its write and its sync took.
    pub sync_seconds: Histogram,
}

impl Measures {
    pub(super) fn new(stopwatch: Option<fn() -> Instant>) -> Self {
        let histogram =
            |(start, factor, length)| Histogram::new(exponential_buckets(start, factor, length));
        Self {
            stopwatch,
            group_entries: histogram(ENTRIES),
            commit_seconds: histogram(SECONDS),
            sync_seconds: histogram(SECONDS),
        }
    }

    pub(super) fn commit<T>(&self, commit: impl FnOnce() -> T) -> T {
        self.measure(&self.commit_seconds, commit)
    }

    pub(super) fn write<T>(&self, entries: usize, write: impl FnOnce() -> T) -> T {
        self.group_entries
            .observe(f64::from(u32::try_from(entries).unwrap_or(u32::MAX)));
        self.measure(&self.sync_seconds, write)
    }

    fn measure<T>(&self, seconds: &Histogram, work: impl FnOnce() -> T) -> T {
        let Some(stopwatch) = self.stopwatch else {
            return work();
        };
        let start = stopwatch();
        let worked = work();
        seconds.observe(stopwatch().duration_since(start).as_secs_f64());
        worked
    }
}

impl Log {
    /// Returns what the log measures.
    pub fn measures(&self) -> &Measures {
        &self.shared.measures
    }
}
