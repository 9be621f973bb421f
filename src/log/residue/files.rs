//! Every file under a directory, each once, whatever names lead to it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ResidueError;

/// A file to be searched.
pub(super) struct FoundFile {
    path: PathBuf,
    /// Its path under the data directory.
    pub(super) name: PathBuf,
    pub(super) bytes: u64,
    /// Whether sled wrote it, or a sled that was set aside.
    pub(super) is_sleds: bool,
}

impl FoundFile {
    /// Hands the open file on. One that a running server has removed since is passed over.
    pub(super) fn read(&self, read: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            file => read(&file?),
        }
    }

    pub(super) fn unreadable(&self, source: io::Error) -> ResidueError {
        unreadable(&self.path, source)
    }
}

/// Returns the files under a directory, in order of their names.
pub(super) fn under(data_dir: &Path) -> Result<Vec<FoundFile>, ResidueError> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    let mut directories = vec![data_dir.to_owned()];
    while let Some(directory) = directories.pop() {
        let failed = |source| unreadable(&directory, source);
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let metadata = match path.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata.map_err(|source| unreadable(&path, source))?,
            };
            if !seen.insert((metadata.dev(), metadata.ino())) {
                continue; // a link leads here a second time, or in a circle
            }
            if metadata.is_dir() {
                directories.push(path);
            } else if metadata.is_file() {
                let name = path.strip_prefix(data_dir).unwrap_or(&path).to_owned();
                files.push(FoundFile {
                    is_sleds: is_sleds(&name),
                    bytes: metadata.len(),
                    name,
                    path,
                });
            }
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(files)
}

fn is_sleds(name: &Path) -> bool {
    let mut parts = name.iter().map(|part| part.to_string_lossy());
    parts.next().is_some_and(|first| first == "log")
        && parts
            .next()
            .is_some_and(|second| second == "sled" || second.starts_with("sled.damaged"))
        && parts.next().is_some()
}

fn unreadable(path: &Path, source: io::Error) -> ResidueError {
    ResidueError::Unreadable {
        path: path.to_owned(),
        source,
    }
}
