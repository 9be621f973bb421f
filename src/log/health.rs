//! Whether the log accepts writes, and how busy it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::Sender;

use super::Log;

/// Whether the log accepts writes, and how busy it is.
#[derive(Debug, Clone)]
pub struct Health {
    /// Why writes have stopped, if they have.
    pub stopped: Option<Arc<str>>,
    /// Whether too little disk is free.
    pub disk_full: bool,
    /// How many prepared entries wait.
    pub queue_entries: usize,
    /// How many durable entries sled does not have yet.
    pub store_behind_entries: u64,
    /// How many reads the journal answered because sled could not: a restart mends that.
    pub repaired_reads: u64,
}

impl Log {
    /// Returns whether the log accepts writes.
    pub fn health(&self) -> Health {
        Health {
            stopped: self.shared.stop.reason(),
            disk_full: self.shared.disk_space.is_full(),
            queue_entries: self.queue.as_ref().map_or(0, Sender::len),
            store_behind_entries: self.shared.tail.behind(),
            repaired_reads: self.shared.repaired_reads.load(Ordering::Relaxed),
        }
    }
}
