//! The records: of a session its facts, from which its fold follows; of a user which sessions are theirs, and what
//! operators decided.

use state_machine::history::{Arrival, History};
use state_machine::id::{EventId, SequenceNumber, SessionId};
use state_machine::overrides::Override;
use state_machine::time::Timestamp;
use state_machine::transition::StateName;

use crate::log::Custody;

/// What the log says of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionRecord {
    /// The events that are folded.
    pub history: History,
    /// The entries that are kept and shown, but not folded, in order of sequence.
    pub unfolded: Vec<Unfolded>,
    /// Whether its payloads are held, are to be erased, or have been.
    pub custody: Custody,
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
        let Custody {
            hold,
            erasure,
            done,
        } = self.custody;
        let custody = [hold, erasure, done].into_iter().flatten();
        let last = folded.chain(unfolded).chain(custody).max();
        last.unwrap_or(SequenceNumber(0))
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
    pub(super) overrides: Vec<Override>, // in the order of the log, each once
    pub(super) listed_as: Option<StateName>,
}

impl UserRecord {
    /// Adds a session, or takes it away.
    pub(super) fn set_owns(&mut self, id: &SessionId, owns: bool) {
        match (self.sessions.binary_search(id), owns) {
            (Err(place), true) => self.sessions.insert(place, id.clone()),
            (Ok(place), false) => drop(self.sessions.remove(place)),
            (Ok(_), true) | (Err(_), false) => {}
        }
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
