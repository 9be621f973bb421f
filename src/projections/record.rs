//! The records: of a session its facts, from which its fold follows; of a user which sessions are theirs, and what
//! operators decided.

use state_machine::history::{Arrival, History};
use state_machine::horizon::Horizon;
use state_machine::id::{EventId, SequenceNumber, SessionId};
use state_machine::overrides::Override;
use state_machine::time::Timestamp;
use state_machine::transition::StateName;

use crate::log::{Custody, CustodyChange};

/// What the log says of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionRecord {
    /// The events that are folded.
    pub history: History,
    /// The entries that are kept and shown, but not folded, in order of sequence.
    pub unfolded: Vec<Unfolded>,
    /// What was decided about its payloads, in order of sequence.
    pub custody_steps: Vec<CustodyStep>,
}

/// An entry that decides about a session's payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustodyStep {
    /// What it decides.
    pub change: CustodyChange,
    /// When we knew.
    pub arrival: Arrival,
}

/// An entry of a session that says nothing a fold could use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfolded {
    /// Why it is not folded.
    pub why: WhyUnfolded,
    /// The event that it carries.
    pub event: EventId,
    /// When that happened, at Stripe.
    pub at: Timestamp,
    /// When we knew.
    pub arrival: Arrival,
}

/// Why an entry is not folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyUnfolded {
    /// It is a thin event: it names its session and holds nothing of it.
    Thin,
    /// Its event id came before, with other facts.
    Conflict,
}

impl SessionRecord {
    /// Returns the last entry that this record holds, or 0 for an empty record.
    pub fn last_sequence(&self) -> SequenceNumber {
        let folded = self
            .history
            .records()
            .iter()
            .map(|recorded| recorded.arrival.sequence);
        let unfolded = self
            .unfolded
            .iter()
            .map(|unfolded| unfolded.arrival.sequence);
        let custody = self.custody_steps.iter().map(|step| step.arrival.sequence);
        let last = folded.chain(unfolded).chain(custody).max();
        last.unwrap_or(SequenceNumber(0))
    }

    /// Returns whether its payloads are held, are to be erased, or have been.
    pub fn custody(&self) -> Custody {
        let steps = self.custody_steps.iter();
        steps.fold(Custody::default(), |custody, step| {
            custody.changed(step.arrival.sequence, step.change)
        })
    }

    /// Returns what lies within a horizon, or `None` where that is no entry about the session itself.
    pub fn within(&self, horizon: &Horizon) -> Option<Self> {
        let unfolded = self.unfolded.iter();
        let steps = self.custody_steps.iter().copied();
        let within = Self {
            history: self.history.within(horizon),
            unfolded: unfolded
                .filter(|unfolded| horizon.admits(unfolded.at, unfolded.arrival))
                .cloned()
                .collect(),
            custody_steps: steps
                .filter(|step| horizon.admits_own(step.arrival))
                .collect(),
        };
        let is_known = !(within.history.records().is_empty() && within.unfolded.is_empty());
        is_known.then_some(within)
    }

    /// Adds what an entry decides; one that is there already changes nothing.
    pub(super) fn insert_custody_step(&mut self, step: CustodyStep) {
        let place = |other: &CustodyStep| other.arrival.sequence;
        let steps = &mut self.custody_steps;
        if let Err(at) = steps.binary_search_by_key(&step.arrival.sequence, place) {
            steps.insert(at, step);
        }
    }

    /// Adds an entry that is not folded; one that is there already changes nothing.
    pub fn insert_unfolded(&mut self, unfolded: Unfolded) {
        let at = self
            .unfolded
            .partition_point(|other| other.arrival.sequence < unfolded.arrival.sequence);
        if self
            .unfolded
            .get(at)
            .is_none_or(|other| other.arrival.sequence != unfolded.arrival.sequence)
        {
            self.unfolded.insert(at, unfolded);
        }
    }
}

/// What the log says of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordedUser {
    /// The user's sessions, in order of id.
    pub sessions: Vec<(SessionId, SessionRecord)>,
    /// What operators decided about the user, in the order of the log.
    pub overrides: Vec<Override>,
}

/// The sessions of a user, what operators decided, and the status under which the user is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct UserRecord {
    pub(super) sessions: Vec<SessionId>, // in order of id, each once
    /// Those that have named the user, and belong to another: at an earlier time they may have been the user's.
    pub(super) lost_sessions: Vec<SessionId>, // likewise
    pub(super) overrides: Vec<Override>, // in the order of the log, each once
    pub(super) listed_as: Option<StateName>,
}

impl UserRecord {
    /// Takes in a session that names the user, and whether it is theirs.
    pub(super) fn set_owns(&mut self, id: &SessionId, owns: bool) {
        set_holds(&mut self.sessions, id, owns);
        set_holds(&mut self.lost_sessions, id, !owns);
    }

    /// Forgets that a session has named the user.
    pub(super) fn forget(&mut self, id: &SessionId) {
        set_holds(&mut self.sessions, id, false);
        set_holds(&mut self.lost_sessions, id, false);
    }

    /// Adds an override; one that is there already changes nothing.
    pub(super) fn insert_override(&mut self, made: Override) {
        let place = |other: &Override| other.arrival.sequence;
        let sequence = made.arrival.sequence;
        if let Err(place) = self.overrides.binary_search_by_key(&sequence, place) {
            self.overrides.insert(place, made);
        }
    }
}

fn set_holds(ids: &mut Vec<SessionId>, id: &SessionId, holds: bool) {
    match (ids.binary_search(id), holds) {
        (Err(place), true) => ids.insert(place, id.clone()),
        (Ok(place), false) => drop(ids.remove(place)),
        (Ok(_), true) | (Err(_), false) => {}
    }
}
