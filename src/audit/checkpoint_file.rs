//! The file of all checkpoints that a log ever signed, read strictly: in a data directory and in an export.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::source::SourceError;
use crate::transparency::note::{NOTE_BYTES_MAX, Note};

/// The length of a note and its CRC32C.
const FRAME_BYTES: usize = 8;

/// Where the last whole checkpoint of a file ends, and which it is.
#[derive(Default)]
pub(super) struct Last {
    pub(super) end: u64,
    pub(super) note: Option<Note>,
    /// Whether bytes lie behind it.
    pub(super) is_torn: bool,
}

/// The checkpoints of a file, in order, up to some byte; ends behind the first error.
pub struct CheckpointFile {
    path: PathBuf,
    reader: BufReader<io::Take<File>>,
    offset: u64,
    has_ended: bool,
}

impl CheckpointFile {
    /// Opens the file, to read no further than byte `end`.
    pub(super) fn open(path: &Path, end: u64) -> Result<Self, SourceError> {
        let file = File::open(path).map_err(|error| SourceError::io(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::new(file.take(end)),
            offset: 0,
            has_ended: false,
        })
    }

    /// Finds the last whole checkpoint.
    pub(super) fn last(path: &Path) -> Result<Last, SourceError> {
        let mut checkpoints = Self::open(path, u64::MAX)?;
        let mut last = Last {
            end: 0,
            note: None,
            is_torn: false,
        };
        while let Some(note) = checkpoints.next() {
            match note {
                Ok(note) => {
                    last.note = Some(note);
                    last.end = checkpoints.offset;
                }
                Err(SourceError::Damaged { .. }) => last.is_torn = true,
                Err(error) => return Err(error),
            }
        }
        Ok(last)
    }

    fn read(&mut self) -> Result<Option<Note>, SourceError> {
        let mut frame = Vec::with_capacity(FRAME_BYTES);
        self.read_bytes(FRAME_BYTES, &mut frame)?;
        if frame.is_empty() {
            return Ok(None);
        }
        let damaged = || SourceError::damaged(&self.path, self.offset, "the checkpoint is damaged");
        let (length, checksum) = frame.split_first_chunk().ok_or_else(damaged)?;
        let checksum = checksum.first_chunk().ok_or_else(damaged)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > NOTE_BYTES_MAX {
            return Err(damaged());
        }
        let mut note = Vec::with_capacity(length);
        self.read_bytes(length, &mut note)?;
        let is_whole =
            note.len() == length && crc32c::crc32c(&note) == u32::from_le_bytes(*checksum);
        let damaged = || SourceError::damaged(&self.path, self.offset, "the checkpoint is damaged");
        let parsed = is_whole.then(|| Note::parse(&note).ok()).flatten();
        let parsed = parsed.ok_or_else(damaged)?;
        self.offset += u64::try_from(FRAME_BYTES + length).unwrap_or(u64::MAX);
        Ok(Some(parsed))
    }

    fn read_bytes(&mut self, count: usize, bytes: &mut Vec<u8>) -> Result<(), SourceError> {
        let limit = u64::try_from(count).unwrap_or(u64::MAX);
        let read = self.reader.by_ref().take(limit).read_to_end(bytes);
        read.map(drop)
            .map_err(|error| SourceError::io(&self.path, error))
    }
}

impl Iterator for CheckpointFile {
    type Item = Result<Note, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let note = self.read().transpose();
        self.has_ended = !matches!(note, Some(Ok(_)));
        note
    }
}
