//! Opening sled with care: its files are looked at before sled does, its panics are caught, its deaths are
//! counted, and what it says it holds is checked against the head.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use super::head::Head;
use super::identity::Identity;
use super::open_error::{OpenError, Repair, Repairs};
use super::paths::Paths;
use super::store::{self, Store, StoreError};
use super::store_file;

/// How many entries before the head are looked up one by one.
const CHECKED_ENTRIES: u64 = 1_024;
/// How many entries are looked up further back, evenly spread.
const SPOT_CHECKS: u64 = 64;
/// How often in a row opening sled may end the process before sled counts as damaged.
const DEATHS_MAX: u64 = 2;

/// What opening sled found.
pub(super) enum StoreState {
    /// It holds every entry below `end` but the holes.
    Usable {
        store: Store,
        end: u64,
        holes: Vec<Range<u64>>,
    },
    /// It cannot be opened, or lacks what the head says.
    Damaged { reason: String },
}

/// What sled is to hold.
pub(super) struct Vouched<'head> {
    pub(super) identity: Identity,
    pub(super) head: &'head Head,
    /// Whether the head file could be read.
    pub(super) head_is_known: bool,
    /// Whether the journal can replace all of sled.
    pub(super) journal_is_whole: bool,
}

impl Vouched<'_> {
    /// Opens sled and checks it; changes nothing but leftovers if it cannot be used.
    pub(super) fn open_store(
        &self,
        paths: &Paths,
        cache_bytes: u64,
        repairs: &mut Repairs,
    ) -> Result<StoreState, OpenError> {
        if paths.store_rebuilding.exists() {
            return Ok(damaged("it was being built when the process ended"));
        }
        if let Err(reason) = self.look_at_file(&paths.store) {
            if self.journal_is_whole || !paths.store.exists() {
                return Ok(StoreState::Damaged { reason });
            }
            // sled may shorten its own file for good reasons, and here the journal could not replace it: try
            // it, but keep a copy, once: who is refused may be started again and again.
            if !paths.store_copy.exists() {
                copy_directory(&paths.store, &paths.store_copy)?;
            }
        }
        for path in store::remove_unfinished_snapshots(&paths.store)? {
            repairs.push(Repair::SnapshotRemoved { path });
        }
        if note_opening(&paths.store_opening)? > DEATHS_MAX {
            return Ok(damaged("opening it ended the process again and again"));
        }
        let examined = Store::open(&paths.store, cache_bytes).and_then(|store| self.examine(store));
        fs::remove_file(&paths.store_opening)?;
        match examined {
            Err(StoreError::Damaged(reason)) => Ok(StoreState::Damaged { reason }),
            other => Ok(other?),
        }
    }

    /// Looks at sled's file, read-only: opening one that lost its end would truncate it and find it empty.
    fn look_at_file(&self, directory: &Path) -> Result<(), String> {
        let there = store_file::path(directory)
            .metadata()
            .map_or(0, |file| file.len());
        match self.head.store_file_bytes {
            expected if there >= expected => Ok(()),
            expected => Err(format!(
                "its file has {there} bytes where it had {expected}"
            )),
        }
    }

    fn examine(&self, store: Store) -> Result<StoreState, StoreError> {
        let stored = store.end()?;
        match store.identity()? {
            Some(identity) if identity == self.identity => {}
            None if stored == 0 => store.set_identity(self.identity)?,
            _ => return Ok(damaged("it does not name this log as its own")),
        }
        let vouched = self.head.store_size;
        let checks_all = !self.journal_is_whole || !self.head_is_known;
        let checked_from = if checks_all {
            0
        } else {
            vouched.saturating_sub(CHECKED_ENTRIES)
        };
        let mut holes = store.missing(checked_from..stored.max(vouched))?;
        // What is missing behind the head's word is what sled had not made durable: the journal has it.
        let unvouched = holes.iter().position(|hole| hole.end > vouched);
        let end = unvouched
            .and_then(|index| holes.drain(index..).next())
            .map_or(stored, |hole| hole.start);
        let step = usize::try_from(checked_from / SPOT_CHECKS)
            .unwrap_or(usize::MAX)
            .max(1);
        for spot in (0..checked_from).step_by(step) {
            holes.extend(store.missing(spot..spot + 1)?);
        }
        match holes.first().filter(|_| self.journal_is_whole) {
            Some(hole) => Ok(StoreState::Damaged {
                reason: format!("it lacks entry {}", hole.start),
            }),
            None => Ok(StoreState::Usable { store, end, holes }),
        }
    }
}

fn damaged(reason: &str) -> StoreState {
    StoreState::Damaged {
        reason: reason.to_owned(),
    }
}

/// Notes that sled is about to be opened; returns how often that was noted since it last answered. A damaged
/// page id lets sled reserve more memory than there is, which ends the process: no panic could be caught.
fn note_opening(path: &Path) -> io::Result<u64> {
    let mut notes = File::options().append(true).create(true).open(path)?;
    notes.write_all(b".")?;
    notes.sync_all()?;
    Ok(notes.metadata()?.len())
}

/// Copies a directory's files; if we stop half-way, there is none under the copy's name.
fn copy_directory(from: &Path, to: &Path) -> io::Result<()> {
    let unfinished = to.with_added_extension("new");
    fs::create_dir_all(&unfinished)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        if file.file_type()?.is_file() {
            fs::copy(file.path(), unfinished.join(file.file_name()))?;
        }
    }
    fs::rename(unfinished, to)
}
