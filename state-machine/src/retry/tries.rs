//! Tries: attempts and declines in one line of time.

use crate::attempt;
use crate::id::{ErrorCode, SessionId};
use crate::retry::policy::{ErrorClass, Policy};
use crate::session::Session;
use crate::time::Timestamp;

/// What the user tried: an attempt or a decline.
#[derive(Clone, Copy)]
pub(super) struct Try<'standing> {
    pub(super) session: &'standing SessionId,
    /// When it began.
    pub(super) at: Timestamp,
    /// When its verdict came, or when it began if none was seen.
    pub(super) told_at: Timestamp,
    result: TryResult<'standing>,
}

#[derive(Clone, Copy)]
enum TryResult<'standing> {
    Declined(Option<&'standing ErrorCode>),
    Failed(Option<&'standing ErrorCode>),
    NotFailed,
}

impl Try<'_> {
    /// An attempt counts unless it failed with a code that the policy does not count; a decline never does.
    pub(super) fn is_counted(&self, policy: &Policy) -> bool {
        match self.result {
            TryResult::Declined(_) => false,
            TryResult::Failed(code) => policy.class_of(code) != ErrorClass::Uncounted,
            TryResult::NotFailed => true,
        }
    }

    /// Returns the code of the error it ended with, if it ended with one that Stripe gave a code.
    pub(super) fn code(&self) -> Option<&ErrorCode> {
        match self.result {
            TryResult::Declined(code) | TryResult::Failed(code) => code,
            TryResult::NotFailed => None,
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        match self.result {
            TryResult::Failed(_) => true,
            TryResult::Declined(_) | TryResult::NotFailed => false,
        }
    }
}

/// Returns a session's attempts and then its declines, each in order.
pub(super) fn tries<'session>(
    session: &'session SessionId,
    projection: &'session Session,
) -> impl Iterator<Item = Try<'session>> {
    let attempts = projection.attempts.iter().map(move |attempt| {
        let at = attempt.at;
        let (told_at, result) = match &attempt.outcome {
            attempt::Outcome::Failed { at, code } => (*at, TryResult::Failed(code.as_ref())),
            attempt::Outcome::Verified { at } => (*at, TryResult::NotFailed),
            attempt::Outcome::InProgress | attempt::Outcome::Unknown => (at, TryResult::NotFailed),
        };
        Try {
            session,
            at,
            told_at,
            result,
        }
    });
    let declines = projection.declines.iter().map(move |decline| {
        let result = TryResult::Declined(decline.error.code.as_ref());
        Try {
            session,
            at: decline.at,
            told_at: decline.at,
            result,
        }
    });
    attempts.chain(declines)
}
