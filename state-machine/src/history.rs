//! A history: the *set* of distinct events of one session, held in canonical order.
//!
//! Within a horizon it says what we believed, or what was true, at an earlier time: that is a history again.

use alloc::vec::Vec;

use crate::event::Event;
use crate::horizon::Horizon;
use crate::id::{EventId, SequenceNumber};
use crate::order;
use crate::time::ReceivedAt;

/// When we knew of an event: never an input of the fold, only of the choice of what is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its place in the log.
    pub sequence: SequenceNumber,
    /// When its delivery was received.
    pub received_at: ReceivedAt,
}

/// An event and its arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What is folded.
    pub event: Event,
    /// When we knew.
    pub arrival: Arrival,
}

/// The distinct events of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    records: Vec<Recorded>, // in canonical order, each event id once
}

impl History {
    /// Adds an event, and returns whether its id was not there yet. Of two records with one id the earlier arrival
    /// stays, so that it does not matter which of them is inserted first.
    pub fn insert(&mut self, recorded: Recorded) -> bool {
        let same = self
            .records
            .iter()
            .position(|record| record.event.id == recorded.event.id);
        if let Some(index) = same {
            let is_earlier = |known: &Recorded| recorded.arrival.sequence < known.arrival.sequence;
            if self.records.get(index).is_some_and(is_earlier) {
                self.records.remove(index);
                self.insert_in_order(recorded);
            }
        } else {
            self.insert_in_order(recorded);
        }
        same.is_none()
    }

    /// Returns the recorded events in canonical order.
    pub fn records(&self) -> &[Recorded] {
        &self.records
    }

    /// Returns the events in canonical order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.records.iter().map(|recorded| &recorded.event)
    }

    /// Returns the recorded event of that id.
    pub fn find(&self, id: &EventId) -> Option<&Recorded> {
        self.records
            .iter()
            .find(|recorded| recorded.event.id == *id)
    }

    /// Returns what lies within a horizon.
    #[must_use]
    pub fn within(&self, horizon: &Horizon) -> Self {
        let is_within =
            |recorded: &&Recorded| horizon.admits(recorded.event.created, recorded.arrival);
        Self {
            records: self.records.iter().filter(is_within).cloned().collect(),
        }
    }

    fn insert_in_order(&mut self, recorded: Recorded) {
        let index = self
            .records
            .partition_point(|known| order::compare(&known.event, &recorded.event).is_lt());
        self.records.insert(index, recorded);
    }
}

impl FromIterator<Recorded> for History {
    fn from_iter<I: IntoIterator<Item = Recorded>>(records: I) -> Self {
        let mut history = Self::default();
        for recorded in records {
            history.insert(recorded);
        }
        history
    }
}
