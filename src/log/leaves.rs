//! The leaves in a row, for whoever folds the whole log: from the journal, as it lies, and without a look at payloads.
//!
//! Where the journal does not have an entry, or has it damaged, the entry is read as any other: from sled.

use std::fs::File;
use std::io;
use std::ops::Range;

use state_machine::id::SequenceNumber;

use super::Log;
use super::journal::segments;
use super::read::ReadError;
use super::segment::{self, SegmentReader};

/// Reads leaves in order.
pub struct Leaves<'log> {
    log: &'log Log,
    entries: Range<u64>,
    segment: Option<SegmentReader>,
    /// The segment that was opened last.
    segment_first: Option<u64>,
    /// What the journal had last, and its leaf.
    held: Option<u64>,
    leaf: Vec<u8>,
    /// The leaf of an entry that the journal does not have.
    mended: Vec<u8>,
}

impl Log {
    /// Returns a reader of the leaves of these entries, up to the size at the call.
    pub fn leaves(&self, entries: Range<SequenceNumber>) -> Leaves<'_> {
        Leaves {
            log: self,
            entries: entries.start.0..entries.end.0.min(self.size()),
            segment: None,
            segment_first: None,
            held: None,
            leaf: Vec::new(),
            mended: Vec::new(),
        }
    }
}

impl Leaves<'_> {
    /// Returns the bytes of the next leaf, or why it cannot be read; `None` behind the last.
    pub fn next_leaf(&mut self) -> Option<Result<&[u8], ReadError>> {
        let sequence = self.entries.next()?;
        // A journal that cannot be read has nothing, and whatever is wrong shows when sled has it neither.
        if self.is_in_journal(sequence).unwrap_or(false) {
            return Some(Ok(&self.leaf));
        }
        match self.log.entry(SequenceNumber(sequence)) {
            Ok(entry) => {
                self.mended = entry?.leaf.encode();
                Some(Ok(&self.mended))
            }
            Err(error) => Some(Err(error)),
        }
    }

    /// Reads the journal up to an entry; it may turn out to have only later ones.
    fn is_in_journal(&mut self, sequence: u64) -> io::Result<bool> {
        while self.held.is_none_or(|held| held < sequence) {
            self.held = self.read_on(sequence)?;
            if self.held.is_none() {
                return Ok(false);
            }
        }
        Ok(self.held == Some(sequence))
    }

    /// Reads the next undamaged record, in the segment that is open or else in that of `sequence`; `None` if both have
    /// come to their end.
    fn read_on(&mut self, sequence: u64) -> io::Result<Option<u64>> {
        loop {
            if let Some(segment) = &mut self.segment {
                if let Some(found) = segment.leaf_here(&mut self.leaf)? {
                    return Ok(Some(found));
                }
                // The end, or damage, behind which another record may be found.
                if let Some(record) = segment.next()? {
                    record.leaf.clone_into(&mut self.leaf);
                    return Ok(Some(record.sequence));
                }
                self.segment = None;
            }
            let firsts = segments(&self.log.shared.journal_directory)?;
            let first = firsts.into_iter().rfind(|first| *first <= sequence);
            let Some(first) = first.filter(|first| self.segment_first != Some(*first)) else {
                return Ok(None);
            };
            let path = segment::path(&self.log.shared.journal_directory, first);
            self.segment = Some(SegmentReader::of(File::open(path)?));
            self.segment_first = Some(first);
        }
    }
}
