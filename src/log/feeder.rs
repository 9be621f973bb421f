//! The feeder: the thread that brings sled, the index and the head file up to the journal, behind the
//! commits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, select, tick};

use super::JournalRetention;
use super::dedupe::{Identification, Known};
use super::entry::Entry;
use super::head::{Head, HeadFile};
use super::index::{Covered, Indexed};
use super::journal;
use super::record::{self, Record};
use super::shared::Shared;
use super::subject_key::SubjectKey;
use crate::transparency::hash::Hash;

/// How often sled is made durable while the log grows. The head is never further behind than this and one
/// flush.
const SETTLE_EVERY: Duration = Duration::from_millis(500);
/// How long the feeder lets commits gather. They are durable already, and readers have them from the tail.
const GATHER_FOR: Duration = Duration::from_millis(10);
/// How many bytes are handed to sled at once, about.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// A commit group, as those get it who follow the journal: durable there, in order.
#[derive(Default)]
pub(super) struct Group {
    /// Its records, padded.
    pub(super) bytes: Vec<u8>,
    /// Its entries, in order.
    pub(super) fed: Vec<Fed>,
}

/// An entry of a group.
pub(super) struct Fed {
    /// By what its delivery is known again, if it had one.
    pub(super) delivery: Option<(Identification, Known)>,
    pub(super) entry: Arc<Entry>,
    /// Under which it stands in the Merkle tree.
    pub(super) leaf_hash: Hash,
    /// Kept from being let go until the index has the entry.
    pub(super) key: Arc<SubjectKey>,
    /// Whether it may be the first entry to name its key.
    pub(super) binds_key: bool,
}

impl Group {
    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        self.fed.iter().map(|fed| Arc::clone(&fed.entry)).collect()
    }

    pub(super) fn leaf_hashes(&self) -> Vec<Hash> {
        self.fed.iter().map(|fed| fed.leaf_hash).collect()
    }
}

impl Fed {
    fn indexed(&self) -> Indexed<'_> {
        let delivery = self.delivery.as_ref();
        Indexed {
            delivery: delivery.map(|(identification, known)| (identification, *known)),
            leaf: &self.entry.leaf,
            binds_key: self.binds_key,
        }
    }
}

/// A failure of sled, the index or the head file.
type Failure = Box<dyn std::error::Error>;

/// The feeder's own state.
pub(super) struct Feeder {
    shared: Arc<Shared>,
    head_file: HeadFile,
    covered: Covered,
    stored: u64,
    settled: u64,
}

impl Feeder {
    pub(super) fn new(shared: Arc<Shared>, head_file: HeadFile, covered: Covered) -> Self {
        let stored = shared.tail.size();
        Self {
            shared,
            head_file,
            covered,
            stored,
            settled: stored,
        }
    }

    /// Feeds until the sequencer has ended, and then settles. A failure stops all writing; the journal has
    /// everything.
    pub(super) fn run(mut self, groups: &Receiver<Group>) {
        if let Err(failure) = self.feed(groups) {
            drop(self.shared.stop.set(&failure));
            self.shared.tail.wake();
        }
    }

    fn feed(&mut self, groups: &Receiver<Group>) -> Result<(), Failure> {
        let ticks = tick(SETTLE_EVERY);
        loop {
            select! {
                recv(groups) -> group => {
                    let Ok(group) = group else { return self.settle() };
                    // Each batch costs sled a write and a wake-up, so a few commits share one.
                    thread::sleep(GATHER_FOR);
                    self.apply(group, groups)?;
                }
                recv(ticks) -> _ => self.settle()?,
            }
        }
    }

    /// Applies a group and whatever waits behind it, as one batch.
    fn apply(&mut self, first: Group, groups: &Receiver<Group>) -> Result<(), Failure> {
        let mut batch = first;
        while batch.bytes.len() < BATCH_BYTES_MAX
            && let Ok(group) = groups.try_recv()
        {
            batch.bytes.extend_from_slice(&group.bytes);
            batch.fed.extend(group.fed);
        }
        self.shared.store.add(records(&batch.bytes))?;
        self.stored += u64::try_from(batch.fed.len())?;
        let indexed = batch.fed.iter().map(Fed::indexed);
        self.covered = self
            .shared
            .index
            .apply(indexed, self.covered, self.shared.identity)?;
        self.shared.indexed.store(self.stored, Ordering::Release);
        self.shared.tail.note_stored(self.stored);
        Ok(())
    }

    /// Makes sled durable, and then says so in the head file: in this order, so that the head never claims
    /// what a power cut could take.
    fn settle(&mut self) -> Result<(), Failure> {
        if self.settled == self.stored {
            return Ok(());
        }
        let store_file_bytes = self.shared.store.make_durable()?;
        let (size, root) = self.shared.tail.size_and_root();
        self.head_file.write(&Head {
            size,
            root,
            store_size: self.stored,
            store_file_bytes,
        })?;
        self.settled = self.stored;
        match self.shared.options.journal_retention {
            JournalRetention::Whole => Ok(()),
            // Only now: before the head was written, the journal was the only durable copy that it vouched
            // for.
            JournalRetention::UntilSledIsDurable => Ok(journal::delete_segments_below(
                &self.shared.journal_directory,
                self.stored,
            )?),
        }
    }
}

/// Returns the records of a group in order.
pub(super) fn records(mut bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let record = Record::parse(bytes)?;
        bytes = bytes
            .get(record::padded(record.bytes.len())..)
            .unwrap_or_default();
        Some(record)
    })
}
