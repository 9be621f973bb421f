//! The tail: the latest durable entries, in memory, so that readers see a commit at once and not when sled
//! has it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use state_machine::id::SequenceNumber;

use super::entry::Entry;
use super::journal::End;
use super::record::Link;
use super::stop::Stop;

/// How far sled may lag behind before commits wait for it, in bytes of entries.
const BEHIND_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How many entries stay although sled has them.
const KEPT_ENTRIES_MAX: usize = 4_096;
/// And how many bytes of them.
const KEPT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What an entry takes in memory beside its payload, about.
const ENTRY_BYTES: usize = 600;

/// The end of the log, as readers see it.
pub(super) struct Tail {
    size: AtomicU64,
    entries: Mutex<Entries>,
    room: Condvar,
}

struct Entries {
    /// The entries up to the log's size, without gaps.
    latest: VecDeque<Arc<Entry>>,
    latest_bytes: usize,
    /// The bytes of those that sled does not have.
    behind_bytes: usize,
    /// How many entries sled has.
    stored: u64,
    end: End,
}

impl Tail {
    pub(super) fn new(end: End) -> Self {
        let entries = Entries {
            latest: VecDeque::new(),
            latest_bytes: 0,
            behind_bytes: 0,
            stored: end.next,
            end,
        };
        Self {
            size: AtomicU64::new(end.next),
            entries: Mutex::new(entries),
            room: Condvar::new(),
        }
    }

    /// Returns how many entries are durable.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Returns how many entries are durable, and the chain's link after them.
    pub(super) fn size_and_root(&self) -> (u64, Link) {
        let entries = self.lock();
        (entries.end.next, entries.end.link)
    }

    /// Returns where the journal ends, which has at least every entry that is durable.
    pub(super) fn journal_end(&self) -> End {
        self.lock().end
    }

    /// Returns how many durable entries sled does not have.
    pub(super) fn behind(&self) -> u64 {
        let entries = self.lock();
        entries.end.next - entries.stored
    }

    /// Shows durable entries to readers.
    pub(super) fn publish(&self, group: Vec<Arc<Entry>>, end: End) {
        let mut entries = self.lock();
        let bytes: usize = group.iter().map(|entry| bytes_of(entry)).sum();
        entries.latest_bytes += bytes;
        entries.behind_bytes += bytes;
        entries.end = end;
        entries.latest.extend(group);
        self.size.store(end.next, Ordering::Release);
    }

    /// Notes that sled has every entry below `stored`, and lets go of what need not stay.
    pub(super) fn note_stored(&self, stored: u64) {
        let mut entries = self.lock();
        let newly = usize::try_from(stored.saturating_sub(entries.stored)).unwrap_or(0);
        let from = entries
            .latest
            .len()
            .saturating_sub(usize::try_from(entries.end.next - entries.stored).unwrap_or(0));
        let bytes: usize = entries
            .latest
            .iter()
            .skip(from)
            .take(newly)
            .map(|entry| bytes_of(entry))
            .sum();
        entries.behind_bytes = entries.behind_bytes.saturating_sub(bytes);
        entries.stored = stored;
        while (entries.latest.len() > KEPT_ENTRIES_MAX || entries.latest_bytes > KEPT_BYTES_MAX)
            && let Some(entry) = entries
                .latest
                .pop_front_if(|entry| entry.leaf.sequence.0 < stored)
        {
            entries.latest_bytes -= bytes_of(&entry);
        }
        drop(entries);
        self.room.notify_all();
    }

    /// Waits until sled has caught up far enough, or writing has stopped.
    pub(super) fn wait_for_room(&self, stop: &Stop) {
        let mut entries = self.lock();
        while entries.behind_bytes > BEHIND_BYTES_MAX && stop.reason().is_none() {
            entries = self
                .room
                .wait(entries)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wakes whoever waits for room, to look again.
    pub(super) fn wake(&self) {
        drop(self.lock());
        self.room.notify_all();
    }

    /// Returns an entry, if it is among the latest.
    pub(super) fn entry(&self, sequence: SequenceNumber) -> Option<Arc<Entry>> {
        let entries = self.lock();
        let first = entries.latest.front()?.leaf.sequence.0;
        let place = usize::try_from(sequence.0.checked_sub(first)?).ok()?;
        entries.latest.get(place).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // No code that holds the lock can panic half-way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes_of(entry: &Entry) -> usize {
    ENTRY_BYTES + entry.sealed.len()
}
