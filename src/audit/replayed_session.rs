//! A session while its entries are replayed: folded anew with each of them.

use state_machine::history::{History, Recorded};
use state_machine::session::{Session, explain, project};
use state_machine::transition::Transition;

use crate::log::Custody;
use crate::log::entry::{Fact, Leaf};
use crate::service::change::{Change, SessionFacts, changes, session_facts};
use crate::stripe::decode::EventForm;

/// What is known of a session so far.
#[derive(Default)]
pub(super) struct ReplayedSession {
    history: History,
    custody: Custody,
}

impl ReplayedSession {
    /// Takes an entry in; returns the step that its event makes in the fold, and what changed.
    pub(super) fn take_in(&mut self, leaf: &Leaf) -> (Option<Transition>, Vec<Change>) {
        let before = self.facts();
        let transition = match &leaf.fact {
            Fact::Event(fact) if fact.form == EventForm::Snapshot => {
                let arrival = leaf.arrival();
                let event = fact.event.clone();
                let id = event.id.clone();
                self.history.insert(Recorded { event, arrival });
                let mut steps = explain(&self.history).into_iter();
                steps.find(|step| step.event == id)
            }
            Fact::Event(_)
            | Fact::Conflict(_)
            | Fact::Unreadable(_)
            | Fact::Erasure(_)
            | Fact::ErasureDone(_)
            | Fact::Hold(_)
            | Fact::Release(_)
            | Fact::Override(_)
            | Fact::Configuration(_)
            | Fact::Access(_) => None,
        };
        self.custody = self.custody.after(leaf.sequence, &leaf.fact);
        (transition, changes(&before, &self.facts()))
    }

    pub(super) fn into_end(self) -> (Session, Custody) {
        (project(&self.history), self.custody)
    }

    fn facts(&self) -> SessionFacts {
        session_facts(&project(&self.history), self.custody)
    }
}
