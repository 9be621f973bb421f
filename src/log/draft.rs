//! A draft: what a commit is made of, while it is put together. Nothing that others see changes before it is durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use state_machine::event::EventType;
use state_machine::id::SequenceNumber;
use state_machine::time::ReceivedAt;

use super::append::{AppendError, Appended};
use super::custody::Custody;
use super::dedupe::{Identification, Known};
use super::entry::{ErasureCause, ErasureFact, Fact, Subject};
use super::feeder::{Fed, Group};
use super::journal::End;
use super::prepare::Prepared;
use super::record::{self, Link, put_record};
use super::subject_key::SubjectKey;
use super::vault::KeySlot;
use crate::stripe::decode::EventForm;
use crate::transparency::hash::leaf_hash;

/// A commit that is being put together.
pub(super) struct Draft {
    group: Group,
    group_first: SequenceNumber,
    link: Link,
    next: u64,
    /// The custody that entries of this draft change.
    custodies: BTreeMap<KeySlot, (Arc<SubjectKey>, Custody)>,
}

impl Draft {
    pub(super) fn after(end: &End) -> Self {
        Self {
            group: Group::default(),
            group_first: SequenceNumber(end.next),
            link: end.link,
            next: end.next,
            custodies: BTreeMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.group.bytes.is_empty()
    }

    /// Returns how many entries it holds.
    pub(super) fn entries(&self) -> usize {
        self.group.fed.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.group.bytes
    }

    /// Returns the sequence number behind its last entry.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Returns the chain's link behind its last entry.
    pub(super) fn link(&self) -> Link {
        self.link
    }

    pub(super) fn into_group(self) -> Group {
        self.group
    }

    /// Adds what was delivered. An event that says that its session was redacted is followed by the wish to erase it.
    pub(super) fn add_delivery(
        &mut self,
        prepared: Prepared,
        known: (Identification, Known),
        conflicts: bool,
    ) {
        let (key, received_at) = (Arc::clone(&prepared.key), prepared.received_at());
        let prepared = if self.custody(&key).keeps_payloads() {
            prepared
        } else {
            prepared.without_payload()
        };
        let redacts = !conflicts && is_redaction(prepared.fact());
        let sequence = self.add(prepared, Some(known), conflicts);
        if redacts && self.custody(&key).erasure.is_none() {
            self.add_erasure(key, received_at, sequence);
        }
    }

    fn add_erasure(&mut self, key: Arc<SubjectKey>, at: ReceivedAt, redacted: SequenceNumber) {
        let Some(name) = key.name.clone() else {
            return;
        };
        let subject = Subject {
            key_slot: key.slot,
            name,
        };
        let fact = Fact::Erasure(ErasureFact {
            subject,
            cause: ErasureCause::Redacted(redacted),
        });
        self.add(Prepared::of_own(key, at, fact), None, false);
    }

    /// Adds what is stated, unless it stands already.
    pub(super) fn add_statement(&mut self, prepared: Prepared) -> Result<Appended, AppendError> {
        let custody = self.custody(&prepared.key);
        let stands = match prepared.fact() {
            Fact::Erasure(_) => custody.erasure,
            Fact::ErasureDone(_) => custody.done,
            Fact::Hold(_) => match custody.erasure {
                Some(erasure) if custody.hold.is_none() => {
                    return Err(AppendError::ErasureBegun(erasure));
                }
                _ => custody.hold,
            },
            Fact::Release(_) if custody.hold.is_none() => return Err(AppendError::NotHeld),
            Fact::Release(_)
            | Fact::Event(_)
            | Fact::Conflict(_)
            | Fact::Unreadable(_)
            | Fact::Override(_)
            | Fact::Configuration(_)
            | Fact::Access(_) => None,
        };
        Ok(match stands {
            Some(sequence) => Appended {
                sequence,
                duplicate: true,
                conflicts: false,
            },
            None => Appended {
                sequence: self.add(prepared, None, false),
                duplicate: false,
                conflicts: false,
            },
        })
    }

    fn add(
        &mut self,
        prepared: Prepared,
        delivery: Option<(Identification, Known)>,
        conflicts: bool,
    ) -> SequenceNumber {
        let sequence = SequenceNumber(self.next);
        let key = Arc::clone(&prepared.key);
        let (entry, leaf) = prepared.into_entry(sequence, conflicts);
        put_record(
            &mut self.group.bytes,
            (sequence, self.group_first),
            &self.link,
            (&leaf, &entry.sealed),
        );
        let leaf_hash = leaf_hash(&leaf);
        self.link = record::link(&self.link, &leaf_hash);
        self.next += 1;
        let before = self.custody(&key);
        let custody = before.after(sequence, &entry.leaf.fact);
        if custody != before {
            self.custodies.insert(key.slot, (Arc::clone(&key), custody));
        }
        self.group.fed.push(Fed {
            delivery,
            binds_key: entry.leaf.key_slot == key.slot && !key.state().is_bound,
            entry: Arc::new(entry),
            leaf_hash,
            key,
        });
        sequence
    }

    /// Returns the custody of a subject as this draft leaves it.
    fn custody(&self, key: &SubjectKey) -> Custody {
        let changed = self.custodies.get(&key.slot);
        changed.map_or_else(|| key.state().custody, |(_, custody)| *custody)
    }

    /// Tells the subjects' keys what has become durable; returns those that are to be destroyed.
    pub(super) fn settle(&self, indexed: u64) -> Vec<Arc<SubjectKey>> {
        for fed in &self.group.fed {
            let mut state = fed.key.state();
            state.is_bound |= fed.binds_key;
            if fed.entry.leaf.payload.is_some() && fed.entry.leaf.key_slot == fed.key.slot {
                state.note_payload(fed.entry.leaf.sequence.0, indexed);
            }
        }
        let mut due = Vec::new();
        for (key, custody) in self.custodies.values() {
            key.state().custody = *custody;
            due.extend(custody.is_due().then(|| Arc::clone(key)));
        }
        due
    }
}

fn is_redaction(fact: &Fact) -> bool {
    match fact {
        Fact::Event(fact) => {
            fact.form == EventForm::Snapshot && fact.event.event_type == EventType::Redacted
        }
        Fact::Conflict(_)
        | Fact::Unreadable(_)
        | Fact::Erasure(_)
        | Fact::ErasureDone(_)
        | Fact::Hold(_)
        | Fact::Release(_)
        | Fact::Override(_)
        | Fact::Configuration(_)
        | Fact::Access(_) => false,
    }
}
