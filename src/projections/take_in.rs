//! Taking in: what one entry does to the record that it concerns. Every fold comes here, one entry at a time or many at
//! once, so that no entry can mean one thing to one of them and another to the other.

use state_machine::history::{Arrival, Recorded};
use state_machine::id::{SequenceNumber, SessionId, UserTag, World};
use state_machine::retry::policy::Policy;
use state_machine::time::Timestamp;

use super::listing::{ListedAnomaly, rule};
use super::record::{CustodyStep, SessionRecord, Unfolded, UserRecord, WhyUnfolded};
use crate::log::CustodyChange;
use crate::log::entry::{
    ErasureDoneFact, ErasureFact, Fact, Leaf, OverrideFact, SessionFact, SubjectName,
    UnreadableFact,
};
use crate::stripe::decode::EventForm;

/// What an entry changes.
pub(super) enum Concern<'leaf> {
    /// The record of a session.
    Session(&'leaf World, &'leaf SessionId),
    /// The record of a user.
    User(&'leaf World, UserTag),
    /// No record: it is listed by itself.
    Stray(ListedAnomaly),
    /// The policies: it is one more.
    Policy(&'leaf Policy),
    /// Nothing that is projected.
    Nothing,
}

/// Returns what an entry changes.
pub(super) fn concern(leaf: &Leaf) -> Concern<'_> {
    match &leaf.fact {
        Fact::Event(fact) | Fact::Conflict(fact) => Concern::Session(&fact.world, &fact.session),
        Fact::Unreadable(UnreadableFact { unreadable, .. }) => Concern::Stray(ListedAnomaly {
            sequence: leaf.sequence,
            rule: [rule::UNREADABLE_PREFIX, unreadable.reason.as_str()].concat(),
            event: unreadable.event.clone(),
            session: None,
            at: leaf.received_at.second(),
        }),
        Fact::Erasure(ErasureFact { subject, .. })
        | Fact::ErasureDone(ErasureDoneFact { subject, .. })
        | Fact::Hold(subject)
        | Fact::Release(subject) => match &subject.name {
            SubjectName::Session(world, id) => Concern::Session(world, id),
            // Nothing is projected of a body that could not be read.
            SubjectName::Entry(_) => Concern::Nothing,
        },
        Fact::Override(OverrideFact { world, user, .. }) => Concern::User(world, *user),
        Fact::Configuration(policy) => Concern::Policy(policy),
        Fact::Access(_) => Concern::Nothing,
    }
}

/// Returns how an entry that is damaged on disk is listed: one poisoned entry must not stop the fold.
pub(super) fn damaged(sequence: SequenceNumber) -> ListedAnomaly {
    ListedAnomaly {
        sequence,
        rule: rule::DAMAGED_ENTRY.to_owned(),
        event: None,
        session: None,
        at: Timestamp(0),
    }
}

impl SessionRecord {
    /// Takes in an entry that concerns this session; one that is there already changes nothing.
    pub fn take_in(&mut self, leaf: &Leaf) {
        let arrival = leaf.arrival();
        match &leaf.fact {
            Fact::Event(fact) => match fact.form {
                EventForm::Snapshot => {
                    self.history.insert(Recorded {
                        event: fact.event.clone(),
                        arrival,
                    });
                }
                EventForm::Thin => self.take_in_unfolded(fact, WhyUnfolded::Thin, arrival),
            },
            Fact::Conflict(fact) => self.take_in_unfolded(fact, WhyUnfolded::Conflict, arrival),
            Fact::Erasure(_) | Fact::ErasureDone(_) | Fact::Hold(_) | Fact::Release(_) => {
                if let Some(change) = CustodyChange::of(&leaf.fact) {
                    self.insert_custody_step(CustodyStep { change, arrival });
                }
            }
            Fact::Unreadable(_) | Fact::Override(_) | Fact::Configuration(_) | Fact::Access(_) => {}
        }
    }

    fn take_in_unfolded(&mut self, fact: &SessionFact, why: WhyUnfolded, arrival: Arrival) {
        self.insert_unfolded(Unfolded {
            why,
            event: fact.event.id.clone(),
            at: fact.event.created,
            arrival,
        });
    }
}

impl UserRecord {
    /// Takes in an entry that concerns this user; one that is there already changes nothing.
    pub(super) fn take_in(&mut self, leaf: &Leaf) {
        if let Some(made) = leaf.made() {
            self.insert_override(made);
        }
    }
}
