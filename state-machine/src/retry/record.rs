//! The record: what a decision has to know of a user, as the policy sees it at one time.

use alloc::vec;
use alloc::vec::Vec;

use crate::id::SessionId;
use crate::overrides::{Action, Override};
use crate::retry::Outcome;
use crate::retry::policy::{ErrorClass, Policy};
use crate::retry::reason::Reason;
use crate::retry::tries::{Try, tries};
use crate::session::{Redaction, Session};
use crate::time::Timestamp;
use crate::transition::StateName;
use crate::user::Standing;

/// What a decision has to know. Its methods are the checks, each with an outcome and its reasons where it applies.
pub(super) struct Record<'standing> {
    standing: &'standing Standing<'standing>,
    policy: &'standing Policy,
    now: Timestamp,
    reset: Option<&'standing Override>,
    tries: Vec<Try<'standing>>, // every one since the reset, the latest told of last
    counted: Vec<Try<'standing>>, // the attempts that count and are in the window, the first to leave it first
}

type Finding = (Outcome, Vec<Reason>);

impl<'standing> Record<'standing> {
    pub(super) fn of(
        standing: &'standing Standing<'standing>,
        policy: &'standing Policy,
        now: Timestamp,
    ) -> Self {
        let is_reset = |made: &Override| made.action == Action::Reset && made.is_in_force(now);
        let resets = standing
            .overrides
            .iter()
            .copied()
            .filter(|made| is_reset(made));
        let reset = resets.max_by_key(|made| made.at());
        let is_after_reset = |at: Timestamp| reset.is_none_or(|reset| reset.at() < at);

        // From the oldest session on, so that of two tries in one second the later session's comes last.
        let sessions = standing.sessions.iter().rev();
        let all: Vec<_> = sessions
            .flat_map(|(id, session)| tries(id, session))
            .collect();
        let mut counted = all.clone();
        counted.retain(|a_try| {
            a_try.is_counted(policy) && is_after_reset(a_try.at) && now < policy.leaves_at(a_try.at)
        });
        counted.sort_by_key(|a_try| a_try.at);
        let mut tries = all;
        tries.retain(|a_try| is_after_reset(a_try.told_at));
        tries.sort_by_key(|a_try| a_try.told_at);
        Self {
            standing,
            policy,
            now,
            reset,
            tries,
            counted,
        }
    }

    /// Returns how many counted attempts the window holds.
    pub(super) fn in_window(&self) -> u32 {
        count(&self.counted)
    }

    /// Returns how many it may hold.
    pub(super) fn limit(&self) -> u32 {
        self.in_force()
            .fold(self.policy.attempts_max, |limit, made| match made.action {
                Action::Grant { attempts } => limit.saturating_add(attempts),
                Action::Reset | Action::Block | Action::Unblock => limit,
            })
    }

    pub(super) fn already_verified(&self) -> Option<Finding> {
        let (id, session) = self.current_in(StateName::Verified)?;
        let at = session.state.since()?;
        let session = id.clone();
        let reason = Reason::SessionVerified { session, at };
        Some((Outcome::AlreadyVerified, vec![reason]))
    }

    pub(super) fn in_progress(&self) -> Option<Finding> {
        let (id, session) = self.current_in(StateName::Processing)?;
        let since = session.state.since()?;
        let session = id.clone();
        let reason = Reason::SessionProcessing { session, since };
        Some((Outcome::InProgress, vec![reason]))
    }

    pub(super) fn blocked(&self) -> Option<Finding> {
        let last = self.last_about_blocks()?;
        let reason = Reason::Block {
            id: last.id.clone(),
            at: last.at(),
            expires: last.expires,
        };
        (last.action == Action::Block).then(|| (Outcome::Blocked, vec![reason]))
    }

    pub(super) fn final_error(&self) -> Option<Finding> {
        let mut newest_first = self.tries.iter().rev();
        let reason = newest_first.find_map(|a_try| self.error(a_try, ErrorClass::Final))?;
        Some((Outcome::Final, vec![reason]))
    }

    /// Only the last word counts: whoever was checked after a decline has found a way after all.
    pub(super) fn alternative_required(&self) -> Option<Finding> {
        let reason = self.error(self.tries.last()?, ErrorClass::Alternative)?;
        Some((Outcome::AlternativeRequired, vec![reason]))
    }

    pub(super) fn limit_reached(&self) -> Option<Finding> {
        let has_to_leave = self.in_window().checked_sub(self.limit())?;
        let last_to_leave = usize::try_from(has_to_leave)
            .ok()
            .and_then(|at| self.counted.get(at));
        let retry_at = last_to_leave.map(|attempt| self.policy.leaves_at(attempt.at));
        Some((Outcome::LimitReached { retry_at }, self.counts()))
    }

    /// The cooldown follows the latest counted failure and grows with their number; as failures leave the window
    /// it shrinks, so it can be over before the time that today's number asks for.
    pub(super) fn cooling_down(&self) -> Option<Finding> {
        let (failures, last_at, cooldown) = self.cooldown()?;
        if last_at.plus_seconds(cooldown) <= self.now {
            return None;
        }
        let reason = Reason::Cooldown {
            failures: count(&failures),
            last_at,
            seconds: u32::try_from(cooldown).unwrap_or(u32::MAX),
        };
        let retry_at = self.cooldown_is_over_at(&failures);
        let reasons = core::iter::once(reason).chain(self.counts()).collect();
        Some((Outcome::CoolingDown { retry_at }, reasons))
    }

    pub(super) fn allowed(&self) -> Finding {
        let is_open = |session: &Session| {
            session.state.name() == StateName::RequiresInput && session.redaction == Redaction::None
        };
        let open = self
            .standing
            .sessions
            .iter()
            .find(|(_, session)| is_open(session));
        let outcome = Outcome::Allowed {
            remaining: self.limit().saturating_sub(self.in_window()),
            resume: open.map(|(id, _)| (*id).clone()),
        };
        (outcome, self.counts())
    }

    /// Returns the failures in the window, when the last verdict on one came, and how long the wait after it is.
    pub(super) fn cooldown(&self) -> Option<(Vec<Try<'standing>>, Timestamp, i64)> {
        let mut failures = self.counted.clone();
        failures.retain(Try::has_failed);
        let last_at = failures.iter().map(|failure| failure.told_at).max()?;
        let cooldown = self.policy.cooldown_after(failures.len());
        Some((failures, last_at, cooldown))
    }

    /// Returns the override in force that says last whether the user is blocked.
    pub(super) fn last_about_blocks(&self) -> Option<&'standing Override> {
        let is_about_blocks = |made: &&Override| match made.action {
            Action::Block | Action::Unblock => true,
            Action::Grant { .. } | Action::Reset => false,
        };
        self.in_force().filter(is_about_blocks).last()
    }

    pub(super) fn last_try(&self) -> Option<&Try<'standing>> {
        self.tries.last()
    }

    pub(super) fn policy(&self) -> &'standing Policy {
        self.policy
    }

    /// Returns the first time at which no cooldown holds, as the failures leave the window one after the other.
    fn cooldown_is_over_at(&self, failures: &[Try<'_>]) -> Timestamp {
        let leaves_at = |failure: &Try<'_>| self.policy.leaves_at(failure.at);
        let mut over_at = failures.last().map_or(self.now, leaves_at);
        let mut last_at = Timestamp(i64::MIN);
        for (gone, failure) in failures.iter().enumerate().rev() {
            let left = failures.len().saturating_sub(gone);
            last_at = last_at.max(failure.told_at);
            let last_gone = gone.checked_sub(1).and_then(|index| failures.get(index));
            let since = last_gone.map_or(self.now, leaves_at);
            let ends_at = last_at.plus_seconds(self.policy.cooldown_after(left));
            over_at = over_at.min(ends_at.max(since));
        }
        over_at
    }

    /// What the counts are made of: overrides in force, and the attempts in the window.
    fn counts(&self) -> Vec<Reason> {
        let grants = self.in_force().filter_map(|made| match made.action {
            Action::Grant { attempts } => Some(Reason::Grant {
                id: made.id.clone(),
                attempts,
                expires: made.expires,
            }),
            Action::Reset | Action::Block | Action::Unblock => None,
        });
        let reset = self.reset.map(|reset| Reason::Reset {
            id: reset.id.clone(),
            at: reset.at(),
            expires: reset.expires,
        });
        let attempts = self.counted.iter().map(|attempt| Reason::Attempt {
            session: attempt.session.clone(),
            at: attempt.at,
            leaves_at: self.policy.leaves_at(attempt.at),
        });
        grants.chain(reset).chain(attempts).collect()
    }

    fn in_force(&self) -> impl Iterator<Item = &'standing Override> {
        self.standing
            .overrides
            .iter()
            .copied()
            .filter(|made| made.is_in_force(self.now))
    }

    fn current_in(&self, name: StateName) -> Option<(&'standing SessionId, &'standing Session)> {
        self.standing
            .current()
            .filter(|(_, session)| session.state.name() == name)
    }

    /// Returns the error that a try ended with, if it is of that class.
    fn error(&self, a_try: &Try<'_>, class: ErrorClass) -> Option<Reason> {
        let code = a_try
            .code()
            .filter(|code| self.policy.class_of(Some(code)) == class)?;
        let (session, code) = (a_try.session.clone(), code.clone());
        Some(Reason::Error {
            session,
            code,
            class,
            at: a_try.told_at,
        })
    }
}

fn count(tries: &[Try<'_>]) -> u32 {
    u32::try_from(tries.len()).unwrap_or(u32::MAX)
}
