//! Custody: whether a subject's payloads are held, are to be erased, or have been.

use state_machine::id::SequenceNumber;

use super::binary::Fields;
use super::entry::{ErasureDoneFact, ErasureFact, Fact, Subject};

/// What the log has decided about a subject's payloads: the entries that did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Custody {
    /// The hold that stands.
    pub hold: Option<SequenceNumber>,
    /// The first wish to erase. It stands for good.
    pub erasure: Option<SequenceNumber>,
    /// That they have been erased.
    pub done: Option<SequenceNumber>,
}

/// What an entry decides about a subject's payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CustodyChange {
    /// They must not be erased.
    Held,
    /// They may be again.
    Released,
    /// They are to be erased.
    ErasureWanted,
    /// They have been.
    ErasureDone,
}

impl CustodyChange {
    /// Returns what an entry of that kind decides, if it decides anything.
    pub fn of(fact: &Fact) -> Option<Self> {
        match fact {
            Fact::Event(_)
            | Fact::Conflict(_)
            | Fact::Unreadable(_)
            | Fact::Override(_)
            | Fact::Configuration(_)
            | Fact::Access(_) => None,
            Fact::Erasure(_) => Some(Self::ErasureWanted),
            Fact::ErasureDone(_) => Some(Self::ErasureDone),
            Fact::Hold(_) => Some(Self::Held),
            Fact::Release(_) => Some(Self::Released),
        }
    }
}

impl Custody {
    /// Tells whether payloads are still to be kept: a late one is recorded without.
    pub fn keeps_payloads(&self) -> bool {
        self.erasure.is_none() || self.is_waiting()
    }

    /// Tells whether an erasure waits for a hold to end.
    pub fn is_waiting(&self) -> bool {
        self.erasure.is_some() && self.hold.is_some()
    }

    /// Tells whether the erasure is to be carried out.
    pub fn is_due(&self) -> bool {
        self.erasure.is_some() && self.hold.is_none() && self.done.is_none()
    }

    /// Returns the custody after an entry.
    #[must_use]
    pub fn after(self, sequence: SequenceNumber, fact: &Fact) -> Self {
        match CustodyChange::of(fact) {
            Some(change) => self.changed(sequence, change),
            None => self,
        }
    }

    /// Returns the custody after an entry that decides this.
    #[must_use]
    pub fn changed(mut self, sequence: SequenceNumber, change: CustodyChange) -> Self {
        match change {
            CustodyChange::Held => self.hold = self.hold.or(Some(sequence)),
            CustodyChange::Released => self.hold = None,
            CustodyChange::ErasureWanted => self.erasure = self.erasure.or(Some(sequence)),
            CustodyChange::ErasureDone => self.done = self.done.or(Some(sequence)),
        }
        self
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.hold, self.erasure, self.done]
            .iter()
            .flat_map(|sequence| {
                sequence
                    .map_or(u64::MAX, |sequence| sequence.0)
                    .to_le_bytes()
            })
            .collect()
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(bytes);
        let mut sequence = || {
            let number = fields.u64()?;
            Some((number != u64::MAX).then_some(SequenceNumber(number)))
        };
        Some(Self {
            hold: sequence()?,
            erasure: sequence()?,
            done: sequence()?,
        })
    }
}

/// Returns whose custody an entry changes.
pub(super) fn subject_of(fact: &Fact) -> Option<&Subject> {
    match fact {
        Fact::Event(_)
        | Fact::Conflict(_)
        | Fact::Unreadable(_)
        | Fact::Override(_)
        | Fact::Configuration(_)
        | Fact::Access(_) => None,
        Fact::Erasure(ErasureFact { subject, .. })
        | Fact::ErasureDone(ErasureDoneFact { subject, .. })
        | Fact::Hold(subject)
        | Fact::Release(subject) => Some(subject),
    }
}
