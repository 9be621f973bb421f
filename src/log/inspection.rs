//! Inspection: reads the files of a log as they lie, strictly and without changing any, for whoever audits it.
//!
//! Opening a log mends what it can; an auditor wants to see what was there. Of the journal, every byte is accounted for.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::identity::{self, Identity};
use super::journal::segments;
use super::paths::Paths;
use super::record::{self, GENESIS, Link};
use super::segment::{self, Here, SegmentHeader, SegmentReader};

/// How often a damaged place is read again before it is believed: a service that erases may be writing there.
const READS_MAX: usize = 8;

/// The files of a log.
pub struct Inspection {
    pub(super) paths: Paths,
}

/// A record of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The bytes of its leaf.
    pub leaf: Vec<u8>,
    /// Its sealed payload, or what is left of it; empty if it has none, or if it was erased.
    pub sealed: Vec<u8>,
}

/// Tells whether bytes are what is left of a payload that was being erased.
pub fn is_remainder(sealed: &[u8]) -> bool {
    record::is_blanked_in_part(sealed)
}

/// Why the journal cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Its bytes are not those of a journal.
    #[error("{}, byte {offset}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// The entry that was to be read next.
        sequence: u64,
        /// What is wrong there.
        problem: JournalProblem,
    },
    /// Its beginning was deleted, as the setting `journal.retention` allows.
    #[error(
        "the journal begins with entry {first}: what lies before was deleted once sled was durable"
    )]
    Pruned {
        /// The first entry that is there.
        first: u64,
    },
}

/// What is wrong with the bytes of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalProblem {
    /// The segment's header is not whole, or not followed by zeros.
    #[error("the header of the segment is damaged")]
    Header,
    /// The segment is of another log than the first one, or than the identity file.
    #[error("the file belongs to another log")]
    OtherLog,
    /// The segment does not go on where the one before it ends.
    #[error("the segment does not continue the one before it")]
    Place,
    /// A record is not whole.
    #[error("the record is damaged")]
    Record,
    /// A record has another sequence number than the one due.
    #[error("the record is not the one that is due here")]
    Sequence,
    /// A record names another predecessor.
    #[error("the record does not continue the chain of hashes")]
    Chain,
    /// There are bytes where zeros have to be.
    #[error("bytes lie behind the last record")]
    Trailing,
}

impl Inspection {
    /// Returns the files of the log in `directory`.
    pub fn of(directory: &Path) -> Self {
        Self {
            paths: Paths::under(directory),
        }
    }

    /// Tells whether a service has the log open.
    pub fn is_in_use(&self) -> io::Result<bool> {
        let lock = match File::open(&self.paths.lock) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        // Let go at once: nothing is kept from starting.
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Returns the log's 16 random bytes, which its identity file tells; `None` if that is missing or damaged.
    pub fn log_id(&self) -> io::Result<Option<[u8; 16]>> {
        Ok(self.identity()?.map(Identity::log))
    }

    pub(super) fn identity(&self) -> io::Result<Option<Identity>> {
        let identity = Identity::read(&self.paths.identity)?;
        let bytes = fs::metadata(&self.paths.identity).map_or(0, |file| file.len());
        Ok(identity.filter(|_| bytes == identity::FILE_BYTES))
    }

    /// Returns the journal's entries, from the first one on; ends behind the first error.
    pub fn journal(&self) -> Result<Journal, JournalError> {
        let directory = &self.paths.journal;
        let firsts = segments(directory).map_err(|source| JournalError::Io {
            path: directory.clone(),
            source,
        })?;
        match firsts.first() {
            Some(first) if *first > 0 => Err(JournalError::Pruned { first: *first }),
            _ => Ok(Journal {
                directory: directory.clone(),
                identity: self.identity().ok().flatten(),
                firsts: firsts.into_iter(),
                segment: None,
                previous_first: 0,
                next: 0,
                link: GENESIS,
                has_ended: false,
            }),
        }
    }
}

/// The entries of a journal, in order.
pub struct Journal {
    pub(super) directory: PathBuf,
    pub(super) identity: Option<Identity>,
    pub(super) firsts: std::vec::IntoIter<u64>,
    pub(super) segment: Option<(PathBuf, SegmentReader)>,
    pub(super) previous_first: u64,
    pub(super) next: u64,
    pub(super) link: Link,
    pub(super) has_ended: bool,
}

impl Journal {
    fn read(&mut self) -> Result<Option<JournalEntry>, JournalError> {
        loop {
            if let Some((path, mut reader)) = self.segment.take() {
                let entry = self.read_record(&path, &mut reader)?;
                if entry.is_some() {
                    self.segment = Some((path, reader));
                    return Ok(entry);
                }
            }
            let Some(first) = self.firsts.next() else {
                return Ok(None);
            };
            self.segment = Some(self.open_segment(first)?);
        }
    }

    fn open_segment(&mut self, first: u64) -> Result<(PathBuf, SegmentReader), JournalError> {
        let path = segment::path(&self.directory, first);
        let io = |source| JournalError::Io {
            path: path.clone(),
            source,
        };
        let file = File::open(&path).map_err(io)?;
        let header = SegmentHeader::read_strictly(&file).map_err(io)?;
        let header = header.ok_or_else(|| self.damaged(&path, 0, JournalProblem::Header))?;
        if *self.identity.get_or_insert(header.identity) != header.identity {
            return Err(self.damaged(&path, 0, JournalProblem::OtherLog));
        }
        let goes_on = header.first == first
            && first == self.next
            && header.previous_first == self.previous_first
            && header.before == self.link;
        if !goes_on {
            return Err(self.damaged(&path, 0, JournalProblem::Place));
        }
        self.previous_first = first;
        Ok((path, SegmentReader::of(file)))
    }

    /// Returns the record that stands next in a segment, `None` at its end.
    fn read_record(
        &mut self,
        path: &Path,
        reader: &mut SegmentReader,
    ) -> Result<Option<JournalEntry>, JournalError> {
        let io = |source| JournalError::Io {
            path: path.to_owned(),
            source,
        };
        let offset = reader.offset();
        let mut reads = 0;
        let record = loop {
            match reader.here().map_err(io)? {
                Here::Record(record) => {
                    let (sequence, before, link) = (record.sequence, record.before, record.link());
                    let entry = JournalEntry {
                        leaf: record.leaf.to_vec(),
                        sealed: record.unblanked().to_vec(),
                    };
                    break Some((sequence, before, link, entry));
                }
                Here::NoRecord => break None,
                Here::Damaged => reads += 1,
            }
            if reads == READS_MAX {
                return Err(self.damaged(path, offset, JournalProblem::Record));
            }
            reader.forget();
        };
        let Some((sequence, before, link, entry)) = record else {
            return match reader.first_not_zero().map_err(io)? {
                Some(offset) => Err(self.damaged(path, offset, JournalProblem::Trailing)),
                None => Ok(None),
            };
        };
        if sequence != self.next {
            return Err(self.damaged(path, offset, JournalProblem::Sequence));
        }
        if before != self.link {
            return Err(self.damaged(path, offset, JournalProblem::Chain));
        }
        self.next += 1;
        self.link = link;
        Ok(Some(entry))
    }

    pub(super) fn damaged(
        &self,
        path: &Path,
        offset: u64,
        problem: JournalProblem,
    ) -> JournalError {
        JournalError::Damaged {
            path: path.to_owned(),
            offset,
            sequence: self.next,
            problem,
        }
    }
}

impl Iterator for Journal {
    type Item = Result<JournalEntry, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let entry = self.read().transpose();
        self.has_ended = !matches!(entry, Some(Ok(_)));
        entry
    }
}
