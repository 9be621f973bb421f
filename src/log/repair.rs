//! Writing a stretch of the journal anew: the records that are left of it, and sled's for the rest.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;

use super::durable::create_whole;
use super::identity::Identity;
use super::open_error::{MissingEntries, OpenError};
use super::record::{self, GENESIS, Link, Record};
use super::segment::{self, SegmentHeader, SegmentReader};
use super::store::Store;
use super::survey::Stretch;

/// What a stretch is written anew from.
pub(super) struct Rewriting<'log> {
    pub(super) directory: &'log Path,
    pub(super) identity: Identity,
    pub(super) store: &'log Store,
    /// How many entries the log has: where the last stretch ends.
    pub(super) size: u64,
}

impl Rewriting<'_> {
    /// Writes a stretch as one file; returns what came from sled. The old file stands until the new one is
    /// durable.
    pub(super) fn rewrite(
        &self,
        stretch: &Stretch,
        previous_first: Option<u64>,
    ) -> Result<Vec<Range<u64>>, OpenError> {
        let path = segment::path(self.directory, stretch.first);
        let wanted = stretch.first..stretch.end.unwrap_or(self.size);
        let before = if wanted.is_empty() {
            GENESIS
        } else {
            self.link_before(&path, wanted.start)?
        };
        let header = SegmentHeader {
            identity: self.identity,
            first: stretch.first,
            previous_first: previous_first.unwrap_or(stretch.first),
            before,
        };
        let mut source = Source::of(&path, self.store, Some(before))?;
        create_whole(&path, |file| {
            let mut writer = BufWriter::new(file);
            writer.write_all(&header.to_bytes())?;
            wanted
                .clone()
                .try_for_each(|sequence| writer.write_all(&source.record(sequence)?))?;
            writer.flush()
        })
        .map_err(|error| missing_or_io(error, wanted))?;
        Ok(source.from_store)
    }

    fn link_before(&self, path: &Path, first: u64) -> Result<Link, OpenError> {
        let record = Source::of(path, self.store, None)?.record(first);
        let record = record.map_err(|error| missing_or_io(error, first..first + 1))?;
        Ok(Record::parse(&record).map_or(GENESIS, |record| record.before))
    }
}

fn missing_or_io(error: io::Error, wanted: Range<u64>) -> OpenError {
    if error.kind() == io::ErrorKind::NotFound {
        OpenError::EntriesMissing {
            missing: MissingEntries::from_iter([wanted]),
        }
    } else {
        error.into()
    }
}

/// Where records come from: the old file where it has them, else sled.
struct Source<'store> {
    old: Old,
    store: &'store Store,
    /// The chain's link before the next record, once it is known.
    link: Option<Link>,
    from_store: Vec<Range<u64>>,
}

impl<'store> Source<'store> {
    fn of(path: &Path, store: &'store Store, link: Option<Link>) -> io::Result<Self> {
        Ok(Self {
            old: Old::open(path)?,
            store,
            link,
            from_store: Vec::new(),
        })
    }

    /// Returns a record's bytes with their padding.
    fn record(&mut self, sequence: u64) -> io::Result<Vec<u8>> {
        let old = self
            .old
            .record(sequence)?
            .filter(|bytes| self.follows(bytes));
        let is_old = old.is_some();
        let stored = || self.store.record(sequence).map_err(io::Error::other);
        let found = old
            .map_or_else(stored, |bytes| Ok(Some(bytes)))?
            .filter(|bytes| self.follows(bytes));
        let mut bytes = found.ok_or(io::ErrorKind::NotFound)?;
        if !is_old {
            match self
                .from_store
                .last_mut()
                .filter(|range| range.end == sequence)
            {
                Some(range) => range.end += 1,
                None => self.from_store.push(sequence..sequence + 1),
            }
        }
        self.link = Record::parse(&bytes).map(|record| record.link());
        bytes.resize(record::padded(bytes.len()), 0);
        Ok(bytes)
    }

    fn follows(&self, bytes: &[u8]) -> bool {
        Record::parse(bytes)
            .is_some_and(|record| self.link.is_none_or(|link| link == record.before))
    }
}

/// The records that are left in an old file, in order.
struct Old {
    reader: Option<SegmentReader>,
    ahead: Option<(u64, Vec<u8>)>,
}

impl Old {
    fn open(path: &Path) -> io::Result<Self> {
        match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self {
                reader: None,
                ahead: None,
            }),
            file => Ok(Self {
                reader: Some(SegmentReader::of(file?)),
                ahead: None,
            }),
        }
    }

    fn record(&mut self, sequence: u64) -> io::Result<Option<Vec<u8>>> {
        while self
            .ahead
            .as_ref()
            .is_none_or(|(ahead, _)| *ahead < sequence)
        {
            let Some(reader) = &mut self.reader else {
                return Ok(None);
            };
            match reader.next()? {
                Some(record) => self.ahead = Some((record.sequence, record.bytes.to_vec())),
                None => self.reader = None,
            }
        }
        Ok(self
            .ahead
            .take_if(|(ahead, _)| *ahead == sequence)
            .map(|(_, bytes)| bytes))
    }
}
