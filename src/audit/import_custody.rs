//! What a log does not know of its own payloads.
//!
//! Keys that are destroyed, and payloads that are missing, without an entry that says why. So it is where the vault is newer
//! than the log: what was erased meanwhile is to be erased again.

use std::collections::{BTreeMap, BTreeSet};

use super::import::ImportError;
use crate::log::PayloadError;
use crate::log::entry::{Fact, Leaf, SubjectName};
use crate::log::vault::KeySlot;

/// What no entry explains.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unexplained {
    keys: BTreeMap<KeySlot, SubjectName>,
    payloads: BTreeMap<KeySlot, BTreeSet<u64>>,
}

impl Unexplained {
    /// Returns whose keys are destroyed.
    pub fn without_key(&self) -> impl Iterator<Item = &SubjectName> {
        self.keys.values()
    }

    /// Returns which entries lack their payload.
    pub fn without_payload(&self) -> impl Iterator<Item = u64> {
        self.payloads.values().flatten().copied()
    }

    /// Takes in an entry, and what became of opening its payload, if it is there.
    pub(super) fn take(
        &mut self,
        leaf: &Leaf,
        opened: Option<Result<(), PayloadError>>,
    ) -> Result<(), ImportError> {
        let sequence = leaf.sequence.0;
        match (opened, subject_of(leaf)) {
            (Some(Err(PayloadError::Erased)), Some(name)) => {
                self.keys.insert(leaf.key_slot, name);
            }
            (Some(Err(cause)), _) => return Err(ImportError::Payload { sequence, cause }),
            (None, _) if leaf.payload.is_some() => {
                let missing = self.payloads.entry(leaf.key_slot).or_default();
                missing.insert(sequence);
            }
            (None | Some(Ok(())), _) => {}
        }
        let wanted = match &leaf.fact {
            Fact::Erasure(fact) => &fact.subject,
            Fact::ErasureDone(fact) => &fact.subject,
            Fact::Event(_)
            | Fact::Conflict(_)
            | Fact::Unreadable(_)
            | Fact::Hold(_)
            | Fact::Release(_)
            | Fact::Override(_)
            | Fact::Configuration(_)
            | Fact::Access(_) => return Ok(()),
        };
        // The wish will do: the next start carries out what is not done.
        self.keys.remove(&wanted.key_slot);
        self.payloads.remove(&wanted.key_slot);
        Ok(())
    }
}

/// Returns whose payload an entry has, if it can be erased.
fn subject_of(leaf: &Leaf) -> Option<SubjectName> {
    match &leaf.fact {
        Fact::Event(fact) | Fact::Conflict(fact) => Some(SubjectName::Session(
            fact.world.clone(),
            fact.session.clone(),
        )),
        Fact::Unreadable(_) => Some(SubjectName::Entry(leaf.sequence)),
        Fact::Erasure(_)
        | Fact::ErasureDone(_)
        | Fact::Hold(_)
        | Fact::Release(_)
        | Fact::Override(_)
        | Fact::Configuration(_)
        | Fact::Access(_) => None,
    }
}
