//! Reading: from the tail, else from sled, else, where sled has lost an entry, from the journal.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use state_machine::id::SequenceNumber;

use super::entry::Entry;
use super::journal::JournalReader;
use super::leaf::LeafError;
use super::record::Record;
use super::shared::Shared;

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
