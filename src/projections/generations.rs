//! The directory of the projections: each generation of them a store of its own, and a pointer to the one that counts.
//!
//! A generation is pointed to only when it is whole and durable, and the pointer takes its place in one rename. So a
//! process may end at any moment: the next start finds the old generation or the new one, and removes what else is there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::log::durable::create_whole;

const POINTER: &str = "current";
const PREFIX: &str = "generation-";
/// There while everything is to be folded anew.
const WISH: &str = "rebuilding";

/// The directory.
pub struct Generations {
    directory: PathBuf,
}

impl Generations {
    /// Returns what lies in a directory, whether it is there or not.
    pub fn of(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    /// Returns where the generation that counts lies; `None` if there is none.
    pub fn current(&self) -> io::Result<Option<PathBuf>> {
        match fs::read_to_string(self.pointer()) {
            Ok(name) => {
                let name = name.trim_end();
                Ok(number(name).map(|_| self.directory.join(name)))
            }
            // Bytes that are no text name nothing.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells whether anything lies there that could have been read: a pointer, or what another version left.
    pub(super) fn is_used(&self) -> io::Result<bool> {
        let is_ours = |name: &String| name == WISH || number(name).is_some();
        Ok(!self.names()?.iter().all(is_ours))
    }

    /// Makes an empty directory for another generation, and returns where it is.
    pub(super) fn begin(&self) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.directory)?;
        let numbers = self.names()?.into_iter().filter_map(|name| number(&name));
        let mut next = numbers.max().unwrap_or(0).saturating_add(1);
        loop {
            let path = self.directory.join(format!("{PREFIX}{next}"));
            match fs::create_dir(&path) {
                // Somebody else has begun one at the same time.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => next += 1,
                other => return other.map(|()| path),
            }
        }
    }

    /// Makes a generation the one that counts. It has to be durable.
    pub(super) fn point_to(&self, generation: &Path) -> io::Result<()> {
        let name = generation.file_name().unwrap_or_default();
        create_whole(&self.pointer(), |mut file: &File| {
            file.write_all(name.as_encoded_bytes())?;
            file.write_all(b"\n")
        })
    }

    /// Removes everything but the pointer, the generation that counts, and the wish.
    pub(super) fn remove_leftovers(&self) -> io::Result<()> {
        let current = self.current()?;
        for name in self.names()? {
            let path = self.directory.join(&name);
            if [POINTER, WISH].contains(&name.as_str()) || Some(&path) == current.as_ref() {
                continue;
            }
            let removed = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            // A store that was replaced is removed on a thread of its own, maybe at this moment; and what cannot be removed
            // takes space until the next start, and does no other harm.
            if let Err(error) = removed {
                tracing::debug!(%error, name, "a leftover of the projections is not removed");
            }
        }
        Ok(())
    }

    pub(super) fn note_wish(&self, id: &str) -> io::Result<()> {
        create_whole(&self.directory.join(WISH), |mut file: &File| {
            file.write_all(id.as_bytes())
        })
    }

    pub(super) fn wish(&self) -> io::Result<Option<String>> {
        match fs::read(self.directory.join(WISH)) {
            Ok(id) => Ok(Some(String::from_utf8_lossy(&id).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn forget_wish(&self) -> io::Result<()> {
        match fs::remove_file(self.directory.join(WISH)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            // Not synced: one that a power cut brings back costs a rebuild.
            other => other,
        }
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let files = match fs::read_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files?,
        };
        files
            .map(|file| Ok(file?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn pointer(&self) -> PathBuf {
        self.directory.join(POINTER)
    }
}

/// Returns the number of a generation of that name.
fn number(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}
