//! The times of a question: what it leaves out, and when it decides.

use state_machine::horizon::{AsOf, Horizon};
use state_machine::id::SequenceNumber;
use state_machine::time::{ReceivedAt, Timestamp};

use super::Service;
use crate::log;

/// The times of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// What it leaves out.
    pub horizon: Horizon,
    /// When it decides.
    pub now: Timestamp,
}

/// Why nothing can be answered within a horizon.
#[derive(Debug, thiserror::Error)]
pub enum HorizonError {
    /// The log ends before.
    #[error("the log has {size} entries, and the first is number 0")]
    BeyondEnd {
        /// How many entries there are.
        size: u64,
    },
    /// Nobody knows yet what will be known then.
    #[error("what will be known in the future is not known yet")]
    InTheFuture,
    /// The entry that it names could not be read.
    #[error(transparent)]
    Entry(#[from] log::ReadError),
}

impl Asked {
    /// Asks what holds now.
    pub fn at(now: Timestamp) -> Self {
        Self {
            horizon: Horizon::default(),
            now,
        }
    }

    /// Returns the times of a question that is asked `now` of a log of that size. It decides at the time that it is
    /// about: `valid_at`, else `as_of`, which for an entry is when that was received.
    pub fn of(
        horizon: Horizon,
        now: ReceivedAt,
        size: u64,
        received_at: impl FnOnce(SequenceNumber) -> Result<Option<ReceivedAt>, log::ReadError>,
    ) -> Result<Self, HorizonError> {
        let as_of = match horizon.as_of {
            None => now,
            Some(AsOf::Time(time)) if time.second() > now.second() => {
                return Err(HorizonError::InTheFuture);
            }
            Some(AsOf::Time(time)) => time,
            Some(AsOf::Sequence(sequence)) => {
                received_at(sequence)?.ok_or(HorizonError::BeyondEnd { size })?
            }
        };
        let now = horizon.valid_at.unwrap_or(as_of.second());
        Ok(Self { horizon, now })
    }

    /// Returns the entry up to which the log has to be folded before this can be answered.
    pub fn needs(&self) -> Option<SequenceNumber> {
        match self.horizon.as_of? {
            AsOf::Sequence(sequence) => Some(sequence),
            AsOf::Time(_) => None,
        }
    }
}

impl Service {
    /// Returns the times of a question that is asked now.
    pub fn asked(&self, horizon: Horizon, now: ReceivedAt) -> Result<Asked, HorizonError> {
        let size = self.log.size();
        Asked::of(horizon, now, size, |sequence| {
            let entry = self.log.entry(sequence)?;
            Ok(entry.map(|entry| entry.leaf.received_at))
        })
    }
}
