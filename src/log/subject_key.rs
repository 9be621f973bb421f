//! The key of a subject in memory: one for each subject, whoever uses it, so that an erasure takes it from everybody.

use std::sync::{Mutex, MutexGuard, PoisonError};

use state_machine::id::SequenceNumber;

use super::custody::Custody;
use super::entry::SubjectName;
use super::keys::PayloadKeys;
use super::vault::KeySlot;

/// The key of a subject, what is decided about it, and what the index does not know of it yet.
pub(super) struct SubjectKey {
    /// None for a body that could not be read, before it has its place; and for what has no subject.
    pub(super) name: Option<SubjectName>,
    pub(super) slot: KeySlot,
    state: Mutex<State>,
}

pub(super) struct State {
    /// None once it is destroyed, or if it is lost.
    pub(super) keys: Option<PayloadKeys>,
    pub(super) custody: Custody,
    /// Whether a durable leaf names the slot.
    pub(super) is_bound: bool,
    /// The entries with a payload that the index may not have yet, in order.
    recent: Vec<u64>,
    /// Who is told once it is erased.
    waiting: Vec<WhenErased>,
}

/// Called once with the entry that says that an erasure is done; dropped if it will not be done before a restart.
pub(super) type WhenErased = Box<dyn FnOnce(SequenceNumber) + Send>;

impl SubjectKey {
    pub(super) fn new(
        name: Option<SubjectName>,
        slot: KeySlot,
        keys: Option<PayloadKeys>,
        (custody, is_bound): (Custody, bool),
    ) -> Self {
        Self {
            name,
            slot,
            state: Mutex::new(State {
                keys,
                custody,
                is_bound,
                recent: Vec::new(),
                waiting: Vec::new(),
            }),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the keys, if payloads are still to be sealed with them.
    pub(super) fn sealing_keys(&self) -> Option<&PayloadKeys> {
        self.keys.as_ref().filter(|_| self.custody.keeps_payloads())
    }

    /// Notes a durable entry with a payload; forgets those that the index has.
    pub(super) fn note_payload(&mut self, sequence: u64, indexed: u64) {
        self.recent.retain(|recent| *recent >= indexed);
        self.recent.push(sequence);
    }

    /// Calls back once the subject is erased: at once, if it is.
    pub(super) fn when_erased(&mut self, call: WhenErased) {
        match self.custody.done {
            Some(done) => call(done),
            None => self.waiting.push(call),
        }
    }

    pub(super) fn tell_erased(&mut self, done: SequenceNumber) {
        self.waiting.drain(..).for_each(|call| call(done));
    }

    /// Lets go of who waits for what will not be done before a restart.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    pub(super) fn recent(&self) -> &[u64] {
        &self.recent
    }
}
