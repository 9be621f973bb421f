//! What another policy would have answered, as rows: a line of JSON each, or a line of text.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use state_machine::id::{AccountId, UserTag, World};
use state_machine::retry::{Decision, Outcome};
use state_machine::time::Timestamp;

use super::what_if::{DecidedOf, Differing, Sums};
use crate::service::change::tag_text;
use crate::service::moment::moment;

/// A moment at which a user would have been answered otherwise.
#[derive(Debug, Serialize)]
pub struct WhatIfRow<'differing> {
    object: &'static str,
    user_tag: String,
    livemode: bool,
    account: Option<&'differing str>,
    sequence: u64,
    at: i64,
    of: &'static str,
    /// The session of the attempt.
    session: Option<&'differing str>,
    verdict: &'static str,
    actual: AnswerRow,
    alternative: AnswerRow,
}

#[derive(Debug, Serialize)]
struct AnswerRow {
    outcome: &'static str,
    retry_at: Option<i64>,
}

impl<'differing> WhatIfRow<'differing> {
    /// Returns the row of such a moment.
    pub fn of(world: &'differing World, tag: UserTag, differing: &'differing Differing) -> Self {
        let (of, session) = match &differing.of {
            DecidedOf::Attempt(session) => ("attempt", Some(session.as_str())),
            DecidedOf::NextTry => ("next_try", None),
        };
        let verdict = if differing.is_refusal() {
            "refused"
        } else {
            "let_in"
        };
        Self {
            object: "what_if",
            user_tag: tag_text(&tag.0),
            livemode: world.livemode,
            account: world.account.as_ref().map(AccountId::as_str),
            sequence: differing.sequence.0,
            at: differing.at.0,
            of,
            session,
            verdict,
            actual: AnswerRow::of(&differing.actual),
            alternative: AnswerRow::of(&differing.alternative),
        }
    }
}

impl AnswerRow {
    fn of(decision: &Decision) -> Self {
        let retry_at = match &decision.outcome {
            Outcome::LimitReached { retry_at } => *retry_at,
            Outcome::CoolingDown { retry_at } => Some(*retry_at),
            Outcome::AlreadyVerified
            | Outcome::InProgress
            | Outcome::Blocked
            | Outcome::Final
            | Outcome::AlternativeRequired
            | Outcome::Allowed { .. } => None,
        };
        Self {
            outcome: decision.outcome.as_str(),
            retry_at: retry_at.map(|time| time.0),
        }
    }
}

impl Display for WhatIfRow<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let at = moment(Timestamp(self.at));
        let what = match self.session {
            Some(session) => format!("attempt in {session}"),
            None => "next try".to_owned(),
        };
        let (user, sequence, verdict) = (&self.user_tag, self.sequence, self.verdict);
        let (actual, alternative) = (&self.actual, &self.alternative);
        writeln!(
            to,
            "{user}  {sequence}  {at}  {what} {verdict}: {actual} → {alternative}"
        )
    }
}

impl Display for AnswerRow {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "{}", self.outcome)?;
        match self.retry_at {
            Some(at) => write!(to, " until {}", moment(Timestamp(at))),
            None => Ok(()),
        }
    }
}

/// How many users would have been answered otherwise.
#[derive(Debug, Serialize)]
pub struct SumRow {
    object: &'static str,
    /// The hash of the other policy.
    policy: String,
    users: u64,
    refused: u64,
    let_in: u64,
    attempts_refused: u64,
}

impl SumRow {
    /// Returns the row of the sums under a policy of this name.
    pub fn of(sums: &Sums, policy: String) -> Self {
        Self {
            object: "what_if_sum",
            policy,
            users: sums.users,
            refused: sums.refused,
            let_in: sums.let_in,
            attempts_refused: sums.attempts_refused,
        }
    }
}

impl Display for SumRow {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            policy,
            users,
            refused,
            let_in,
            attempts_refused,
            ..
        } = self;
        writeln!(
            to,
            "under policy {policy}, of {users} users {refused} would have been refused at some moment and {let_in} let \
             in; {attempts_refused} attempts would not have been made"
        )
    }
}
