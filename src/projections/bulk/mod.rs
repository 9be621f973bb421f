//! The bulk fold: a whole log into an empty store, for rebuilds and for a start without projections.
//!
//! It comes to what catch-up comes to, with the same functions for what an entry does and which rows follow; only the
//! way of the data differs. Catch-up reads and writes a session whenever an entry concerns it. Here the entries are
//! sorted by session first, so that each record is made once, and every row is written in order of its key.
//!
//! ```text
//! leaves → sorted by session → records → store
//!                                ├─→ rows ────────────────┐
//!                                └─→ sorted by user → records → store
//!                                                      └─→ rows ─→ sorted → store
//! ```

mod leaves;
mod packed;
mod sessions;
mod sorter;
mod users;
pub mod watch;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use state_machine::id::SequenceNumber;

use super::store::{Projections, StoreError};
use crate::log::Log;
use sorter::{Sorted, Sorter};
use watch::Watch;

/// How much memory what is sorted may take, by default, before it is written to the disk in order.
pub const RUN_BYTES: usize = 96 * 1024 * 1024;

/// Why a log was not folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// Somebody wanted it to end.
    #[error("it was cancelled")]
    Cancelled,
    /// The store could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A thread ended with a bug.
    #[error("a thread of the fold ended early")]
    Thread,
    /// It ended with a bug.
    #[error("it ended with a bug: {0}")]
    Bug(String),
}

impl From<std::io::Error> for FoldError {
    fn from(error: std::io::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<lsm_tree::Error> for FoldError {
    fn from(error: lsm_tree::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Folds all durable entries into an empty store, and returns the first one that is not folded.
///
/// The cursor moves last: a store without one is not whole. Whatever is sorted is held in memory up to `run_bytes_max`.
pub fn fold(
    log: &Log,
    store: &Arc<Projections>,
    watch: &Watch,
    run_bytes_max: usize,
) -> Result<SequenceNumber, FoldError> {
    let end = SequenceNumber(log.size());
    watch.begin(end.0);
    let directory = store.path().parent().unwrap_or(Path::new("."));
    let sorter = || Sorter::new(directory.to_owned(), run_bytes_max);

    let (mut entries, mut users) = (sorter(), sorter());
    let (mut rows, mut strays) = (sorter(), sorter());
    let outputs = leaves::Outputs {
        sessions: &mut entries,
        users: &mut users,
        rows: &mut rows,
        strays: &mut strays,
    };
    leaves::sort(log, end, watch, outputs)?;

    let outputs = sessions::Outputs {
        rows: &mut rows,
        users: &mut users,
        strays: &mut strays,
    };
    sessions::fold(entries.sorted()?, &store.sessions, outputs, watch)?;

    let (rows, users) = (rows.sorted()?, users.sorted()?);
    let mut listings = store.listings.start_ingestion()?;
    thread::scope(|scope| {
        // The rows of users, and of what belongs to none, have keys behind those of sessions and policies.
        let folded = spawn(scope, "fold-users", watch, || {
            users::fold(users, &store.users, &mut strays)
        })?;
        write(rows, |key, row| listings.write(key, row))?;
        folded.join().map_err(|_| FoldError::Thread)?
    })?;
    write(strays.sorted()?, |key, row| listings.write(key, row))?;
    listings.finish()?;
    store.place_cursor(log, end)?;
    watch.finish();
    Ok(end)
}

/// Writes rows in their order.
fn write(
    mut rows: Sorted,
    mut write: impl FnMut(&[u8], &[u8]) -> lsm_tree::Result<()>,
) -> Result<(), FoldError> {
    while let Some((key, value)) = rows.next()? {
        write(key, value)?;
    }
    Ok(())
}

/// Starts a thread that ends within the scope.
fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    name: &str,
    watch: &'scope Watch,
    run: impl FnOnce() -> Result<T, FoldError> + Send + 'scope,
) -> Result<thread::ScopedJoinHandle<'scope, Result<T, FoldError>>, FoldError> {
    let started = thread::Builder::new()
        .name(name.to_owned())
        .spawn_scoped(scope, || {
            watch.lower_priority();
            run()
        });
    Ok(started?)
}
