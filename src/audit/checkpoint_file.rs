//! The file of all checkpoints that a log ever signed, read strictly: in a data directory and in an export.

use std::fs::File;
use std::io::{Read, Take};
use std::path::{Path, PathBuf};

use super::bounds;
use super::source::SourceError;
use crate::log::tree::checkpoint_reader::{CheckpointReader, Stretch};
use crate::transparency::note::Note;

/// Where the last whole checkpoint of a file ends, and which it is.
#[derive(Default)]
pub(super) struct Last {
    pub(super) end: u64,
    pub(super) note: Option<Note>,
    /// Whether bytes lie behind it.
    pub(super) is_torn: bool,
}

/// The checkpoints of a file, in order, up to some byte; goes on behind damage, and ends where reading fails.
pub struct CheckpointFile {
    path: PathBuf,
    reader: CheckpointReader<Take<File>>,
}

impl CheckpointFile {
    /// Opens the file, to read no further than byte `end`.
    pub(super) fn open(path: &Path, end: u64) -> Result<Self, SourceError> {
        let file = bounds::open(path).map_err(|error| SourceError::io(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            reader: CheckpointReader::new(file.take(end), 0),
        })
    }

    /// Finds the last whole checkpoint.
    pub(super) fn last(path: &Path) -> Result<Last, SourceError> {
        let mut last = Last::default();
        let mut checkpoints = Self::open(path, u64::MAX)?;
        while let Some(Stretch { bytes, note }) = checkpoints.stretch()? {
            last.is_torn = note.is_none();
            if note.is_some() {
                (last.note, last.end) = (note, bytes.end);
            }
        }
        Ok(last)
    }

    fn stretch(&mut self) -> Result<Option<Stretch>, SourceError> {
        let stretch = self.reader.next().transpose();
        stretch.map_err(|error| SourceError::io(&self.path, error))
    }
}

impl Iterator for CheckpointFile {
    type Item = Result<Note, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let stretch = self.stretch().transpose()?;
        Some(stretch.and_then(|Stretch { bytes, note }| {
            note.ok_or_else(|| {
                SourceError::damaged(&self.path, bytes.start, "the checkpoint is damaged")
            })
        }))
    }
}
