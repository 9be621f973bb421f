//! Free space: writes stop while the disk can still be opened and mended, and resume when space is back.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::durable::{preallocate, sync_directory};

/// How many bytes are written between two looks.
const LOOK_EVERY_BYTES: usize = 4 * 1024 * 1024;

/// Watches the free space under one directory.
pub(super) struct DiskSpace {
    file: File,
    free_bytes_min: u64,
    until_look: usize,
    is_full: bool,
}

impl DiskSpace {
    pub(super) fn watch(directory: &Path, free_bytes_min: u64) -> io::Result<Self> {
        Ok(Self {
            file: File::open(directory)?,
            free_bytes_min,
            until_look: 0,
            is_full: false,
        })
    }

    /// Tells whether there is too little space to write `bytes` more. While there is, each call looks again.
    pub(super) fn is_full(&mut self, bytes: usize) -> bool {
        let left = self.until_look.checked_sub(bytes).filter(|_| !self.is_full);
        self.until_look = left.unwrap_or(LOOK_EVERY_BYTES);
        if left.is_none() {
            // A file system that cannot say is taken at its word when a write fails.
            self.is_full = free_bytes(&self.file).is_ok_and(|free| free < self.free_bytes_min);
        }
        self.is_full
    }
}

/// Keeps a file of `bytes` that can be given up: sled and the journal cannot be opened on a full disk.
/// Returns whether it was given up, for less than its own size is free without it.
pub(super) fn keep_ballast(path: &Path, bytes: u64) -> io::Result<bool> {
    let directory = File::open(path.parent().unwrap_or(path))?;
    let held = path.metadata().map_or(0, |file| file.len());
    if free_bytes(&directory)? < bytes {
        if held > 0 {
            fs::remove_file(path)?;
        }
        return Ok(held > 0);
    }
    if held != bytes {
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
