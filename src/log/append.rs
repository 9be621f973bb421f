//! What became of an entry that was handed to the log.

use std::sync::Arc;

use state_machine::id::SequenceNumber;

/// What [`Log::append`](super::Log::append) answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Where the entry stands; for a duplicate, where the first one stands.
    pub sequence: SequenceNumber,
    /// Whether it stood there before.
    pub duplicate: bool,
}

/// Why nothing was appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The queue is full: overload.
    #[error("the queue is full")]
    QueueFull,
    /// Too little space is free on the disk; writes resume by themselves.
    #[error("less than the configured space is free on the disk")]
    DiskFull,
    /// A write or a sync failed, so nothing more is written until a restart.
    #[error("writing has stopped until restart: {0}")]
    Stopped(Arc<str>),
    /// The log is closing.
    #[error("the log is closing")]
    Closing,
}

/// Called once with what became of an entry; it must not block.
pub(super) type Reply = Box<dyn FnOnce(Result<Appended, AppendError>) + Send>;
