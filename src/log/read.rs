//! Reading: from the tail, else from sled, else, where sled has lost an entry, from the journal.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use state_machine::id::{SequenceNumber, UserTag};

use super::Log;
use super::custody::Custody;
use super::dedupe::Identification;
use super::entry::{Entry, Fact, Subject, SubjectName};
use super::journal::JournalReader;
use super::key_ring::KeyError;
use super::leaf::LeafError;
use super::payload::{self, OpenedPayload, PayloadError};
use super::prepare::Words;
use super::record::Record;
use super::shared::Shared;
use super::vault::KeySlot;
use crate::stripe::user_reference::UserReference;

/// Why an entry could not be read.
#[derive(Debug, thiserror::Error)]
#[error("entry {sequence} cannot be read: {cause}")]
pub struct ReadError {
    /// Which.
    pub sequence: SequenceNumber,
    /// Why.
    pub cause: ReadErrorCause,
}

/// What stands in the way of reading an entry.
#[derive(Debug, thiserror::Error)]
pub enum ReadErrorCause {
    /// Neither sled nor the journal has it.
    #[error("neither sled nor the journal has it")]
    Missing,
    /// Its leaf cannot be understood.
    #[error(transparent)]
    Leaf(#[from] LeafError),
}

impl Log {
    /// Returns how many durable entries there are: the next sequence number.
    pub fn size(&self) -> u64 {
        self.shared.tail.size()
    }

    /// Returns an entry, or `None` beyond the end.
    pub fn entry(&self, sequence: SequenceNumber) -> Result<Option<Arc<Entry>>, ReadError> {
        self.shared.entry(sequence)
    }

    /// Returns the durable entries from `first` on, in order, up to the size at the call.
    pub fn entries_from(
        &self,
        first: SequenceNumber,
    ) -> impl Iterator<Item = Result<Arc<Entry>, ReadError>> + '_ {
        (first.0..self.size())
            .filter_map(|sequence| self.entry(SequenceNumber(sequence)).transpose())
    }

    /// Returns the payload of an entry in clear.
    pub fn open_payload(&self, entry: &Entry) -> Result<OpenedPayload, PayloadError> {
        let Entry { leaf, sealed } = entry;
        let digest = leaf.payload.as_ref().filter(|_| !sealed.is_empty());
        let digest = digest.ok_or(PayloadError::Erased)?;
        let open = |keys| payload::open(keys, sealed, digest, &Identification::of(&leaf.fact));
        if leaf.key_slot == KeySlot::LOG {
            return open(&self.shared.log_keys.words);
        }
        let key = self
            .shared
            .keys
            .key_in(&subject_name(entry), leaf.key_slot, &self.shared.index)
            .map_err(|_| PayloadError::KeyUnreadable)?;
        let keys = key.state().keys.clone();
        open(keys.as_ref().ok_or(PayloadError::Erased)?)
    }

    /// Returns who stated an entry, and why, if somebody did.
    pub fn words(&self, entry: &Entry) -> Option<Words> {
        if entry.leaf.key_slot != KeySlot::LOG {
            return None;
        }
        serde_json::from_slice(&self.open_payload(entry).ok()?.body).ok()
    }

    /// Returns the subject of that name, if the log keeps anything of it, and what is decided about its payloads.
    pub fn subject(&self, name: SubjectName) -> Result<Option<(Subject, Custody)>, SubjectError> {
        let Shared { keys, index, .. } = &*self.shared;
        let found = match &name {
            SubjectName::Session(..) => keys.find(&name, index)?,
            SubjectName::Entry(sequence) => match self.entry(*sequence)? {
                Some(entry) if matches!(entry.leaf.fact, Fact::Unreadable(_)) => {
                    Some(keys.key_in(&name, entry.leaf.key_slot, index)?)
                }
                Some(_) | None => None,
            },
        };
        Ok(found.map(|key| {
            let (key_slot, custody) = (key.slot, key.state().custody);
            (Subject { key_slot, name }, custody)
        }))
    }

    /// Returns the entries that have or had a payload of a subject, in order.
    pub fn payloads_of(&self, subject: &Subject) -> Result<Vec<SequenceNumber>, SubjectError> {
        let Shared { keys, index, .. } = &*self.shared;
        let key = keys.key_in(&subject.name, subject.key_slot, index)?;
        // Before the index: what that has learnt meanwhile is in both.
        let mut entries: BTreeSet<u64> = key.state().recent().iter().copied().collect();
        let indexed = index.payloads_of(subject.key_slot);
        entries.extend(indexed.map_err(KeyError::from)?);
        Ok(entries.into_iter().map(SequenceNumber).collect())
    }

    /// Returns the tag under which entries name this user.
    pub fn user_tag(&self, reference: &UserReference) -> UserTag {
        self.shared.log_keys.user_tag(reference)
    }
}

/// Returns by what name an entry's key is known.
fn subject_name(entry: &Entry) -> SubjectName {
    match &entry.leaf.fact {
        Fact::Event(fact) | Fact::Conflict(fact) => {
            SubjectName::Session(fact.world.clone(), fact.session.clone())
        }
        Fact::Unreadable(_)
        | Fact::Erasure(_)
        | Fact::ErasureDone(_)
        | Fact::Hold(_)
        | Fact::Release(_)
        | Fact::Override(_)
        | Fact::Configuration(_)
        | Fact::Access(_) => SubjectName::Entry(entry.leaf.sequence),
    }
}

/// Why a subject could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// Its entry could not be read.
    #[error(transparent)]
    Entry(#[from] ReadError),
    /// Its key could not be looked up.
    #[error("the key cannot be looked up: {0}")]
    Key(String),
}

impl From<KeyError> for SubjectError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.to_string())
    }
}

impl Shared {
    /// Returns an entry, or `None` beyond the end.
    pub(super) fn entry(&self, sequence: SequenceNumber) -> Result<Option<Arc<Entry>>, ReadError> {
        if sequence.0 >= self.tail.size() {
            return Ok(None);
        }
        if let Some(entry) = self.tail.entry(sequence) {
            return Ok(Some(entry));
        }
        let error = |cause| ReadError { sequence, cause };
        let stored = self.store.record(sequence.0).ok().flatten();
        let bytes = stored.or_else(|| self.journal_record(sequence));
        let record = bytes.as_deref().and_then(Record::parse);
        let record = record.ok_or_else(|| error(ReadErrorCause::Missing))?;
        record
            .entry()
            .map(Some)
            .map_err(|cause| error(cause.into()))
    }

    /// Reads from the journal what sled has lost. Such reads come in order, so each goes on where the last
    /// one ended.
    fn journal_record(&self, sequence: SequenceNumber) -> Option<Vec<u8>> {
        self.repaired_reads.fetch_add(1, Ordering::Relaxed);
        let mut reader = self
            .journal_reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut here = reader
            .take()
            .filter(|reader| reader.next_sequence() == sequence.0)
            .unwrap_or_else(|| JournalReader::from(&self.journal_directory, sequence.0));
        let bytes = here.read().ok().flatten()?;
        *reader = Some(here);
        Some(bytes)
    }
}
