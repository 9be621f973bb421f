//! The lock of a log, or of a database of rows: one process at a time has it open.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::open_error::OpenError;

/// The lock, until it is dropped.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file would not do: a child process that is being started has a copy of it for a moment, and with it
        // the lock. If this fails, the lock ends with the last copy.
        drop(self.0.unlock());
    }
}

/// Takes the lock.
pub(super) fn lock(path: &Path) -> Result<Lock, OpenError> {
    match try_lock(path) {
        Ok(lock) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Takes the lock that a file is, unless another process has it.
pub(super) fn try_lock(path: &Path) -> Result<Lock, TryLockError> {
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(TryLockError::Error)?;
    lock.try_lock()?;
    Ok(Lock(lock))
}
