//! Why the index cannot be used: it is damaged, or the machine lacks something.

use std::io;
use std::sync::Arc;

use rustix::io::Errno;

use super::journal::is_no_space;
use super::open_error::OpenError;

/// Why the index cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum IndexError {
    /// It has to be built anew.
    #[error("the index: {0}")]
    Damaged(String),
    /// It is none the worse for that, and can be written once there is space, or files may be opened.
    #[error("the index cannot be written")]
    NoRoom(#[source] Arc<io::Error>),
}

impl From<lsm_tree::Error> for IndexError {
    fn from(error: lsm_tree::Error) -> Self {
        let lsm_tree::Error::Io(cause) = error else {
            return Self::Damaged(error.to_string());
        };
        if is_lack(&cause) {
            return Self::NoRoom(Arc::new(cause));
        }
        Self::Damaged(cause.to_string())
    }
}

impl From<IndexError> for OpenError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Damaged(_) => Self::Index(error.to_string()),
            IndexError::NoRoom(cause) => Self::Io(io::Error::new(cause.kind(), cause)),
        }
    }
}

/// Says whether space or descriptors are lacking.
fn is_lack(error: &io::Error) -> bool {
    let too_many = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    let code = error.raw_os_error();
    is_no_space(error) || code.is_some_and(|code| too_many.contains(&code))
}
