//! A data directory as a source: the journal, the stored tree and the checkpoints, and the vault beside them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::checkpoint_file::{CheckpointFile, Last};
use super::source::{CHUNK_ENTRIES, Checkpoints, Chunk, SourceError, StoredEntry};
use crate::log::inspection::{Inspection, Journal, JournalEntry};
use crate::transparency::hash::Hash;
use crate::transparency::note::Note;

const HASH_BYTES: usize = 32;
const TILE_BYTES: usize = CHUNK_LENGTH * HASH_BYTES;
/// [`CHUNK_ENTRIES`], in memory.
const CHUNK_LENGTH: usize = 256;

/// The files of a service.
pub struct DataDirectory {
    path: PathBuf,
    log: PathBuf,
    inspection: Inspection,
    is_in_use: bool,
    last: Last,
    cosigned: Option<Note>,
}

impl DataDirectory {
    /// Looks at a data directory. What its checkpoints say now is what is audited, whatever is appended meanwhile.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let log = path.join("log");
        let inspection = Inspection::of(&log);
        let is_in_use = inspection
            .is_in_use()
            .map_err(|error| SourceError::io(&log.join("lock"), error))?;
        let checkpoints = log.join("checkpoints");
        let last = if checkpoints.exists() {
            CheckpointFile::last(&checkpoints)?
        } else {
            Last::default()
        };
        let cosigned = fs::read(log.join("cosigned")).ok();
        Ok(Self {
            path: path.to_owned(),
            inspection,
            is_in_use,
            last,
            cosigned: cosigned.and_then(|note| Note::parse(&note).ok()),
            log,
        })
    }

    /// Returns where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the files of its log.
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Tells whether a service has it open.
    pub fn is_in_use(&self) -> bool {
        self.is_in_use
    }

    /// Tells whether something other than a checkpoint ends the file of checkpoints.
    pub fn checkpoints_are_torn(&self) -> bool {
        self.last.is_torn
    }

    /// Returns the checkpoint that witnesses cosigned last, not authenticated.
    pub fn cosigned(&self) -> Option<&Note> {
        self.cosigned.as_ref()
    }

    /// Returns the last checkpoint, not authenticated.
    pub fn checkpoint(&self) -> Option<&Note> {
        self.last.note.as_ref()
    }

    pub(super) fn checkpoints(&self) -> Result<Checkpoints<'_>, SourceError> {
        let path = self.log.join("checkpoints");
        Ok(if self.last.note.is_some() {
            Checkpoints::File(CheckpointFile::open(&path, self.last.end)?)
        } else {
            Checkpoints::Served(None)
        })
    }

    pub(super) fn hashes(&self, level: u8, first: u64) -> Result<Vec<Hash>, SourceError> {
        let path = self.level(level);
        let io = |error| SourceError::io(&path, error);
        let file = File::open(&path).map_err(io)?;
        let mut bytes = vec![0; TILE_BYTES];
        let offset = first.saturating_mul(u64::try_from(HASH_BYTES).unwrap_or(u64::MAX));
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let place = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
            match file.read_at(rest, place).map_err(io)? {
                0 => break,
                count => filled += count,
            }
        }
        let (hashes, _) = bytes.get(..filled).unwrap_or_default().as_chunks();
        Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
    }

    /// Returns how many bytes of a level are stored.
    pub fn level_bytes(&self, level: u8) -> u64 {
        fs::metadata(self.level(level)).map_or(0, |file| file.len())
    }

    pub(super) fn entries(&self) -> Result<Entries, SourceError> {
        let journal = self.inspection.journal()?;
        Ok(Entries {
            journal,
            first: 0,
            error: None,
        })
    }

    fn level(&self, level: u8) -> PathBuf {
        self.log.join("tree").join(level.to_string())
    }
}

/// The entries of the journal.
pub(super) struct Entries {
    journal: Journal,
    first: u64,
    /// What ended a chunk before its time: told behind what could be read.
    error: Option<SourceError>,
}

impl Iterator for Entries {
    type Item = Result<Chunk, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.error.take() {
            return Some(Err(error));
        }
        let mut entries = Vec::new();
        for entry in self.journal.by_ref().take(CHUNK_LENGTH) {
            match entry {
                Ok(JournalEntry { leaf, sealed }) => entries.push(StoredEntry { leaf, sealed }),
                Err(error) => self.error = Some(error.into()),
            }
        }
        if entries.is_empty() {
            return self.error.take().map(Err);
        }
        let first = self.first;
        self.first += CHUNK_ENTRIES;
        Some(Ok(Chunk { first, entries }))
    }
}
