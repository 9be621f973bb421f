//! An export or a server as a source: tiles and bundles in C2SP's layout, with the payloads beside them.

use std::io;
use std::path::{Path, PathBuf};

use super::bounds;
use super::checkpoint_file::CheckpointFile;
use super::source::{Checkpoints, Chunk, SourceError, StoredEntry};
use super::web::Web;
use crate::transparency::bundle;
use crate::transparency::checkpoint::Checkpoint;
use crate::transparency::hash::Hash;
use crate::transparency::note::Note;
use crate::transparency::payload_bundle;
use crate::transparency::tile::{EntryBundle, Tile, entry_bundles};

const CHECKPOINT: &str = "checkpoint";

/// A log in C2SP's layout.
pub struct Tiles {
    files: Files,
    checkpoint: Note,
    size: u64,
}

enum Files {
    Directory(PathBuf),
    Server(Web),
}

impl Files {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
        match self {
            Self::Directory(directory) => match bounds::read(directory, path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(SourceError::io(&directory.join(path), error)),
            },
            Self::Server(web) => Ok(web.get(path)?),
        }
    }

    /// Returns where the payloads of a bundle's entries are.
    fn payloads_of(&self, bundle: EntryBundle) -> String {
        let path = payload_bundle::path(bundle);
        match self {
            Self::Directory(_) => path,
            Self::Server(_) => format!("v1/log/{path}"),
        }
    }
}

impl Tiles {
    /// Opens an export.
    pub fn of_export(directory: &Path) -> Result<Self, SourceError> {
        Self::of(Files::Directory(directory.to_owned()))
    }

    /// Asks a server for its checkpoint, up to whose size its log is read.
    pub fn of_server(web: Web) -> Result<Self, SourceError> {
        Self::of(Files::Server(web))
    }

    fn of(files: Files) -> Result<Self, SourceError> {
        let bytes = files.read(CHECKPOINT)?;
        let bytes = bytes.ok_or_else(|| SourceError::Missing(CHECKPOINT.to_owned()))?;
        let note = Note::parse(&bytes).map_err(|error| damaged(CHECKPOINT, &error))?;
        let checkpoint: Checkpoint = (note.text().parse()).map_err(|e| damaged(CHECKPOINT, &e))?;
        Ok(Self {
            files,
            checkpoint: note,
            size: checkpoint.tree().size,
        })
    }

    /// Returns where an export lies.
    pub fn directory(&self) -> Option<&Path> {
        match &self.files {
            Files::Directory(directory) => Some(directory),
            Files::Server(_) => None,
        }
    }

    /// Returns a file or resource that has to be there.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let bytes = self.files.read(path)?;
        bytes.ok_or_else(|| SourceError::Missing(path.to_owned()))
    }

    pub(super) fn checkpoint(&self) -> &Note {
        &self.checkpoint
    }

    pub(super) fn checkpoints(&self) -> Result<Checkpoints<'_>, SourceError> {
        Ok(match &self.files {
            Files::Directory(directory) => {
                let path = directory.join("checkpoints");
                Checkpoints::File(CheckpointFile::open(&path, u64::MAX)?)
            }
            Files::Server(_) => Checkpoints::Served(Some(&self.checkpoint)),
        })
    }

    pub(super) fn hashes(&self, level: u8, first: u64) -> Result<Vec<Hash>, SourceError> {
        let Some(tile) = Tile::holding(level, first, self.size) else {
            return Ok(Vec::new());
        };
        let path = tile.to_string();
        let bytes = self.read(&path)?;
        let (hashes, rest) = bytes.as_chunks();
        let count = u64::try_from(hashes.len()).unwrap_or(u64::MAX);
        if !rest.is_empty() || count != tile.hashes().end - tile.hashes().start {
            return Err(damaged(&path, &"the tile has another length"));
        }
        Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
    }

    pub(super) fn bundles(&self, payloads: bool) -> Bundles<'_> {
        Bundles {
            tiles: self,
            payloads,
            left: Box::new(entry_bundles(self.size)),
        }
    }

    fn chunk(&self, bundle: EntryBundle, payloads: bool) -> Result<Chunk, SourceError> {
        let path = bundle.to_string();
        let bytes = self.read(&path)?;
        let leaves = bundle::leaves(bundle, &bytes).map_err(|error| damaged(&path, &error))?;
        let sealed_bytes = if payloads {
            let place = self.files.payloads_of(bundle);
            let bytes = self.read(&place)?;
            payload_bundle::payloads(bundle, &bytes)
                .map_err(|error| damaged(&place, &error))?
                .into_iter()
                .map(<[u8]>::to_vec)
                .collect()
        } else {
            vec![Vec::new(); leaves.len()]
        };
        let entries = leaves.into_iter().zip(sealed_bytes);
        Ok(Chunk {
            first: bundle.entries().start,
            entries: entries
                .map(|(leaf, sealed)| StoredEntry {
                    leaf: leaf.to_vec(),
                    sealed,
                })
                .collect(),
        })
    }
}

fn damaged(place: &str, problem: &dyn std::fmt::Display) -> SourceError {
    SourceError::Damaged {
        place: place.to_owned(),
        offset: 0,
        problem: problem.to_string(),
    }
}

/// The entries of a log in C2SP's layout.
pub(super) struct Bundles<'tiles> {
    tiles: &'tiles Tiles,
    payloads: bool,
    left: Box<dyn Iterator<Item = EntryBundle>>,
}

impl Iterator for Bundles<'_> {
    type Item = Result<Chunk, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let chunk = self.tiles.chunk(self.left.next()?, self.payloads);
        if chunk.is_err() {
            self.left = Box::new(std::iter::empty());
        }
        Some(chunk)
    }
}
