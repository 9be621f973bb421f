//! Floor 2, the log: the ground truth. Append-only, gapless, durable before the answer.
//!
//! The journal is the commit point. sled, the index and the head file follow it, and each can be had again
//! from the others: sled and the index from the journal, the journal's old parts from sled.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, TrySendError, bounded, unbounded};
use state_machine::id::{SequenceNumber, UserTag};

use crate::stripe::decode::{SessionEvent, Unreadable};
use crate::stripe::signature::AuthenticatedPayload;
use crate::stripe::user_reference::UserReference;

mod append;
mod binary;
mod codes;
mod dedupe;
mod disk_space;
mod durable;
pub mod entry;
mod feeder;
mod head;
mod identity;
mod index;
mod index_building;
mod journal;
pub mod keys;
pub mod leaf;
mod open_error;
mod options;
pub(crate) mod panic_guard;
mod paths;
mod payload;
mod prepare;
mod read;
mod record;
mod recovery;
mod repair;
mod scan;
mod segment;
mod sequencer;
mod session_fact;
mod shared;
mod stop;
mod store;
mod store_opening;
mod survey;
mod tail;
pub mod vault;

pub use append::{AppendError, Appended};
use dedupe::Identification;
use disk_space::DiskSpace;
use entry::Entry;
use feeder::Feeder;
use journal::Journal;
use keys::{Keys, MasterKey};
pub use open_error::{MissingEntries, OpenError, Repair, Repairs};
pub use options::{JournalRetention, Options, RandomError};
use paths::Paths;
pub use payload::{OpenedPayload, PayloadError};
pub use prepare::Prepared;
pub use read::{ReadError, ReadErrorCause};
use recovery::Recovered;
use sequencer::{Request, Sequencer};
use shared::Shared;
use stop::Stop;
use tail::Tail;

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

/// The log. Shared by reference between threads; one sequencer thread inside owns all writes.
pub struct Log {
    shared: Arc<Shared>,
    /// Taken when the log closes, which ends the sequencer, which ends the feeder.
    queue: Option<Sender<Request>>,
    threads: Vec<JoinHandle<()>>,
    _lock: File,
}

impl Log {
    /// Opens or creates the log in `directory`, mends what can be mended, and says what it mended.
    pub fn open(
        directory: &Path,
        master_key: &MasterKey,
        options: Options,
    ) -> Result<(Self, Repairs), OpenError> {
        let paths = Paths::under(directory);
        fs::create_dir_all(&paths.journal)?;
        let lock = lock(&paths.lock)?;
        let keys = Keys::derive(master_key);
        let mut repairs = Repairs::new();
        if disk_space::keep_ballast(&paths.ballast, options.ballast_bytes)? {
            repairs.push(Repair::BallastReleased);
        }
        let identity = identity::establish(&paths, &keys, &options, &mut repairs)?;
        let recovered = recovery::recover(&paths, identity, &options, repairs)?;
        let Recovered {
            survey,
            store,
            index,
            head_file,
            repairs,
        } = recovered;
        let journal = Journal::open(
            &paths.journal,
            identity,
            options.journal_segment_bytes,
            survey.end,
        )?;
        let disk_space = DiskSpace::watch(directory, options.disk_free_bytes_min)?;
        let shared = Arc::new(Shared {
            keys,
            identity,
            options,
            journal_directory: paths.journal,
            tail: Tail::new(survey.end.next, survey.end.link),
            store,
            index,
            indexed: AtomicU64::new(survey.end.next),
            stop: Stop::default(),
            disk_full: AtomicBool::new(false),
            repaired_reads: AtomicU64::new(0),
            journal_reader: Mutex::new(None),
        });
        let (queue, requests) = bounded(shared.options.queue_entries_max);
        // Bounded by the tail, which lets commits wait when sled is too far behind.
        let (groups, fed) = unbounded();
        let feeder = Feeder::new(Arc::clone(&shared), head_file);
        let sequencer = Sequencer::new(Arc::clone(&shared), journal, disk_space, groups);
        let threads = vec![
            thread::Builder::new()
                .name("log-feeder".to_owned())
                .spawn(move || feeder.run(&fed))?,
            thread::Builder::new()
                .name("log-sequencer".to_owned())
                .spawn(move || sequencer.run(&requests))?,
        ];
        Ok((
            Self {
                shared,
                queue: Some(queue),
                threads,
                _lock: lock,
            },
            repairs,
        ))
    }

    /// Compresses, seals and hashes a payload, on the caller's thread.
    pub fn prepare_event(
        &self,
        payload: &AuthenticatedPayload<'_>,
        event: SessionEvent,
    ) -> Result<Prepared, RandomError> {
        let Shared { keys, options, .. } = &*self.shared;
        Prepared::of((keys, options), payload, prepare::session_fact(keys, event))
    }

    /// Compresses, seals and hashes a payload that cannot be read, on the caller's thread.
    pub fn prepare_unreadable(
        &self,
        payload: &AuthenticatedPayload<'_>,
        unreadable: Unreadable,
    ) -> Result<Prepared, RandomError> {
        let Shared { keys, options, .. } = &*self.shared;
        Prepared::of(
            (keys, options),
            payload,
            prepare::unreadable_fact(keys, payload.body(), unreadable),
        )
    }

    /// Queues an entry; `reply` is called once, from the sequencer's thread (or at once, if the queue is
    /// full), after the entry is durable and readable. It must not block.
    pub fn append(
        &self,
        prepared: Prepared,
        reply: impl FnOnce(Result<Appended, AppendError>) + Send + 'static,
    ) {
        let Some(queue) = &self.queue else {
            return reply(Err(AppendError::Closing));
        };
        // Before the lookup: whatever is indexed while it runs, the sequencer still has in memory.
        let indexed = self.shared.indexed.load(Ordering::Acquire);
        let known = match self.shared.index.find(&prepared.identification) {
            Ok(known) => known,
            Err(error) => return reply(Err(AppendError::Stopped(self.shared.stop.set(&error)))),
        };
        let request = Request {
            prepared,
            reply: Box::new(reply),
            known,
            indexed,
        };
        match queue.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(request)) => (request.reply)(Err(AppendError::QueueFull)),
            Err(TrySendError::Disconnected(request)) => (request.reply)(Err(AppendError::Closing)),
        }
    }

    /// Returns how many durable entries there are: the next sequence number.
    pub fn size(&self) -> u64 {
        self.shared.tail.size()
    }

    /// Returns an entry, or `None` beyond the end.
    pub fn entry(&self, sequence: SequenceNumber) -> Result<Option<Arc<Entry>>, ReadError> {
        self.shared.entry(sequence)
    }

    /// Returns the durable entries from `first` on, in order, up to the size at the call.
    pub fn entries_from(
        &self,
        first: SequenceNumber,
    ) -> impl Iterator<Item = Result<Arc<Entry>, ReadError>> + '_ {
        (first.0..self.size())
            .filter_map(|sequence| self.entry(SequenceNumber(sequence)).transpose())
    }

    /// Returns the payload of an entry in clear.
    pub fn open_payload(&self, entry: &Entry) -> Result<OpenedPayload, PayloadError> {
        let identification = Identification::of(&entry.leaf.fact);
        payload::open(
            &self.shared.keys,
            &entry.sealed,
            &entry.leaf.payload,
            &identification,
        )
    }

    /// Returns the tag under which entries name this user.
    pub fn user_tag(&self, reference: &UserReference) -> UserTag {
        self.shared.keys.user_tag(reference)
    }

    /// Returns whether the log accepts writes.
    pub fn health(&self) -> Health {
        Health {
            stopped: self.shared.stop.reason(),
            disk_full: self.shared.disk_full.load(Ordering::Relaxed),
            queue_entries: self.queue.as_ref().map_or(0, Sender::len),
            store_behind_entries: self.shared.tail.behind(),
            repaired_reads: self.shared.repaired_reads.load(Ordering::Relaxed),
        }
    }

    /// Commits and answers what is queued, syncs everything, and ends the threads. Dropping does the same.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to say here; its panic was printed.
            drop(thread.join());
        }
    }
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
