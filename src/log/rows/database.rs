//! A database of rows: one tree, its latest rows in memory, and what its threads share.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crossbeam_channel::Sender;
use lsm_tree::config::{
    BloomConstructionPolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry, PinningPolicy,
    RestartIntervalPolicy,
};
use lsm_tree::{
    AbstractTree, AnyTree, Cache, CompressionType, Config, SeqNo, SequenceNumberCounter,
};

use super::super::lock::{Lock, try_lock};
use super::batch::Batch;
use super::housekeeping::{self, Housekeeping};
use super::keyspace::Keyspace;
use super::memories::Memories;
use super::snapshot::Snapshot;

/// How many full memories may wait to be written, before whoever writes waits for them.
const FULL_MEMORIES_MAX: usize = 1;
/// How many tables may wait to be merged, before whoever writes waits for that.
const UNMERGED_TABLES_MAX: usize = 20;

/// How much memory a database takes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// For what is read from tables.
    pub cache_bytes: u64,
    /// For the latest rows. As much is written at once, and had again from the log after a kill.
    pub rows_bytes_max: u64,
}

/// An open database. One thread writes at a time; readers wait for the moment alone in which a table is named.
pub struct Database {
    shared: Arc<Shared>,
    // Ended by the drop of the database, which comes before that of the fields.
    housekeeping: Housekeeping,
    _lock: Lock,
}

/// What the threads of a database share.
pub(super) struct Shared {
    pub(super) tree: AnyTree,
    pub(super) memories: Memories,
    /// Gives every batch its number, and every version of the tree.
    pub(super) numbers: SequenceNumberCounter,
    pub(super) memory_bytes_max: u64,
    /// Batches below this number are seen.
    published: AtomicU64,
    /// How many snapshots there are of each moment.
    snapshots: Mutex<BTreeMap<SeqNo, usize>>,
    writing: Mutex<()>,
    /// Why the tables could not be written, last.
    failure: Mutex<Option<lsm_tree::Error>>,
    /// That a table was written, or could not be.
    written: Condvar,
    is_closing: AtomicBool,
    is_disposable: AtomicBool,
    flushes: Sender<()>,
    compactions: Sender<()>,
    /// What a thread said that ended with a bug: from then on nothing can be relied on to be written.
    bug: OnceLock<String>,
}

impl Database {
    /// Opens the database in a directory, or creates one.
    pub fn open(directory: &Path, memory: Memory) -> lsm_tree::Result<Self> {
        fs::create_dir_all(directory)?;
        let lock = try_lock(&directory.join("lock")).map_err(std::io::Error::from)?;
        let numbers = SequenceNumberCounter::new(1);
        let tree = open_tree(directory, memory.cache_bytes, &numbers)?;
        let highest = tree.get_highest_persisted_seqno().unwrap_or(0);
        numbers.fetch_max(highest.saturating_add(1));
        let (flushes, compactions, wakes) = housekeeping::wakes();
        let shared = Arc::new(Shared {
            published: AtomicU64::new(numbers.get()),
            tree,
            memories: Memories::default(),
            numbers,
            memory_bytes_max: memory.rows_bytes_max,
            snapshots: Mutex::default(),
            writing: Mutex::default(),
            failure: Mutex::default(),
            written: Condvar::new(),
            is_closing: AtomicBool::new(false),
            is_disposable: AtomicBool::new(false),
            flushes,
            compactions,
            bug: OnceLock::new(),
        });
        if shared.tree.l0_run_count() > 0 {
            shared.want_merging();
        }
        let mut database = Self {
            shared,
            housekeeping: Housekeeping::default(),
            _lock: lock,
        };
        // If one does not start, the drop of the database ends the other.
        database.housekeeping.start(&database.shared, wakes)?;
        Ok(database)
    }

    /// Returns the keyspace that this byte names.
    pub fn keyspace(&self, prefix: u8) -> Keyspace {
        Keyspace::of(&self.shared, prefix)
    }

    /// Begins a batch.
    pub fn batch(&self) -> Batch {
        Batch::of(&self.shared)
    }

    /// Returns the rows as they stand now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.shared)
    }

    /// Writes every row into tables.
    pub fn make_durable(&self) -> lsm_tree::Result<()> {
        let _writing = self.shared.lock_writing();
        self.shared.memories.rotate(&self.shared.tree);
        self.shared.write_table()
    }

    /// Has the rows in memory be written at the close, or not.
    pub fn set_disposable(&self, is_disposable: bool) {
        self.shared
            .is_disposable
            .store(is_disposable, Ordering::Relaxed);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.shared.close();
        // Before the threads are waited for: a merge may take its time, and who waits for us may lose patience.
        if !self.shared.is_disposable.load(Ordering::Relaxed)
            && let Err(error) = housekeeping::guarded(&self.shared, || self.make_durable())
        {
            tracing::warn!(%error, "the latest rows were not written; the next start has them from the log");
        }
        self.housekeeping.end();
    }
}

impl Shared {
    pub(super) fn lock_writing(&self) -> MutexGuard<'_, ()> {
        lock(&self.writing)
    }

    /// Shows the batch of this number. Only whoever holds the lock calls it.
    pub(super) fn publish(&self, number: SeqNo) {
        self.published
            .fetch_max(number.saturating_add(1), Ordering::Release);
    }

    /// Shows every number that was given. Only whoever holds the lock calls it.
    pub(super) fn publish_all(&self) {
        self.published
            .fetch_max(self.numbers.get(), Ordering::Release);
    }

    /// Has tables be merged, if they need it.
    pub(super) fn want_merging(&self) {
        housekeeping::wake(&self.compactions);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.is_closing.store(true, Ordering::Release);
        housekeeping::wake(&self.flushes);
        housekeeping::wake(&self.compactions);
    }

    /// Tells whoever waits for room that a thread has done its work, or why not.
    pub(super) fn note(&self, outcome: lsm_tree::Result<()>) {
        // Locked for a success too: who has found no room and does not wait yet would not be told. It hides no failure.
        let mut slot = lock(&self.failure);
        *slot = outcome.err().or_else(|| slot.take());
        self.written.notify_all();
    }

    /// Remembers a bug for good, and returns it as an error.
    pub(super) fn note_bug(&self, said: String) -> lsm_tree::Error {
        std::io::Error::other(self.bug.get_or_init(|| said).clone()).into()
    }

    /// Has the rows in memory be written if they are many, and waits only if others still are. Only whoever holds the lock
    /// calls it.
    pub(super) fn make_room(&self) -> lsm_tree::Result<()> {
        if let Some(bug) = self.bug.get() {
            return Err(std::io::Error::other(bug.clone()).into());
        }
        let mut failure = lock(&self.failure);
        if self.tree.active_memtable().size() > self.memory_bytes_max {
            self.memories.rotate(&self.tree);
            housekeeping::wake(&self.flushes);
        }
        if self.has_room() {
            return Ok(());
        }
        // What failed before is tried again.
        *failure = None;
        housekeeping::wake(&self.flushes);
        housekeeping::wake(&self.compactions);
        while !self.has_room() {
            if let Some(failure) = failure.take() {
                return Err(failure);
            }
            failure = self
                .written
                .wait(failure)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.tree.sealed_memtable_count() <= FULL_MEMORIES_MAX
            && self.tree.l0_run_count() <= UNMERGED_TABLES_MAX
    }

    /// Writes the full memories as one table.
    pub(super) fn write_table(&self) -> lsm_tree::Result<()> {
        let lock = self.tree.get_flush_lock();
        self.tree.flush(&lock, self.unseen_below()).map(drop)
    }

    pub(super) fn begin_snapshot(&self) -> SeqNo {
        let mut snapshots = lock(&self.snapshots);
        // Under the lock, so that nothing that it sees is let go of before it is counted.
        let moment = self.published.load(Ordering::Acquire);
        *snapshots.entry(moment).or_default() += 1;
        moment
    }

    pub(super) fn end_snapshot(&self, moment: SeqNo) {
        let mut snapshots = lock(&self.snapshots);
        if let Some(count) = snapshots.get_mut(&moment) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                snapshots.remove(&moment);
            }
        }
    }

    /// Returns below which number no snapshot, and none that will be made, sees a row that a later one replaced.
    pub(super) fn unseen_below(&self) -> SeqNo {
        let snapshots = lock(&self.snapshots);
        let first = snapshots.first_key_value().map(|(moment, _)| *moment);
        first.unwrap_or_else(|| self.published.load(Ordering::Acquire))
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_tree(
    directory: &Path,
    cache_bytes: u64,
    numbers: &SequenceNumberCounter,
) -> lsm_tree::Result<AnyTree> {
    // What the tree calls visible is not used: it would show half a batch when a table is registered meanwhile.
    let visible = SequenceNumberCounter::default();
    let filter = |policy| FilterPolicyEntry::Bloom(policy);
    // What tells where a key is, and that it is nowhere, is read in parts of 4 KiB, but for the young tables, where it is
    // small and stays in memory. Whole, it has megabytes in an old one: more than stays in a cache, so that each look at a
    // key that is new would read all of it.
    let in_parts = || PinningPolicy::new([false, true]);
    Config::new(directory, numbers.clone(), visible)
        .use_cache(Arc::new(Cache::with_capacity_bytes(cache_bytes)))
        .data_block_restart_interval_policy(RestartIntervalPolicy::new([10, 16]))
        .data_block_compression_policy(CompressionPolicy::new([
            CompressionType::None,
            CompressionType::None,
            CompressionType::Lz4,
        ]))
        .index_block_partitioning_policy(in_parts())
        .filter_block_partitioning_policy(in_parts())
        .filter_policy(FilterPolicy::new([
            filter(BloomConstructionPolicy::FalsePositiveRate(0.0001)),
            filter(BloomConstructionPolicy::BitsPerKey(10.0)),
        ]))
        .open()
}
