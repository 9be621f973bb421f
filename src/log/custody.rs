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
    pub fn after(mut self, sequence: SequenceNumber, fact: &Fact) -> Self {
        match fact {
            Fact::Event(_) | Fact::Conflict(_) | Fact::Unreadable(_) | Fact::Override(_) => {}
            Fact::Erasure(_) => self.erasure = self.erasure.or(Some(sequence)),
            Fact::ErasureDone(_) => self.done = self.done.or(Some(sequence)),
            Fact::Hold(_) => self.hold = self.hold.or(Some(sequence)),
            Fact::Release(_) => self.hold = None,
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
        Fact::Event(_) | Fact::Conflict(_) | Fact::Unreadable(_) | Fact::Override(_) => None,
        Fact::Erasure(ErasureFact { subject, .. })
        | Fact::ErasureDone(ErasureDoneFact { subject, .. })
        | Fact::Hold(subject)
        | Fact::Release(subject) => Some(subject),
    }
}
