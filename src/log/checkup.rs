//! A checkup: what the files of a log tell of its parts, at little cost and without changing any. An audit reads all of
//! them; this reads the end of the journal, and how the others stand to it.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use state_machine::time::ReceivedAt;

use super::entry::Leaf;
use super::head::HeadFile;
use super::index::DAMAGED_MARK;
use super::inspection::{Inspection, Journal, JournalError, JournalProblem};
use super::journal::segments;
use super::record::GENESIS;
use super::segment::{self, SegmentHeader};
use super::store;
use super::store_file;
use super::vault::KeySlot;
use crate::transparency::hash::leaf_hash;

/// What the head file vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vouched {
    /// How many entries the journal has.
    pub entries: u64,
    /// How many entries sled has.
    pub store_entries: u64,
    /// How long sled's file is.
    pub store_file_bytes: u64,
}

/// How the journal ends.
#[derive(Debug)]
pub struct JournalEnd {
    /// How many entries there are.
    pub entries: u64,
    /// When the last one came.
    pub last_received_at: Option<ReceivedAt>,
    /// The first key slot that none of the last segment's entries names.
    pub slots_end: KeySlot,
    /// The hash of the last entry's leaf.
    pub last_leaf_hash: Option<[u8; 32]>,
    /// Why it could not be read on, if it is damaged: behind what is vouched for, a write that was broken off.
    pub damage: Option<JournalError>,
}

/// How sled's directory looks from outside.
#[derive(Debug)]
pub struct StoreFiles {
    /// Where it is.
    pub directory: PathBuf,
    /// How long its file is; `None` if there is none.
    pub file_bytes: Option<u64>,
    /// Snapshots that it began, with which it does not open.
    pub unfinished_snapshots: Vec<PathBuf>,
    /// Whether it was being built anew when a process ended.
    pub is_half_built: bool,
    /// Damaged ones that were set aside.
    pub set_aside: Vec<PathBuf>,
}

impl Inspection {
    /// Tells whether a log has begun here.
    pub fn has_begun(&self) -> io::Result<bool> {
        super::identity::has_begun(&self.paths)
    }

    /// Returns what the head file vouches for; `None` if it is missing or damaged.
    pub fn vouched(&self) -> io::Result<Option<Vouched>> {
        let head = match HeadFile::read(&self.paths.head) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            head => head?,
        };
        Ok(head.map(|head| Vouched {
            entries: head.size,
            store_entries: head.store_size,
            store_file_bytes: head.store_file_bytes,
        }))
    }

    /// Reads the header of each segment, and the last segment whole.
    pub fn journal_end(&self) -> Result<JournalEnd, JournalError> {
        let mut journal = self.last_segment()?;
        let mut end = JournalEnd {
            entries: 0,
            last_received_at: None,
            slots_end: KeySlot(0),
            last_leaf_hash: None,
            damage: None,
        };
        for entry in journal.by_ref() {
            match entry {
                Ok(entry) => {
                    end.last_leaf_hash = Some(leaf_hash(&entry.leaf).0);
                    // A leaf that cannot be understood is for an audit to tell.
                    if let Ok(leaf) = Leaf::decode(&entry.leaf) {
                        end.last_received_at = Some(leaf.received_at);
                        let slot = KeySlot(leaf.key_slot.0.saturating_add(1));
                        end.slots_end = KeySlot(end.slots_end.0.max(slot.0));
                    }
                }
                Err(error) => end.damage = Some(error),
            }
        }
        end.entries = journal.next;
        Ok(end)
    }

    fn last_segment(&self) -> Result<Journal, JournalError> {
        let directory = &self.paths.journal;
        let io = |path: &PathBuf| {
            let path = path.clone();
            move |source| JournalError::Io { path, source }
        };
        let firsts = segments(directory).map_err(io(directory))?;
        let mut journal = Journal {
            directory: directory.clone(),
            identity: self.identity().ok().flatten(),
            firsts: firsts
                .last()
                .copied()
                .into_iter()
                .collect::<Vec<_>>()
                .into_iter(),
            segment: None,
            previous_first: 0,
            next: 0,
            link: GENESIS,
            has_ended: false,
        };
        let mut before = None;
        for first in firsts {
            let path = segment::path(directory, first);
            let file = File::open(&path).map_err(io(&path))?;
            let header = SegmentHeader::read_strictly(&file).map_err(io(&path))?;
            journal.next = first;
            let Some(header) = header else {
                return Err(journal.damaged(&path, 0, JournalProblem::Header));
            };
            if before.is_some_and(|before| header.previous_first != before) {
                return Err(journal.damaged(&path, 0, JournalProblem::Place));
            }
            before = Some(first);
            journal.previous_first = header.previous_first;
            journal.link = header.before;
        }
        Ok(journal)
    }

    /// Looks at sled's directory.
    pub fn store_files(&self) -> io::Result<StoreFiles> {
        let directory = &self.paths.store;
        let set_aside = fs::read_dir(directory.parent().unwrap_or(directory))?;
        let is_aside = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("sled.damaged"))
        };
        Ok(StoreFiles {
            file_bytes: store_file::path(directory)
                .metadata()
                .ok()
                .map(|file| file.len()),
            unfinished_snapshots: store::unfinished_snapshots(directory)?,
            is_half_built: self.paths.store_rebuilding.exists(),
            set_aside: set_aside
                .flatten()
                .map(|file| file.path())
                .filter(is_aside)
                .collect(),
            directory: directory.clone(),
        })
    }

    /// Tells whether the index has to be built anew: it is missing, or was found damaged.
    pub fn index_is_lost(&self) -> bool {
        !self.paths.index.is_dir() || self.paths.index.join(DAMAGED_MARK).exists()
    }
}
