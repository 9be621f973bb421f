//! The decision whether a user may try again now.
//!
//! A function of the standing, the policy and the time alone. With the facts fixed and no override that expires, it
//! only loosens as time passes.

pub mod check;
pub mod policy;
pub mod reason;
mod record;
mod tries;

use alloc::vec::Vec;

use crate::id::SessionId;
use crate::retry::policy::Policy;
use crate::retry::reason::Reason;
use crate::retry::record::Record;
use crate::time::Timestamp;
use crate::user::Standing;

/// The answer to "may this user try again, now?".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing to try.
    AlreadyVerified,
    /// A submission is being checked.
    InProgress,
    /// An operator said no.
    Blocked,
    /// A final error was reported.
    Final,
    /// The last error asks for another channel.
    AlternativeRequired,
    /// The window is full.
    LimitReached {
        /// When it is no longer; `None` where the limit is zero, which no waiting changes.
        retry_at: Option<Timestamp>,
    },
    /// Too soon after a failure.
    CoolingDown {
        /// When it is over.
        retry_at: Timestamp,
    },
    /// The user may try.
    Allowed {
        /// How often, as things stand.
        remaining: u32,
        /// The session to go on with, or `None` if a new one has to be created.
        resume: Option<SessionId>,
    },
}

impl Outcome {
    /// Every outcome's name, in the order of the checks.
    pub const NAMES: [&'static str; 8] = [
        "already_verified",
        "in_progress",
        "blocked",
        "final",
        "alternative_required",
        "limit_reached",
        "cooling_down",
        "allowed",
    ];

    /// Returns the outcome's stable name.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::AlreadyVerified => "already_verified",
            Self::InProgress => "in_progress",
            Self::Blocked => "blocked",
            Self::Final => "final",
            Self::AlternativeRequired => "alternative_required",
            Self::LimitReached { .. } => "limit_reached",
            Self::CoolingDown { .. } => "cooling_down",
            Self::Allowed { .. } => "allowed",
        }
    }
}

/// An outcome, with its reasons and the counts behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub outcome: Outcome,
    /// Counted attempts in the window.
    pub attempts_in_window: u32,
    /// How many the window may hold: the policy's maximum and what operators granted.
    pub limit: u32,
    /// Why, as data.
    pub reasons: Vec<Reason>,
}

/// Decides whether the user may try again at `now`. Pure and total.
pub fn decide(standing: &Standing<'_>, policy: &Policy, now: Timestamp) -> Decision {
    let record = Record::of(standing, policy, now);
    let (outcome, reasons) = (record.already_verified())
        .or_else(|| record.in_progress())
        .or_else(|| record.blocked())
        .or_else(|| record.final_error())
        .or_else(|| record.alternative_required())
        .or_else(|| record.limit_reached())
        .or_else(|| record.cooling_down())
        .unwrap_or_else(|| record.allowed());
    Decision {
        outcome,
        attempts_in_window: record.in_window(),
        limit: record.limit(),
        reasons,
    }
}
