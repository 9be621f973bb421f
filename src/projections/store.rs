//! One store of projections: a database of rows, untrusted and disposable.
//!
//! Written in one batch with the cursor: what a kill or a power cut takes is folded again from the log. Start-up keeps it
//! only if this version folded it, from this very log; otherwise it starts afresh.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use state_machine::id::SequenceNumber;

use super::digest::ProjectionsDigest;
use super::stored::DamagedRecord;
use super::view::View;
use crate::log::rows::batch::Batch;
use crate::log::rows::database::{Database, Memory};
use crate::log::rows::keyspace::Keyspace;
use crate::log::{Log, ReadError};

/// The version of the fold and of everything stored; another one in the store means folding the log again.
pub const REDUCER_VERSION: u32 = 5;

/// How much of it a kill costs: that is folded again from the log.
const ROWS_BYTES_MAX: u64 = 16 * 1024 * 1024;

pub(super) const CURSOR: &[u8] = b"cursor";
const DAMAGED: &[u8] = b"damaged";
const VERSION: &[u8] = b"reducer_version";

/// Why the store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database under it refused.
    #[error("the projections cannot be read or written")]
    Database(#[from] lsm_tree::Error),
    /// The directory could not be removed or made.
    #[error("the directory of the projections cannot be changed")]
    Directory(#[from] std::io::Error),
    /// A record is damaged.
    #[error("a projection is damaged; a rebuild or the next start folds them afresh from the log")]
    Damaged(#[from] DamagedRecord),
}

impl From<postcard::Error> for StoreError {
    fn from(error: postcard::Error) -> Self {
        Self::Damaged(error.into())
    }
}

/// Why a store starts empty although one was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedAfresh {
    /// It could not be opened.
    Unopenable,
    /// A read of it met a damage.
    Damaged,
    /// Another version of the fold wrote it.
    OtherReducer,
    /// It was folded from other entries than the log holds.
    OtherLog,
    /// It lacks an entry that could not be read then, and can be read again.
    EntryReadable,
}

impl std::fmt::Display for StartedAfresh {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let why = match self {
            Self::Unopenable => "could not be opened",
            Self::Damaged => "were damaged",
            Self::OtherReducer => "were folded by another version",
            Self::OtherLog => "were folded from other entries than the log holds",
            Self::EntryReadable => "lacked an entry that can be read again",
        };
        write!(
            formatter,
            "the projections {why}; they are folded afresh from the log"
        )
    }
}

/// How far the log is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The first entry that is not folded.
    pub next: SequenceNumber,
    /// What tells the entry before it from every other: the hash of its sealed payload; zeros where there is none.
    pub(super) last: [u8; 32],
}

impl Cursor {
    pub(super) const START: Self = Self {
        next: SequenceNumber(0),
        last: [0; 32],
    };

    fn stored(self) -> Vec<u8> {
        [self.next.0.to_be_bytes().as_slice(), &self.last].concat()
    }

    pub(super) fn of_stored(bytes: &[u8]) -> Option<Self> {
        let (next, last) = bytes.split_first_chunk()?;
        let next = SequenceNumber(u64::from_be_bytes(*next));
        Some(Self {
            next,
            last: last.try_into().ok()?,
        })
    }
}

/// One store of projections. Cheap to read from any thread; written by `catch_up` alone.
pub struct Projections {
    pub(super) database: Database,
    pub(super) sessions: Keyspace,
    pub(super) users: Keyspace,
    pub(super) listings: Keyspace,
    pub(super) meta: Keyspace,
    /// The digest that was asked for last; held by whoever makes another.
    pub(super) latest_digest: Mutex<Option<ProjectionsDigest>>,
    // The last field, which is dropped last: nothing is removed before the database is closed.
    home: Home,
}

/// Where a store lies.
struct Home {
    path: PathBuf,
    is_retired: AtomicBool,
}

impl Projections {
    /// Makes an empty store.
    pub(super) fn create(path: &Path, cache_bytes: u64) -> Result<Arc<Self>, StoreError> {
        let projections = Self::open_as_is(path, cache_bytes)?;
        projections
            .meta
            .insert(VERSION, REDUCER_VERSION.to_be_bytes())?;
        // From here on, that nothing is folded does not mean that another version did it.
        projections.make_durable()?;
        Ok(projections)
    }

    /// Opens the store in a directory as it is, of whichever log; an empty one if there is nothing.
    pub fn open_as_is(path: &Path, cache_bytes: u64) -> Result<Arc<Self>, StoreError> {
        let memory = Memory {
            cache_bytes,
            rows_bytes_max: ROWS_BYTES_MAX,
        };
        let database = Database::open(path, memory)?;
        Ok(Arc::new(Self {
            sessions: database.keyspace(b's'),
            users: database.keyspace(b'u'),
            listings: database.keyspace(b'l'),
            meta: database.keyspace(b'm'),
            database,
            latest_digest: Mutex::new(None),
            home: Home {
                path: path.to_owned(),
                is_retired: AtomicBool::new(false),
            },
        }))
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.home.path
    }

    /// Has the directory removed once nobody holds the store any more.
    pub(super) fn retire(&self) {
        self.database.set_disposable(true);
        self.home.is_retired.store(true, Ordering::Relaxed);
    }

    /// Has the directory stay.
    pub(super) fn keep(&self) {
        self.database.set_disposable(false);
        self.home.is_retired.store(false, Ordering::Relaxed);
    }

    /// Makes durable what was written so far.
    pub(super) fn make_durable(&self) -> Result<(), StoreError> {
        Ok(self.database.make_durable()?)
    }

    /// Returns why the store is not to be believed, if it is not.
    pub(super) fn reason_to_start_afresh(
        self: &Arc<Self>,
        log: &Log,
    ) -> Result<Option<StartedAfresh>, StoreError> {
        if !self.is_of_this_reducer()? {
            return Ok(Some(StartedAfresh::OtherReducer));
        }
        if self.meta.get(DAMAGED)?.is_some() {
            return Ok(Some(StartedAfresh::Damaged));
        }
        let cursor = self.cursor()?;
        if cursor.next.0 > log.size() || cursor.last != mark_before(log, cursor.next) {
            return Ok(Some(StartedAfresh::OtherLog));
        }
        let damaged = self.view().damaged_entries()?;
        let is_readable = |sequence: &SequenceNumber| matches!(log.entry(*sequence), Ok(Some(_)));
        Ok(damaged
            .iter()
            .any(is_readable)
            .then_some(StartedAfresh::EntryReadable))
    }

    /// Tells whether this version of the fold made what is stored.
    pub fn is_of_this_reducer(&self) -> Result<bool, StoreError> {
        let version = self.meta.get(VERSION)?;
        Ok(version.as_deref() == Some(REDUCER_VERSION.to_be_bytes().as_slice()))
    }

    /// Returns how far the log is folded.
    pub fn cursor(self: &Arc<Self>) -> Result<Cursor, StoreError> {
        self.view().cursor()
    }

    /// Puts the new cursor into the batch whose records it covers.
    pub(super) fn move_cursor(&self, batch: &mut Batch, cursor: Cursor) {
        batch.insert(&self.meta, CURSOR, cursor.stored());
    }

    /// Places the cursor behind everything below `next`, all of which was folded.
    pub(super) fn place_cursor(&self, log: &Log, next: SequenceNumber) -> Result<(), StoreError> {
        let last = mark_before(log, next);
        Ok(self.meta.insert(CURSOR, Cursor { next, last }.stored())?)
    }

    /// Notes a damage that a read has met, so that the next start folds afresh. A failure of the disk may pass, and is
    /// no damage.
    pub(super) fn note_damage(&self, error: StoreError) -> StoreError {
        let may_pass = matches!(
            &error,
            StoreError::Directory(_) | StoreError::Database(lsm_tree::Error::Io(_))
        );
        if may_pass {
            return error;
        }
        let noted = self.meta.insert(DAMAGED, []);
        // Else a kill would take the note, and the next start would go on with what is damaged.
        match noted.and_then(|()| self.database.make_durable()) {
            Ok(()) => error,
            Err(unnoted) => unnoted.into(),
        }
    }

    /// Returns a view in which nothing moves while it is read.
    pub fn view(self: &Arc<Self>) -> View {
        View::new(Arc::clone(self))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.is_retired.load(Ordering::Relaxed) {
            let path = std::mem::take(&mut self.path);
            let remove = move || drop(fs::remove_dir_all(path));
            // Not on the thread of a reader, for whom that may take too long. If it does not happen, or not whole, the
            // next start finds a leftover.
            drop(thread::Builder::new().name("remover".into()).spawn(remove));
        }
    }
}

/// Returns what tells the entry before `next` from every other.
fn mark_before(log: &Log, next: SequenceNumber) -> [u8; 32] {
    let Some(last) = next.0.checked_sub(1) else {
        return [0; 32];
    };
    match log.entry(SequenceNumber(last)) {
        Ok(Some(entry)) => entry.leaf.digest(),
        Ok(None) | Err(ReadError { .. }) => [0; 32],
    }
}
