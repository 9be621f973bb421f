//! The lock of a log: one process at a time has it open.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::open_error::OpenError;

/// Takes the lock, which is let go of when the file is closed.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
