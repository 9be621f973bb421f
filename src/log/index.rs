//! The index: from what an entry is known by to the entry. Derived from the leaves and disposable; its cursor
//! moves in the same batch as its entries, so it is never ahead of itself.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use state_machine::id::SequenceNumber;

use super::binary::Fields;
use super::dedupe::{Identification, Known};
use super::identity::Identity;
use super::panic_guard;

/// A version of the index's own format.
const META_KEY: &[u8] = b"\0version 1";
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
const DAMAGED_MARK: &str = "damaged";

/// Why the index cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the index: {0}")]
pub(super) struct IndexError(String);

/// The open index.
pub(super) struct Index {
    directory: PathBuf,
    database: Database,
    entries: Keyspace,
}

impl Index {
    /// Opens or creates it; returns how many entries it covers: none if it belongs to another log.
    pub(super) fn open(
        directory: &Path,
        identity: Identity,
        cache_bytes: u64,
    ) -> Result<(Self, u64), IndexError> {
        if directory.join(DAMAGED_MARK).exists() {
            return Err(IndexError(
                "it could not be read or written before".to_owned(),
            ));
        }
        let index = panic_guard::catch(|| Self::open_database(directory, cache_bytes))
            .map_err(IndexError)??;
        let meta = guarded(|| index.entries.get(META_KEY))?;
        let Some(meta) = meta else {
            return Ok((index, 0));
        };
        let mut fields = Fields::of(&meta);
        let (size, owner) = (fields.u64(), Identity::parse(fields.rest()));
        match size.filter(|_| owner == Some(identity)) {
            Some(size) => Ok((index, size)),
            None => Err(IndexError("it belongs to another log".to_owned())),
        }
    }

    /// Deletes all of it. It is derived, so nothing is lost.
    pub(super) fn delete(directory: &Path) -> io::Result<()> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn open_database(directory: &Path, cache_bytes: u64) -> Result<Self, IndexError> {
        let database = Database::builder(directory)
            .cache_size(cache_bytes)
            .max_journaling_size(8 * MEMTABLE_BYTES)
            .worker_threads(1)
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let entries = database.keyspace("entries", options)?;
        Ok(Self {
            directory: directory.to_owned(),
            database,
            entries,
        })
    }

    pub(super) fn find(
        &self,
        identification: &Identification,
    ) -> Result<Option<Known>, IndexError> {
        let value = guarded(|| self.entries.get(identification.as_bytes()))
            .inspect_err(|_| self.mark_damaged())?;
        Ok(value.and_then(|value| {
            let mut fields = Fields::of(&value);
            Some(Known {
                sequence: SequenceNumber(fields.u64()?),
                facts: fields.array()?,
            })
        }))
    }

    /// Adds entries and moves the cursor to `size`, all or nothing.
    pub(super) fn apply<'entry>(
        &self,
        entries: impl Iterator<Item = (&'entry Identification, Known)>,
        size: u64,
        identity: Identity,
    ) -> Result<(), IndexError> {
        let mut batch = self.database.batch();
        for (identification, known) in entries {
            let value = [known.sequence.0.to_le_bytes().as_slice(), &known.facts].concat();
            batch.insert(&self.entries, identification.as_bytes(), value);
        }
        batch.insert(
            &self.entries,
            META_KEY,
            [size.to_le_bytes().as_slice(), &identity.to_bytes()].concat(),
        );
        guarded(|| batch.commit()).inspect_err(|_| self.mark_damaged())
    }

    /// Has the next opening build it anew. If the mark itself fails, that opening finds the damage again.
    fn mark_damaged(&self) {
        drop(File::create(self.directory.join(DAMAGED_MARK)));
    }
}

fn guarded<T>(work: impl FnOnce() -> fjall::Result<T>) -> Result<T, IndexError> {
    Ok(panic_guard::catch(work).map_err(IndexError)??)
}

impl From<fjall::Error> for IndexError {
    fn from(error: fjall::Error) -> Self {
        Self(error.to_string())
    }
}
