//! By what an entry is known again: the event's id for good, and a digest of its facts to tell a conflict.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use state_machine::id::SequenceNumber;

use super::entry::{ErasureDoneFact, ErasureFact, Fact, OverrideFact, SessionFact};
use super::session_fact::put_session_fact;

const REQUEST: u8 = b'r';

/// What two deliveries of one thing have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identification(Arc<[u8]>); // cloned on the commit path

/// The first half of SHA-256 over facts: equal for equal facts.
pub(super) type FactsDigest = [u8; 16];

/// What is known of an entry by its identification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) sequence: SequenceNumber,
    pub(super) facts: FactsDigest,
}

impl Identification {
    /// Returns by what a fact is known, and under what its payload is sealed. An event and an unreadable body
    /// of one id are two things, so that an event is not lost to an earlier delivery that could not be read.
    pub(super) fn of(fact: &Fact) -> Self {
        match fact {
            Fact::Event(fact) | Fact::Conflict(fact) => {
                Self::with(b'e', fact.event.id.as_str().as_bytes())
            }
            Fact::Unreadable(fact) => match &fact.unreadable.event {
                Some(event) => Self::with(b'u', event.as_str().as_bytes()),
                None => Self::with(b'b', &fact.body_tag),
            },
            // Nothing delivers these twice, and nothing is looked up by them.
            Fact::Erasure(ErasureFact { subject, .. })
            | Fact::ErasureDone(ErasureDoneFact { subject, .. })
            | Fact::Hold(subject)
            | Fact::Release(subject) => Self::with(b'o', &subject.key_slot.0.to_le_bytes()),
            Fact::Override(fact) => Self::with(b'v', fact.id.as_str().as_bytes()),
            Fact::Configuration(_) => Self::with(b'p', &[]),
            Fact::Access(_) => Self::with(b'a', &[]),
        }
    }

    /// Returns by what a request is known again.
    pub(super) fn of_request(key: &[u8; 16]) -> Self {
        Self::with(REQUEST, key)
    }

    pub(super) fn is_of_request(&self) -> bool {
        self.0.first() == Some(&REQUEST)
    }

    /// Returns the identification of a conflict: the same facts conflict once.
    pub(super) fn of_conflict(&self, facts: &FactsDigest) -> Self {
        Self([b"c", self.0.as_ref(), facts].concat().into())
    }

    fn with(kind: u8, name: &[u8]) -> Self {
        Self([&[kind], name].concat().into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Returns the digest of a fact. The API version is left out: endpoints of different versions may receive one
/// event.
pub(super) fn facts_digest(fact: &Fact) -> FactsDigest {
    let fact = match fact {
        Fact::Event(fact) | Fact::Conflict(fact) => fact,
        Fact::Override(OverrideFact {
            request: Some(request),
            ..
        }) => return request.content,
        Fact::Override(OverrideFact { request: None, .. })
        | Fact::Access(_)
        | Fact::Unreadable(_)
        | Fact::Erasure(_)
        | Fact::ErasureDone(_)
        | Fact::Hold(_)
        | Fact::Release(_)
        | Fact::Configuration(_) => return FactsDigest::default(),
    };
    let mut bytes = Vec::with_capacity(160);
    put_session_fact(
        &mut bytes,
        &SessionFact {
            api_version: None,
            ..fact.clone()
        },
    );
    let mut digest = FactsDigest::default();
    digest
        .iter_mut()
        .zip(Sha256::digest(&bytes))
        .for_each(|(to, from)| *to = from);
    digest
}

/// The latest entries by identification: at least those that the index does not hold yet.
#[derive(Default)]
pub(super) struct Recent {
    by_identification: HashMap<Identification, Known>,
    in_order: VecDeque<(Identification, SequenceNumber)>,
}

impl Recent {
    pub(super) fn find(&self, identification: &Identification) -> Option<Known> {
        self.by_identification.get(identification).copied()
    }

    pub(super) fn insert(&mut self, identification: Identification, known: Known) {
        self.in_order
            .push_back((identification.clone(), known.sequence));
        self.by_identification.insert(identification, known);
    }

    /// Forgets entries below `sequence`.
    pub(super) fn forget_below(&mut self, sequence: u64) {
        while let Some((identification, _)) =
            self.in_order.pop_front_if(|(_, known)| known.0 < sequence)
        {
            self.by_identification.remove(&identification);
        }
    }

    /// Forgets entries from `sequence` on, which were not written after all.
    pub(super) fn forget_from(&mut self, sequence: u64) {
        while let Some((identification, _)) =
            self.in_order.pop_back_if(|(_, known)| known.0 >= sequence)
        {
            self.by_identification.remove(&identification);
        }
    }
}
