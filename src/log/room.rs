//! Room: how a segment gets its space on the disk before it is written.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use super::durable::{fill_with_zeros, preallocate};
use super::spare::Spare;

/// How much is filled with zeros while commits wait for that: while the log is short, and until a spare is there. More
/// would make them wait longer, less would make them wait more often.
const ZEROS_BYTES: u64 = 1024 * 1024;

/// How the segments of a journal get their space.
pub(super) enum Room {
    /// Reserved, for few large groups.
    Reserved,
    /// Filled with zeros, a whole segment ahead once the log grows: for many small groups.
    Zeros(Spare),
}

impl Room {
    /// Returns what fills the segments of a journal with zeros.
    pub(super) fn of_zeros(directory: &Path, segment_bytes: u64) -> io::Result<Self> {
        let spare = directory.join("spare");
        Ok(Self::Zeros(Spare::start(spare, segment_bytes)?))
    }

    /// Returns how many bytes to give to a segment at once: at least `bytes_min`, at most `whole`.
    pub(super) fn capacity(&self, bytes_min: u64, whole: u64) -> u64 {
        match self {
            Self::Reserved => whole,
            Self::Zeros(_) => whole.min(ZEROS_BYTES.max(bytes_min)),
        }
    }

    /// Gives a file its space, which is durable with what is synced into it.
    pub(super) fn fill(&self, file: &File, bytes: Range<u64>) -> io::Result<()> {
        match self {
            Self::Reserved => preallocate(file, bytes.end),
            Self::Zeros(_) => fill_with_zeros(file, bytes),
        }
    }

    /// Has the next segment be made ahead, once there is much in this one.
    pub(super) fn prepare(&mut self, offset: u64) {
        match self {
            Self::Zeros(spare) if offset > ZEROS_BYTES / 2 => spare.want(),
            Self::Zeros(_) | Self::Reserved => {}
        }
    }

    /// Returns the segment that was made ahead, if there is one, and its path.
    pub(super) fn made_ahead(&mut self) -> Option<(File, &Path)> {
        match self {
            Self::Reserved => None,
            Self::Zeros(spare) => spare.take(),
        }
    }
}
