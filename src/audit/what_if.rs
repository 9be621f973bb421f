//! What if another retry policy had decided: each user's entries again, one by one, with both answers at each.

use state_machine::horizon::{AsOf, Horizon};
use state_machine::id::{SequenceNumber, SessionId, UserTag};
use state_machine::retry::policy::Policy;
use state_machine::retry::{Decision, Outcome, decide};
use state_machine::time::Timestamp;

use crate::projections::policies::{RecordedPolicy, in_force};
use crate::projections::record::RecordedUser;
use crate::service::users::KnownUser;

/// The two policies.
pub struct WhatIf<'policies> {
    /// Those that decided, as the log records them.
    pub recorded: &'policies [RecordedPolicy],
    /// The one that decided where the log records none.
    pub fallback: &'policies Policy,
    /// The one that might have.
    pub alternative: &'policies Policy,
}

/// A moment at which the answers differ in whether the user may try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// The entry.
    pub sequence: SequenceNumber,
    /// The time for which was decided.
    pub at: Timestamp,
    /// What of.
    pub of: DecidedOf,
    /// The answer that there was.
    pub actual: Decision,
    /// The answer that there might have been.
    pub alternative: Decision,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecidedOf {
    /// Whether this session's attempt might be made, which the entry tells of.
    Attempt(SessionId),
    /// Whether the user might try from then on.
    NextTry,
}

impl Differing {
    /// Tells whether the other policy refuses what was allowed; else it allows what was refused.
    pub fn is_refusal(&self) -> bool {
        is_refused(&self.alternative)
    }
}

/// Tells whether a decision keeps a user from trying.
fn is_refused(decision: &Decision) -> bool {
    match decision.outcome {
        Outcome::AlreadyVerified | Outcome::InProgress | Outcome::Allowed { .. } => false,
        Outcome::Blocked
        | Outcome::Final
        | Outcome::AlternativeRequired
        | Outcome::LimitReached { .. }
        | Outcome::CoolingDown { .. } => true,
    }
}

impl WhatIf<'_> {
    /// Returns the moments at which a user would have been answered otherwise, in the order of the log: each attempt, and
    /// each entry with which the difference of the answers begins or turns.
    pub fn of_user(&self, tag: UserTag, ever: &RecordedUser) -> Vec<Differing> {
        let mut differing = Vec::new();
        let mut before = KnownUser::default();
        let mut was_refusal = None;
        for (sequence, received, created) in moments(ever) {
            let horizon = as_of(sequence);
            let after = KnownUser::within(ever.clone(), tag, &horizon);
            if let Some((session, at)) = created.filter(|_| attempts(&after) > attempts(&before)) {
                let of = DecidedOf::Attempt(session);
                let made = self.differing(&before, (sequence, at, of));
                differing.extend(made);
            }
            let next = self.differing(&after, (sequence, received, DecidedOf::NextTry));
            let is_refusal = next.as_ref().map(Differing::is_refusal);
            differing.extend(next.filter(|_| is_refusal != was_refusal));
            was_refusal = is_refusal;
            before = after;
        }
        differing
    }

    fn differing(
        &self,
        known: &KnownUser,
        (sequence, at, of): (SequenceNumber, Timestamp, DecidedOf),
    ) -> Option<Differing> {
        let recorded = in_force(self.recorded, &as_of(sequence));
        let policy = recorded.map_or(self.fallback, |recorded| &recorded.policy);
        let standing = known.standing();
        let actual = decide(&standing, policy, at);
        let alternative = decide(&standing, self.alternative, at);
        (is_refused(&actual) != is_refused(&alternative)).then_some(Differing {
            sequence,
            at,
            of,
            actual,
            alternative,
        })
    }
}

/// An entry, when it was received, and of an event its session and when it happened.
type Moment = (SequenceNumber, Timestamp, Option<(SessionId, Timestamp)>);

fn as_of(sequence: SequenceNumber) -> Horizon {
    Horizon {
        as_of: Some(AsOf::Sequence(sequence)),
        valid_at: None,
    }
}

fn attempts(known: &KnownUser) -> u32 {
    known.standing().attempts_total()
}

/// Returns the entries of a user in the order of the log, each with when it was received and, of an event, its session
/// and when it happened.
fn moments(ever: &RecordedUser) -> Vec<Moment> {
    let events = ever.sessions.iter().flat_map(|(id, record)| {
        record.history.records().iter().map(|recorded| {
            let arrival = recorded.arrival;
            let happened = (id.clone(), recorded.event.created);
            (
                arrival.sequence,
                arrival.received_at.second(),
                Some(happened),
            )
        })
    });
    let overrides = ever.overrides.iter();
    let overrides = overrides.map(|made| (made.arrival.sequence, made.at(), None));
    let mut moments: Vec<_> = events.chain(overrides).collect();
    moments.sort_by_key(|(sequence, ..)| *sequence);
    moments
}

/// How many users would have been answered otherwise.
#[derive(Debug, Default)]
pub struct Sums {
    /// How many users there are.
    pub users: u64,
    /// Those who would have been refused at some moment.
    pub refused: u64,
    /// Those who would have been let in at some moment.
    pub let_in: u64,
    /// The attempts that would not have been made.
    pub attempts_refused: u64,
}

impl Sums {
    /// Adds a user.
    pub fn add(&mut self, differing: &[Differing]) {
        let has = |is_refusal| differing.iter().any(|one| one.is_refusal() == is_refusal);
        let attempts = differing
            .iter()
            .filter(|one| one.is_refusal() && one.of != DecidedOf::NextTry);
        self.users += 1;
        self.refused += u64::from(has(true));
        self.let_in += u64::from(has(false));
        self.attempts_refused += u64::try_from(attempts.count()).unwrap_or(u64::MAX);
    }
}
