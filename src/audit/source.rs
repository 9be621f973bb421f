//! What is audited: a data directory, an export, or a server. One way to read all three, in constant memory.

use std::io;
use std::path::{Path, PathBuf};

use super::checkpoint_file::CheckpointFile;
use super::data_directory::{DataDirectory, Entries};
use super::tiles::{Bundles, Tiles};
use super::web::{Web, WebError};
use crate::client::Access;
use crate::log::inspection::JournalError;
use crate::transparency::hash::Hash;
use crate::transparency::note::Note;

/// How many entries a chunk holds, as an entry bundle does; the last one may have fewer.
pub const CHUNK_ENTRIES: u64 = 256;

/// A log to read.
pub enum Source {
    /// The files of the service itself.
    DataDirectory(Box<DataDirectory>),
    /// A directory that `avow export` wrote.
    Export(Tiles),
    /// A server.
    Url(Tiles),
}

/// An entry as it is stored; nothing of it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// The bytes of its leaf.
    pub leaf: Vec<u8>,
    /// Its sealed payload; empty if there is none, or if it was erased or not asked for.
    pub sealed: Vec<u8>,
}

/// Consecutive entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The number of the first one, a multiple of [`CHUNK_ENTRIES`].
    pub first: u64,
    /// They.
    pub entries: Vec<StoredEntry>,
}

/// Why a source cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// There is nothing that could be audited.
    #[error("{0} is neither a data directory, nor an export, nor the URL of a server")]
    NoSource(String),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The journal cannot be read on.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file does not hold what it has to.
    #[error("{place}, byte {offset}: {problem}")]
    Damaged {
        /// The file or resource.
        place: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        problem: String,
    },
    /// A file or resource that has to be there is not.
    #[error("{0} is missing")]
    Missing(String),
    /// The server gave no usable answer.
    #[error(transparent)]
    Web(#[from] WebError),
}

impl SourceError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            return Self::Missing(path.display().to_string());
        }
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn damaged(path: &Path, offset: u64, problem: &str) -> Self {
        Self::Damaged {
            place: path.display().to_string(),
            offset,
            problem: problem.to_owned(),
        }
    }
}

impl Source {
    /// Opens what lies at a path or a URL, which is asked with this access.
    pub fn open(place: &str, access: Option<&Access>) -> Result<Self, SourceError> {
        if place.starts_with("http://") || place.starts_with("https://") {
            return Ok(Self::Url(Tiles::of_server(Web::new(place, access)?)?));
        }
        let path = Path::new(place);
        if path.join("log/journal").is_dir() {
            let directory = DataDirectory::open(path)?;
            return Ok(Self::DataDirectory(Box::new(directory)));
        }
        if path.join("manifest.json").is_file() {
            return Ok(Self::Export(Tiles::of_export(path)?));
        }
        Err(SourceError::NoSource(place.to_owned()))
    }

    /// Returns the latest checkpoint, not authenticated; none if a data directory has none yet.
    pub fn checkpoint(&self) -> Option<&Note> {
        match self {
            Self::DataDirectory(directory) => directory.checkpoint(),
            Self::Export(tiles) | Self::Url(tiles) => Some(tiles.checkpoint()),
        }
    }

    /// Returns every checkpoint that is recorded, in order, not authenticated: of a server, the one that it serves.
    pub fn checkpoints(&self) -> Result<Checkpoints<'_>, SourceError> {
        Ok(match self {
            Self::DataDirectory(directory) => directory.checkpoints()?,
            Self::Export(tiles) | Self::Url(tiles) => tiles.checkpoints()?,
        })
    }

    /// Returns the stored hashes of a tile level from `first` on, a multiple of 256: at most 256, and none that is not
    /// there.
    pub fn hashes(&self, level: u8, first: u64) -> Result<Vec<Hash>, SourceError> {
        match self {
            Self::DataDirectory(directory) => directory.hashes(level, first),
            Self::Export(tiles) | Self::Url(tiles) => tiles.hashes(level, first),
        }
    }

    /// Returns all entries, from the first one on; ends behind the first error. Of a data directory, these may be more
    /// than the latest checkpoint covers.
    pub fn chunks(&self, payloads: bool) -> Chunks<'_> {
        Chunks(match self {
            Self::DataDirectory(directory) => match directory.entries() {
                Ok(entries) => EntriesOf::DataDirectory(Box::new(entries)),
                Err(error) => EntriesOf::Unreadable(Some(error)),
            },
            Self::Export(tiles) | Self::Url(tiles) => EntriesOf::Tiles(tiles.bundles(payloads)),
        })
    }

    /// Returns the data directory, if that is what is read.
    pub fn data_directory(&self) -> Option<&DataDirectory> {
        match self {
            Self::DataDirectory(directory) => Some(directory),
            Self::Export(_) | Self::Url(_) => None,
        }
    }
}

/// Recorded checkpoints, in order.
pub enum Checkpoints<'source> {
    /// Those of a file.
    File(CheckpointFile),
    /// The only one that is told.
    Served(Option<&'source Note>),
}

impl Iterator for Checkpoints<'_> {
    type Item = Result<Note, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::File(file) => file.next(),
            Self::Served(note) => note.take().cloned().map(Ok),
        }
    }
}

/// All entries of a source, in order.
pub struct Chunks<'source>(EntriesOf<'source>);

enum EntriesOf<'source> {
    DataDirectory(Box<Entries>),
    Tiles(Bundles<'source>),
    Unreadable(Option<SourceError>),
}

impl Iterator for Chunks<'_> {
    type Item = Result<Chunk, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            EntriesOf::DataDirectory(entries) => entries.next(),
            EntriesOf::Tiles(bundles) => bundles.next(),
            EntriesOf::Unreadable(error) => error.take().map(Err),
        }
    }
}
