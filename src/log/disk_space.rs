//! Free space: writes stop while the disk can still be opened and mended, and resume when space is back.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::durable::{preallocate, sync_directory};

/// Watches the free space under one directory.
pub(super) struct DiskSpace {
    file: File,
    free_bytes_min: u64,
    /// How many bytes a write wanted that found no space; 0 if none did since one succeeded.
    wanted_bytes: AtomicU64,
    /// What was found last, to tell when it changes.
    was_full: AtomicBool,
}

impl DiskSpace {
    pub(super) fn watch(directory: &Path, free_bytes_min: u64) -> io::Result<Self> {
        Ok(Self {
            file: File::open(directory)?,
            free_bytes_min,
            wanted_bytes: AtomicU64::new(0),
            was_full: AtomicBool::new(false),
        })
    }

    /// Looks whether there is too little space to write.
    pub(super) fn is_full(&self) -> bool {
        let needed_bytes = self.free_bytes_min.max(self.wanted_bytes.load(Relaxed));
        // A file system that cannot say is taken at its word when a write fails.
        let free_bytes = free_bytes(&self.file).ok();
        let is_full = free_bytes.is_some_and(|free| free < needed_bytes);
        if self.was_full.swap(is_full, Relaxed) != is_full {
            if is_full {
                tracing::warn!(
                    free_bytes,
                    needed_bytes,
                    "the disk is full: deliveries are refused"
                );
            } else {
                tracing::info!(free_bytes, "the disk has space again: deliveries are taken");
            }
        }
        is_full
    }

    /// Notes that a write found no space for so many bytes: until there are as many, there is none.
    pub(super) fn note_refusal(&self, bytes: u64) {
        self.wanted_bytes.store(bytes, Relaxed);
    }

    /// Notes that a write found space.
    pub(super) fn note_success(&self) {
        self.wanted_bytes.store(0, Relaxed);
    }
}

/// Keeps a file of `bytes` that can be given up: sled and the journal cannot be opened on a full disk.
/// Returns whether it was given up, for less than its own size is free without it. It is made anew once there is room for
/// it above what has to be free.
pub(super) fn keep_ballast(path: &Path, bytes: u64, free_bytes_min: u64) -> io::Result<bool> {
    let directory = File::open(path.parent().unwrap_or(path))?;
    let held = path.metadata().map_or(0, |file| file.len());
    let free = free_bytes(&directory)?;
    if free < bytes {
        if held > 0 {
            fs::remove_file(path)?;
        }
        return Ok(held > 0);
    }
    let is_room = free.saturating_add(held) >= bytes.saturating_add(free_bytes_min);
    if held != bytes && is_room {
        preallocate(&File::create(path)?, bytes)?;
        path.parent().map_or(Ok(()), sync_directory)?;
    }
    Ok(false)
}

/// The space of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What this user may still fill.
    pub free_bytes: u64,
    /// All of it.
    pub bytes: u64,
}

/// Returns the space of the disk beneath a directory.
pub fn space(directory: &Path) -> io::Result<Space> {
    space_of(&File::open(directory)?)
}

fn space_of(file: &File) -> io::Result<Space> {
    let space = rustix::fs::fstatvfs(file)?;
    Ok(Space {
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        bytes: space.f_blocks.saturating_mul(space.f_frsize),
    })
}

fn free_bytes(file: &File) -> io::Result<u64> {
    Ok(space_of(file)?.free_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than any disk has free.
    const TOO_MUCH: u64 = u64::MAX;

    #[test]
    fn a_ballast_is_given_up_once_for_less_free_than_its_size_and_made_anew_when_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ballast");
        let held = || path.metadata().map(|file| file.len()).ok();

        assert!(!keep_ballast(&path, 4096, TOO_MUCH - 8192).unwrap());
        assert_eq!(held(), None);
        assert!(!keep_ballast(&path, 4096, 0).unwrap());
        assert_eq!(held(), Some(4096));
        assert!(keep_ballast(&path, TOO_MUCH, 0).unwrap());
        assert_eq!(held(), None);
        assert!(!keep_ballast(&path, TOO_MUCH, 0).unwrap());
        assert!(!keep_ballast(&path, 4096, 0).unwrap());
        assert_eq!(held(), Some(4096));
    }
}
