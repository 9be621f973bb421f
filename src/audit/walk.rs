//! The walk: once through a log, from its first entry to its last, with every check that one pass can make.
//!
//! It is an iterator of entries, so that whoever folds them is audited and the auditor folds what it has read.

use std::sync::Arc;

use state_machine::id::SequenceNumber;

use super::custody_check::{CustodyCheck, There};
use super::data_directory::DataDirectory;
use super::finding::{Class, Findings, is_torn_end};
use super::heads::Heads;
use super::identities::Identities;
use super::payload_check::PayloadCheck;
use super::source::{Chunk, Chunks, Source, SourceError, StoredEntry};
use super::stored_tree::StoredTree;
use crate::log::entry::{Entry, Leaf};
use crate::log::leaf::LeafError;
use crate::log::{ReadError, ReadErrorCause};
use crate::transparency::frontier::Frontier;
use crate::transparency::hash::leaf_hash;

/// Entries cannot have been received outside these years: 2010 (Stripe began then) to 2100, in milliseconds.
const RECEIVED_BETWEEN: std::ops::Range<i64> = 1_262_304_000_000..4_102_444_800_000;

/// A log that is walked through.
pub(super) struct Walk<'audit> {
    chunks: Chunks<'audit>,
    chunk: std::vec::IntoIter<StoredEntry>,
    frontier: Frontier,
    is_whole: bool,
    pub(super) checks: Checks<'audit>,
}

/// What is checked of each entry.
pub(super) struct Checks<'audit> {
    pub(super) source: &'audit Source,
    /// The size of the latest checkpoint.
    pub(super) signed: u64,
    pub(super) findings: Findings,
    pub(super) heads: Heads<'audit>,
    pub(super) tree: StoredTree<'audit>,
    pub(super) identities: Identities,
    pub(super) custody: CustodyCheck,
    pub(super) payloads: PayloadCheck,
    /// Whether payloads are looked at.
    pub(super) with_payloads: bool,
    pub(super) progress: &'audit mut dyn FnMut(u64, u64),
}

/// Where a walk ended.
pub(super) struct End<'audit> {
    pub(super) checks: Checks<'audit>,
    /// How many entries were read.
    pub(super) size: u64,
    /// Whether those are all.
    pub(super) is_whole: bool,
}

impl<'audit> Walk<'audit> {
    pub(super) fn new(checks: Checks<'audit>) -> Self {
        Self {
            chunks: checks.source.chunks(checks.with_payloads),
            chunk: Vec::new().into_iter(),
            frontier: Frontier::new(),
            is_whole: true,
            checks,
        }
    }

    /// Reads what is left, and ends.
    pub(super) fn end(mut self) -> End<'audit> {
        self.by_ref().for_each(drop);
        self.check_heads();
        End {
            size: self.frontier.size(),
            is_whole: self.is_whole,
            checks: self.checks,
        }
    }

    fn stored(&mut self) -> Option<StoredEntry> {
        loop {
            if let Some(entry) = self.chunk.next() {
                return Some(entry);
            }
            (self.checks.progress)(self.frontier.size(), self.checks.signed);
            match self.chunks.next()? {
                Ok(Chunk { entries, .. }) => self.chunk = entries.into_iter(),
                Err(error) => {
                    self.note_end(&error);
                    return None;
                }
            }
        }
    }

    /// Notes why there is nothing more to read.
    fn note_end(&mut self, error: &SourceError) {
        let Checks {
            source,
            signed,
            findings,
            ..
        } = &mut self.checks;
        let in_use = source.data_directory().map(DataDirectory::is_in_use);
        match in_use.filter(|_| is_torn_end(error) && self.frontier.size() >= *signed) {
            Some(true) => {} // it is being written
            Some(false) => findings.add(
                Class::CouldNotCheck,
                format!("{error}; nothing there was ever signed, and the next start of the service cuts it"),
            ),
            None => {
                findings.add_error(error);
                self.is_whole = false;
            }
        }
    }

    fn check_heads(&mut self) {
        let Checks {
            heads, findings, ..
        } = &mut self.checks;
        let size = self.frontier.size();
        if heads.next_size().is_some_and(|next| next <= size) {
            heads.check(size, &self.frontier.root(), findings);
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Arc<Entry>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let StoredEntry { leaf, sealed } = self.stored()?;
        self.check_heads();
        let sequence = self.frontier.size();
        let Checks { tree, findings, .. } = &mut self.checks;
        self.frontier.push(leaf_hash(&leaf), |level, hash| {
            tree.compare(level, &hash, findings);
        });
        let entry = Leaf::decode(&leaf).map(|leaf| {
            self.checks.check(sequence, &leaf, &sealed);
            Arc::new(Entry {
                leaf,
                sealed: Vec::new(),
            })
        });
        Some(entry.map_err(|error| {
            self.checks.note_undecodable(sequence, error);
            ReadError {
                sequence: SequenceNumber(sequence),
                cause: ReadErrorCause::Leaf(error),
            }
        }))
    }
}

impl Checks<'_> {
    fn check(&mut self, sequence: u64, leaf: &Leaf, sealed: &[u8]) {
        let findings = &mut self.findings;
        if leaf.sequence.0 != sequence {
            let what = format!("the leaf says that it is entry {}", leaf.sequence.0);
            findings.add_of(Class::Tampered, sequence, what);
        }
        if !RECEIVED_BETWEEN.contains(&leaf.received_at.0) {
            let what = format!("was received at an absurd time ({} ms)", leaf.received_at.0);
            findings.add_of(Class::Tampered, sequence, what);
        }
        let mut there = There::Nothing;
        if self.with_payloads {
            there = There::of(sealed);
            if there == There::Whole {
                self.payloads.check(leaf, sealed, findings);
            }
        }
        let compared = self.identities.take(sequence, leaf);
        let compared = compared.and_then(|()| self.custody.take(leaf, there, findings));
        if let Err(error) = compared {
            let what = format!("entries cannot be compared with each other: {error}");
            findings.add_of(Class::CouldNotCheck, sequence, what);
        }
    }

    fn note_undecodable(&mut self, sequence: u64, error: LeafError) {
        let class = match error {
            LeafError::UnknownVersion(_) | LeafError::UnknownKind(_) => Class::CouldNotCheck,
            LeafError::Field(_) | LeafError::TrailingBytes => Class::Tampered,
        };
        self.findings.add_of(class, sequence, error.to_string());
    }
}
