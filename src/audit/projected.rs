//! What is served, compared with what the entries fold to: the same fold, in a temporary directory.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use tempfile::TempDir;

use super::data_directory::DataDirectory;
use super::finding::{Class, Findings};
use super::manifest::Manifest;
use super::report::Projected;
use super::source::{Source, SourceError};
use super::walk::Walk;
use crate::log::panic_guard;
use crate::projections::catch_up::catch_up;
use crate::projections::generations::Generations;
use crate::projections::store::{Projections, REDUCER_VERSION, StoreError};

const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// What a log says that its entries fold to.
pub(super) enum Served {
    /// A digest.
    Digest(Digest),
    /// Nothing that could be compared, and why.
    Nothing(String),
}

/// A digest of projections, as a server tells it.
#[derive(Deserialize)]
pub(super) struct Digest {
    sequence: u64,
    digest: String,
}

impl Served {
    pub(super) fn of(source: &Source, manifest: Option<&Manifest>) -> Self {
        match source {
            Source::DataDirectory(directory) => Self::stored(directory),
            Source::Export(_) => match manifest.map(|manifest| &manifest.projections) {
                None => Self::Nothing("the export has no manifest".to_owned()),
                Some(told) if told.reducer_version != REDUCER_VERSION => {
                    Self::Nothing("another version of the fold made the digest".to_owned())
                }
                Some(told) => Self::Digest(Digest {
                    sequence: told.sequence,
                    digest: told.digest.clone(),
                }),
            },
            Source::Url(tiles) => match tiles.read("v1/digest").map(|json| parsed(&json)) {
                Ok(Ok(digest)) => Self::Digest(digest),
                Ok(Err(error)) | Err(error) => Self::Nothing(error.to_string()),
            },
        }
    }

    /// Reads the stored projections: of a copy, since opening a store writes to it.
    fn stored(directory: &DataDirectory) -> Self {
        if directory.is_in_use() {
            return Self::Nothing("a service has the directory open: audit its URL".to_owned());
        }
        let generations = Generations::of(&directory.path().join("projections"));
        let Ok(Some(projections)) = generations.current() else {
            return Self::Nothing("there are none".to_owned());
        };
        // The store answers some damaged files with a panic.
        let read = panic_guard::catch(|| digest_of_copy(&projections));
        match read {
            Ok(Ok(Some(digest))) => Self::Digest(digest),
            Ok(Ok(None)) => Self::Nothing("another version of the fold made them".to_owned()),
            Ok(Err(error)) => Self::Nothing(format!("they cannot be read: {error}")),
            Err(_) => Self::Nothing("they cannot be read".to_owned()),
        }
    }

    /// Folds the entries of a walk, as many as the digest covers, and compares.
    pub(super) fn compare(self, mut walk: Walk<'_>) -> (Walk<'_>, Projected) {
        let told = match self {
            Self::Nothing(why) => return (walk, Projected::NotCompared { why }),
            Self::Digest(told) => told,
        };
        let entries = usize::try_from(told.sequence).unwrap_or(usize::MAX);
        let folded = fold(&mut walk, entries);
        let findings = &mut walk.checks.findings;
        let projected = match folded {
            Err(error) => not_compared(format!("they cannot be folded: {error}"), findings),
            Ok(folded) if folded.sequence < told.sequence => not_compared(
                format!(
                    "what is served covers {} entries, and {} were read",
                    told.sequence, folded.sequence
                ),
                findings,
            ),
            Ok(folded) if folded.digest == told.digest => Projected::Equal {
                sequence: told.sequence,
                digest: told.digest,
            },
            Ok(folded) => {
                let (served, folded) = (told.digest, folded.digest);
                let what = format!(
                    "the projections that are served ({served}) are not what the entries fold to ({folded})"
                );
                findings.add(Class::Tampered, what);
                Projected::Different
            }
        };
        (walk, projected)
    }
}

fn not_compared(why: String, findings: &mut Findings) -> Projected {
    findings.add(Class::CouldNotCheck, format!("projections: {why}"));
    Projected::NotCompared { why }
}

fn fold(walk: &mut Walk<'_>, entries: usize) -> Result<Digest, StoreError> {
    let directory = TempDir::new()?;
    let projections = Projections::open_as_is(directory.path(), CACHE_BYTES)?;
    catch_up(&projections, |_| walk.take(entries), |_, _| {})?;
    digest_of(&projections)
}

fn digest_of_copy(from: &Path) -> Result<Option<Digest>, StoreError> {
    let directory = TempDir::new()?;
    copy(from, directory.path())?;
    let projections = Projections::open_as_is(directory.path(), CACHE_BYTES)?;
    if !projections.is_of_this_reducer()? {
        return Ok(None);
    }
    digest_of(&projections).map(Some)
}

fn digest_of(projections: &Arc<Projections>) -> Result<Digest, StoreError> {
    let digest = projections.digest()?;
    Ok(Digest {
        sequence: digest.sequence.0,
        digest: digest.to_string(),
    })
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for file in fs::read_dir(from)? {
        let file = file?;
        let to = to.join(file.file_name());
        if file.file_type()?.is_dir() {
            copy(&file.path(), &to)?;
        } else {
            fs::copy(file.path(), to)?;
        }
    }
    Ok(())
}

fn parsed(json: &[u8]) -> Result<Digest, SourceError> {
    serde_json::from_slice(json).map_err(|error| SourceError::Damaged {
        place: "v1/digest".to_owned(),
        offset: 0,
        problem: error.to_string(),
    })
}
