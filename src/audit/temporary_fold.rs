//! All entries of a source, folded into projections in a temporary directory: what is asked of every user needs no more
//! memory than what is asked of one.

use std::cell::RefCell;
use std::sync::Arc;

use state_machine::horizon::{AsOf, Horizon};
use tempfile::TempDir;

use super::source::{Source, SourceError, StoredEntry};
use crate::log::entry::{Entry, Leaf};
use crate::log::{ReadError, ReadErrorCause};
use crate::projections::catch_up::catch_up;
use crate::projections::store::{Projections, StoreError};
use crate::projections::view::View;

const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// The projections of a source.
pub struct TemporaryFold {
    // Before the directory, which is removed when it is dropped.
    projections: Arc<Projections>,
    _directory: TempDir,
}

/// Why a source cannot be folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// It cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The projections cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TemporaryFold {
    /// Folds what was known at a moment, or everything.
    pub fn of(source: &Source, as_of: Option<AsOf>) -> Result<Self, FoldError> {
        let directory = TempDir::new().map_err(StoreError::from)?;
        let projections = Projections::open_as_is(directory.path(), CACHE_BYTES)?;
        let horizon = Horizon {
            as_of,
            valid_at: None,
        };
        // A source that cannot be read on ends the entries; why is told then.
        let failure = RefCell::new(None);
        let entries = source
            .chunks(false)
            .map_while(|chunk| match chunk {
                Ok(chunk) => Some(chunk),
                Err(error) => {
                    failure.replace(Some(error));
                    None
                }
            })
            .flat_map(|chunk| (chunk.first..).zip(chunk.entries))
            .map(|(sequence, entry)| decoded(sequence, &entry))
            .filter(|entry| match entry {
                Ok(entry) => entry.leaf.is_within(&horizon),
                Err(_) => true,
            });
        catch_up(&projections, |_| entries, |_, _| {})?;
        match failure.take() {
            Some(error) => Err(error.into()),
            None => Ok(Self {
                projections,
                _directory: directory,
            }),
        }
    }

    /// Returns a view of them.
    pub fn view(&self) -> View {
        self.projections.view()
    }
}

fn decoded(sequence: u64, entry: &StoredEntry) -> Result<Arc<Entry>, ReadError> {
    let leaf = Leaf::decode(&entry.leaf).map_err(|cause| ReadError {
        sequence: state_machine::id::SequenceNumber(sequence),
        cause: ReadErrorCause::Leaf(cause),
    })?;
    Ok(Arc::new(Entry {
        leaf,
        sealed: Vec::new(),
    }))
}
