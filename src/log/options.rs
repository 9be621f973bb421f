//! What an open log may use, and how it keeps its journal.

use std::time::Instant;

use state_machine::time::ReceivedAt;

use crate::transparency::key::KeyName;

/// What an open log may use and how it keeps its journal. Every bound has a safe default.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many prepared entries may wait for the sequencer.
    pub queue_entries_max: usize,
    /// How many entries one commit may hold.
    pub group_entries_max: usize,
    /// The size of a journal segment.
    pub journal_segment_bytes: u64,
    /// Whether the journal is kept whole.
    pub journal_retention: JournalRetention,
    /// sled's page cache.
    pub sled_cache_bytes: u64,
    /// The index's cache.
    pub index_cache_bytes: u64,
    /// Writes stop while less than this is free on the disk.
    pub disk_free_bytes_min: u64,
    /// The size of the ballast file; 0 for none.
    pub ballast_bytes: u64,
    /// The name under which the log signs checkpoints; none for one made of the log's own id.
    pub origin: Option<KeyName>,
    /// Whether payloads are sealed and leaves attested; not but in a benchmark of what that costs.
    #[cfg(feature = "without-evidence")]
    pub keeps_evidence: bool,
    /// Fills a buffer with random bytes (handed in: this floor reads no random source of its own).
    pub random: Random,
    /// The clock, likewise: it dates what nobody delivered.
    pub clock: fn() -> ReceivedAt,
    /// What only goes forward, likewise: it measures how long commits take. None for no measure.
    pub stopwatch: Option<fn() -> Instant>,
}

/// Fills a buffer with random bytes.
pub type Random = fn(&mut [u8]) -> Result<(), RandomError>;

/// How long the journal is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalRetention {
    /// For good: second copy, repair source and backup.
    Whole,
    /// Until sled is known to be durable.
    UntilSledIsDurable,
}

/// The random source gave nothing.
#[derive(Debug, thiserror::Error)]
#[error("the random source of the system gave nothing")]
pub struct RandomError;

impl Options {
    /// Returns the defaults.
    pub fn new(random: Random, clock: fn() -> ReceivedAt) -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            queue_entries_max: 4_096,
            group_entries_max: 1_024,
            journal_segment_bytes: 64 * MIB,
            journal_retention: JournalRetention::Whole,
            sled_cache_bytes: 64 * MIB,
            index_cache_bytes: 32 * MIB,
            disk_free_bytes_min: 256 * MIB,
            ballast_bytes: 64 * MIB,
            origin: None,
            #[cfg(feature = "without-evidence")]
            keeps_evidence: true,
            random,
            clock,
            stopwatch: None,
        }
    }

    /// Tells whether payloads are sealed and leaves attested.
    #[cfg_attr(
        not(feature = "without-evidence"),
        expect(clippy::unused_self, reason = "but in that benchmark, it is always so")
    )]
    pub(super) fn keeps_evidence(&self) -> bool {
        #[cfg(feature = "without-evidence")]
        return self.keeps_evidence;
        #[cfg(not(feature = "without-evidence"))]
        true
    }
}
