//! Words: who wants something of the log, and why. Whoever states or decides something has to give both.

use crate::log::Words;

/// The longest name of an actor, in bytes.
const ACTOR_BYTES_MAX: usize = 255;
/// The longest reason, in bytes.
const REASON_BYTES_MAX: usize = 4_096;

/// Why words are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// Nobody says who wants it, or at too great length.
    #[error("`actor` must have 1 to {ACTOR_BYTES_MAX} bytes")]
    Actor,
    /// Nobody says why, or at too great length.
    #[error("`reason` must have 1 to {REASON_BYTES_MAX} bytes")]
    Reason,
}

impl WordsError {
    /// Returns the name of what is to be given otherwise.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::Reason => "reason",
        }
    }
}

/// Says what is wrong with words that are to be kept.
pub(super) fn check(words: &Words) -> Result<(), WordsError> {
    let Words {
        actor,
        reason,
        token: _,
    } = words;
    if actor.trim().is_empty() || actor.len() > ACTOR_BYTES_MAX {
        return Err(WordsError::Actor);
    }
    if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
        return Err(WordsError::Reason);
    }
    Ok(())
}
