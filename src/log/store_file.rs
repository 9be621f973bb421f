//! sled's one file, opened beside sled: to make it durable, and to know when sled has let go of it.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How long sled is waited for when it closes: five seconds.
const RELEASE_TRIES_MAX: u32 = 5_000;
const RELEASE_PAUSE: Duration = Duration::from_millis(1);

/// The file, for as long as the store is open. Dropped behind sled.
pub(super) struct StoreFile(File);

impl StoreFile {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        File::open(path(directory)).map(Self)
    }

    /// Makes what sled has written durable; returns how long the file is.
    pub(super) fn sync(&self) -> io::Result<u64> {
        self.0.sync_all()?;
        Ok(self.0.metadata()?.len())
    }
}

impl Drop for StoreFile {
    /// Waits until sled has let go of its file, which it does late: it is closed by whichever of sled's worker threads is
    /// the last to end its work, and a child process that is being started has a copy of it for a moment, and with it the
    /// lock. If we did not wait, the next opening would be refused, and what a worker does last would be done to a file
    /// that is another's by then.
    fn drop(&mut self) {
        for _ in 0..RELEASE_TRIES_MAX {
            match self.0.try_lock() {
                Err(TryLockError::WouldBlock) => thread::sleep(RELEASE_PAUSE),
                Ok(()) | Err(TryLockError::Error(_)) => break,
            }
        }
        // To close the file would not do: a child process may have a copy of this descriptor, too.
        drop(self.0.unlock());
    }
}

/// Returns where sled keeps everything but its snapshots.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("db")
}
