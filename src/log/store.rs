//! The store: sled, which answers reads. It is fed records in key order behind the journal, and nothing else.
//!
//! Trusted for nothing that was not flushed and then synced here: sled's own flush does not reach the disk.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::identity::{self, Identity};
use super::panic_guard;
use super::record::{self, Record};
use super::store_file::StoreFile;

/// sled moves a page over a quarter of this to a blob file, which it never syncs.
const SEGMENT_BYTES: usize = 8 * 1024 * 1024;
/// A leaf of sled's tree holds up to 16 values: 16 of these stay far below a quarter of a segment.
const VALUE_BYTES_MAX: usize = 7_500;
/// How many values before a record are searched for it.
const RUNS_SEARCHED_MAX: usize = 32;
/// Runs sled's own flusher, which alone collects its garbage.
const FLUSH_EVERY_MS: u64 = 500;

/// sled's identity stands before every record.
const IDENTITY_KEY: &[u8] = b"i";
const RECORD_PREFIX: u8 = b'r';

/// What sled did.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum StoreError {
    /// Its files do not hold together.
    #[error("sled is damaged: {0}")]
    Damaged(String),
    /// The operating system refused.
    #[error("sled: {0}")]
    Io(String),
}

/// The open store.
pub(super) struct Store {
    /// Before the file: it is dropped first.
    db: sled::Db,
    file: StoreFile,
}

impl Store {
    /// Opens or creates it. sled may truncate a file that it does not understand: look at it first.
    pub(super) fn open(directory: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        guarded(|| {
            let db = sled::Config::new()
                .path(directory)
                .segment_size(SEGMENT_BYTES)
                .cache_capacity(cache_bytes)
                .flush_every_ms(Some(FLUSH_EVERY_MS))
                .open()?;
            Ok(Self {
                db,
                file: StoreFile::open(directory)?,
            })
        })
    }

    /// Returns whose records it holds; `None` while it is empty.
    pub(super) fn identity(&self) -> Result<Option<Identity>, StoreError> {
        guarded(|| {
            Ok(self
                .db
                .get(IDENTITY_KEY)?
                .and_then(|bytes| Identity::parse(&bytes)))
        })
    }

    pub(super) fn set_identity(&self, identity: Identity) -> Result<(), StoreError> {
        let bytes: [u8; identity::BYTES] = identity.to_bytes();
        guarded(|| Ok(self.db.insert(IDENTITY_KEY, bytes.as_slice()).map(drop)?))
    }

    /// Returns the sequence number behind the last record.
    pub(super) fn end(&self) -> Result<u64, StoreError> {
        guarded(|| {
            let last = self
                .db
                .scan_prefix([RECORD_PREFIX])
                .next_back()
                .transpose()?;
            Ok(last.and_then(|(key, run)| end_of(&key, &run)).unwrap_or(0))
        })
    }

    /// Returns a record's bytes, or `None` if it is not there or damaged.
    pub(super) fn record(&self, sequence: u64) -> Result<Option<Vec<u8>>, StoreError> {
        guarded(|| {
            // A run that mended a hole may lie within an older one, and hide what follows it there.
            let runs = self
                .db
                .range(key(0, 0)..=key(sequence, 0))
                .rev()
                .take(RUNS_SEARCHED_MAX);
            for run in runs {
                let (key, run) = run?;
                if let Some(record) = self.record_in(&key, &run, sequence)? {
                    return Ok(Some(record));
                }
            }
            Ok(None)
        })
    }

    /// Returns a record of a run, undamaged.
    fn record_in(
        &self,
        run_key: &[u8],
        run: &[u8],
        sequence: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let first = if is_first_part(run_key) {
            sequence_of(run_key)
        } else {
            None
        };
        let offset = first.and_then(|first| usize::try_from(sequence.checked_sub(first)?).ok());
        let Some(mut bytes) = offset
            .and_then(|offset| nth(run, offset))
            .map(<[u8]>::to_vec)
        else {
            return Ok(None);
        };
        for part in 1.. {
            if bytes.len() >= record::bytes_of(&bytes).unwrap_or(0) {
                break;
            }
            let Some(value) = self.db.get(key(sequence, part))? else {
                return Ok(None);
            };
            bytes.extend_from_slice(&value);
        }
        let is_right = Record::parse(&bytes).is_some_and(|record| record.sequence == sequence);
        Ok(is_right.then_some(bytes))
    }

    /// Returns the ranges of `wanted` that are not there or damaged.
    pub(super) fn missing(&self, wanted: Range<u64>) -> Result<Vec<Range<u64>>, StoreError> {
        let mut missing: Vec<Range<u64>> = Vec::new();
        for sequence in wanted {
            if self.record(sequence)?.is_none() {
                match missing.last_mut().filter(|range| range.end == sequence) {
                    Some(range) => range.end += 1,
                    None => missing.push(sequence..sequence + 1),
                }
            }
        }
        Ok(missing)
    }

    /// Adds records in order, consecutive ones packed into one value: what sled costs, it costs for each value. A
    /// `sled::Batch` would add them in the order of a hash, at twice the cost; and it is not needed: if we stop in
    /// between, the next opening finds where the records end.
    pub(super) fn add<'record>(
        &self,
        records: impl Iterator<Item = Record<'record>>,
    ) -> Result<(), StoreError> {
        guarded(|| {
            let mut run = Run::default();
            for record in records {
                if !run.takes(&record) {
                    self.insert(&run)?;
                    run = Run {
                        first: record.sequence,
                        ..Run::default()
                    };
                }
                run.bytes.extend_from_slice(record.bytes);
                run.end = record.sequence + 1;
            }
            self.insert(&run)
        })
    }

    /// Inserts a run: one value, or, of a long record, several.
    fn insert(&self, run: &Run) -> Result<(), StoreError> {
        let mut values = (0..).zip(run.bytes.chunks(VALUE_BYTES_MAX));
        let insert = |(part, value)| self.db.insert(key(run.first, part), value).map(drop);
        Ok(values.try_for_each(insert)?)
    }

    /// Makes everything applied so far durable; returns how long the file is. Never tried again after a
    /// failure: the kernel reports a failed write-back once.
    pub(super) fn make_durable(&self) -> Result<u64, StoreError> {
        guarded(|| Ok(self.db.flush().map(drop)?))?;
        Ok(self.file.sync()?)
    }
}

/// Deletes snapshots that sled had not finished: it would not open beside one.
pub(super) fn remove_unfinished_snapshots(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let unfinished = unfinished_snapshots(directory)?;
    unfinished.iter().try_for_each(fs::remove_file)?;
    Ok(unfinished)
}

/// Returns the snapshots that sled began and did not finish: it does not open while one lies there.
pub(super) fn unfinished_snapshots(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let files = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files?.collect::<io::Result<Vec<_>>>()?,
    };
    let is_unfinished = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("snap.") && name.ends_with(".generating"))
    };
    let paths = files.into_iter().map(|file| file.path());
    Ok(paths.filter(is_unfinished).collect())
}

/// Consecutive records that share a value; more than a value holds only if it is a single, long record.
#[derive(Default)]
struct Run {
    first: u64,
    end: u64,
    bytes: Vec<u8>,
}

impl Run {
    fn takes(&self, record: &Record<'_>) -> bool {
        self.end == record.sequence && self.bytes.len() + record.bytes.len() <= VALUE_BYTES_MAX
    }
}

/// Returns what stands at the place of the nth record of a run: all of it, or the first part of a long one. The
/// records before it are stepped over by their length, whatever has become of their content.
fn nth(run: &[u8], offset: usize) -> Option<&[u8]> {
    let mut rest = run;
    for _ in 0..offset {
        rest = rest.get(record::bytes_of(rest)?..)?;
    }
    rest.get(..record::bytes_of(rest)?).or(Some(rest))
}

/// Returns the sequence number behind the last record of a run.
fn end_of(run_key: &[u8], run: &[u8]) -> Option<u64> {
    let first = sequence_of(run_key)?;
    let mut end = first + 1;
    while nth(run, usize::try_from(end - first).ok()?).is_some() {
        end += 1;
    }
    Some(end)
}

fn key(sequence: u64, part: u16) -> [u8; 11] {
    let mut key = [RECORD_PREFIX; 11];
    let bytes = sequence.to_be_bytes().into_iter().chain(part.to_be_bytes());
    key.iter_mut()
        .skip(1)
        .zip(bytes)
        .for_each(|(to, from)| *to = from);
    key
}

fn is_first_part(key: &[u8]) -> bool {
    key.ends_with(&[0, 0])
}

fn sequence_of(key: &[u8]) -> Option<u64> {
    key.get(1..9)?.try_into().ok().map(u64::from_be_bytes)
}

fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    panic_guard::catch(work).unwrap_or_else(|message| Err(StoreError::Damaged(message)))
}

impl From<sled::Error> for StoreError {
    fn from(error: sled::Error) -> Self {
        if let sled::Error::Io(error) = error {
            return error.into();
        }
        Self::Damaged(error.to_string())
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
        if matches!(error.kind(), UnexpectedEof | InvalidData | NotFound) {
            return Self::Damaged(error.to_string());
        }
        Self::Io(error.to_string())
    }
}
