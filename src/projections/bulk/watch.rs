//! Watching a fold: how far it has come, and the wish that it end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::FoldError;

/// What is shared with whoever looks on.
#[derive(Debug, Default)]
pub struct Watch {
    priority: Priority,
    entries: AtomicU64,
    /// Every entry counts twice: once when it is sorted, and once when it is folded.
    half_done: AtomicU64,
    is_cancelled: AtomicBool,
}

/// Who goes first where processors are scarce.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Priority {
    /// Nobody waits for anything else.
    #[default]
    Ordinary,
    /// Whoever is served meanwhile.
    Lowest,
}

impl Watch {
    /// Returns one for threads of that priority.
    pub fn new(priority: Priority) -> Self {
        Self {
            priority,
            ..Self::default()
        }
    }

    /// Wants the fold to end. It ends soon, and leaves nothing.
    pub fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Tells whether somebody wants the fold to end.
    pub fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// Returns how many entries are folded, and how many there are. What is sorted counts as half folded.
    pub fn progress(&self) -> (u64, u64) {
        let entries = self.entries.load(Ordering::Relaxed);
        let half_done = self.half_done.load(Ordering::Relaxed);
        (entries.min(half_done / 2), entries)
    }

    pub(in crate::projections) fn begin(&self, entries: u64) {
        self.half_done.store(0, Ordering::Relaxed);
        self.entries.store(entries, Ordering::Relaxed);
    }

    /// Counts what was only sorted, and belongs to no session, as folded too.
    pub(in crate::projections) fn finish(&self) {
        let entries = self.entries.load(Ordering::Relaxed);
        self.half_done
            .store(entries.saturating_mul(2), Ordering::Relaxed);
    }

    /// Counts entries, and refuses to go on if somebody wants an end.
    pub(in crate::projections) fn count(&self, entries: u64) -> Result<(), FoldError> {
        self.half_done.fetch_add(entries, Ordering::Relaxed);
        self.check()
    }

    /// Refuses to go on if somebody wants an end.
    pub(in crate::projections) fn check(&self) -> Result<(), FoldError> {
        if self.is_cancelled() {
            Err(FoldError::Cancelled)
        } else {
            Ok(())
        }
    }

    /// Lets others go first, from here on, on this thread.
    pub fn lower_priority(&self) {
        match self.priority {
            Priority::Ordinary => {}
            // On Linux this is the thread's own. If it is refused, the fold only takes more of the processor.
            Priority::Lowest => drop(rustix::process::nice(19)),
        }
    }
}
