//! The checks of a decision, one after the other: the first that applies is the outcome.

use alloc::vec::Vec;

use crate::id::{ErrorCode, OverrideId};
use crate::overrides::Action;
use crate::retry::policy::{ErrorClass, Policy};
use crate::retry::record::Record;
use crate::retry::{Outcome, decide};
use crate::time::Timestamp;
use crate::transition::StateName;
use crate::user::Standing;

/// One check of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The name of the outcome that it would give.
    pub outcome: &'static str,
    /// What it found.
    pub result: CheckResult,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// It applies: this is the outcome, and the decision's reasons are its own.
    Applied,
    /// It does not apply, and the next check was made.
    Passed(WhyPassed),
    /// A check before it applied.
    NotReached,
}

/// Why a check does not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyPassed {
    /// The user's status is another.
    StatusIs(StateName),
    /// No block is in force.
    NoBlock,
    /// The last block was lifted.
    Unblocked {
        /// By this override.
        id: OverrideId,
        /// When.
        at: Timestamp,
    },
    /// No error of the class *final* was reported since the last reset.
    NoFinalError,
    /// Nothing was tried since the last reset.
    NoTry,
    /// The last try ended without an error that has a code, or has not ended.
    LastTryWithoutCode,
    /// The last try ended with an error of another class.
    LastError {
        /// Its code.
        code: ErrorCode,
        /// What the policy makes of it.
        class: ErrorClass,
        /// When it was reported.
        at: Timestamp,
    },
    /// The window holds fewer attempts than it may.
    BelowLimit {
        /// How many it holds.
        in_window: u32,
        /// How many it may hold.
        limit: u32,
    },
    /// No attempt in the window has failed.
    NoFailure,
    /// The wait after the last failure is over.
    CooldownOver {
        /// When that was reported.
        last_at: Timestamp,
        /// How long the wait was, in seconds.
        seconds: u32,
    },
}

/// Returns the checks of a decision in their order, and what each found.
pub fn checks(standing: &Standing<'_>, policy: &Policy, now: Timestamp) -> Vec<Check> {
    let decided = decide(standing, policy, now).outcome;
    let record = Record::of(standing, policy, now);
    let status = WhyPassed::StatusIs(standing.status());
    let passed = [
        status.clone(),
        status,
        record.why_not_blocked(),
        WhyPassed::NoFinalError,
        record.why_no_alternative(),
        record.why_below_limit(),
        record.why_not_cooling_down(),
    ];
    let mut passed = passed.into_iter();
    let mut is_decided = false;
    let check = |outcome| Check {
        outcome,
        result: if is_decided {
            CheckResult::NotReached
        } else if outcome == decided.as_str() {
            is_decided = true;
            CheckResult::Applied
        } else {
            // The last check always applies: there is a reason for each before it.
            (passed.next()).map_or(CheckResult::NotReached, CheckResult::Passed)
        },
    };
    Outcome::NAMES.into_iter().map(check).collect()
}

impl Record<'_> {
    fn why_not_blocked(&self) -> WhyPassed {
        match self.last_about_blocks() {
            Some(last) if last.action == Action::Unblock => WhyPassed::Unblocked {
                id: last.id.clone(),
                at: last.at(),
            },
            Some(_) | None => WhyPassed::NoBlock,
        }
    }

    fn why_no_alternative(&self) -> WhyPassed {
        let Some(last) = self.last_try() else {
            return WhyPassed::NoTry;
        };
        last.code()
            .map_or(WhyPassed::LastTryWithoutCode, |code| WhyPassed::LastError {
                code: code.clone(),
                class: self.policy().class_of(Some(code)),
                at: last.told_at,
            })
    }

    fn why_below_limit(&self) -> WhyPassed {
        WhyPassed::BelowLimit {
            in_window: self.in_window(),
            limit: self.limit(),
        }
    }

    fn why_not_cooling_down(&self) -> WhyPassed {
        let Some((_, last_at, cooldown)) = self.cooldown() else {
            return WhyPassed::NoFailure;
        };
        WhyPassed::CooldownOver {
            last_at,
            seconds: u32::try_from(cooldown).unwrap_or(u32::MAX),
        }
    }
}
