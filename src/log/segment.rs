//! One file of the journal: a header, records at multiples of eight bytes, and preallocated zeros behind
//! them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::binary::{Fields, checked, with_checksum};
use super::durable::read_up_to;
use super::identity::{self, Identity};
use super::record::{self, ALIGNMENT, Clear, Link, MAGIC as RECORD_MAGIC, Record};

const MAGIC: [u8; 8] = *b"AVOWSEG1";
const CHECKED_BYTES: usize = 8 + identity::BYTES + 8 + 8 + 32;
/// Where the first record begins.
pub(super) const HEADER_BYTES: u64 = 128;
const WINDOW_BYTES: usize = 256 * 1024;
/// How near to a record it is sought, before records are read one by one.
const SEEK_BYTES: usize = 16 * 1024;

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The log that it belongs to.
    pub(super) identity: Identity,
    /// The sequence number of its first record.
    pub(super) first: u64,
    /// The first sequence number of the segment before it, so that a missing file is noticed; its own, if it
    /// is the first.
    pub(super) previous_first: u64,
    /// The chain's link before its first record.
    pub(super) before: Link,
}

impl SegmentHeader {
    /// Returns the header's bytes; records follow them.
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CHECKED_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.identity.to_bytes());
        bytes.extend_from_slice(&self.first.to_le_bytes());
        bytes.extend_from_slice(&self.previous_first.to_le_bytes());
        bytes.extend_from_slice(&self.before);
        let mut bytes = with_checksum(&bytes);
        bytes.resize(usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX), 0);
        bytes
    }

    /// Reads a segment's header; `None` if it is damaged.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = [0; CHECKED_BYTES + 4];
        let count = read_up_to(file, &mut bytes, 0)?;
        Ok(bytes
            .get(..count)
            .and_then(|bytes| checked(bytes, CHECKED_BYTES))
            .and_then(Self::parse))
    }

    /// Reads a segment's header; `None` if any of its bytes is not what was written.
    pub(super) fn read_strictly(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = vec![0; usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX)];
        let count = read_up_to(file, &mut bytes, 0)?;
        let header = Self::read(file)?;
        Ok(header.filter(|header| count == bytes.len() && header.to_bytes() == bytes))
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(bytes.strip_prefix(&MAGIC)?);
        let identity = Identity::parse(fields.bytes(identity::BYTES)?)?;
        Some(Self {
            identity,
            first: fields.u64()?,
            previous_first: fields.u64()?,
            before: fields.array()?,
        })
    }
}

/// Returns the path of the segment that begins with `first`.
pub(super) fn path(directory: &Path, first: u64) -> PathBuf {
    directory.join(format!("{first:020}.segment"))
}

/// Returns the sequence number that a segment's file name tells.
pub(super) fn first_of(path: &Path) -> Option<u64> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".segment")
        .filter(|digits| digits.len() == 20)?
        .parse()
        .ok()
}

/// What stands at one place of a segment.
pub(super) enum Here<'reader> {
    /// A whole record and zeros up to the next.
    Record(Record<'reader>),
    /// What begins as a record does and is none.
    Damaged,
    /// Anything else: zeros behind the last record, the end of the file, or foreign bytes.
    NoRecord,
}

/// Reads the records of one segment, in the order in which they lie, passing over damaged bytes.
pub(super) struct SegmentReader {
    file: File,
    window: Vec<u8>,
    window_bytes: usize,
    window_start: u64,
    offset: u64,
}

impl SegmentReader {
    pub(super) fn of(file: File) -> Self {
        Self {
            file,
            window: Vec::new(),
            window_bytes: WINDOW_BYTES,
            window_start: 0,
            offset: HEADER_BYTES,
        }
    }

    /// Returns where the next record is looked for: just behind the one returned last.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Places the reader shortly before the record of `sequence`, in a file whose records end at `until`: they lie in
    /// order, so halving finds the place.
    pub(super) fn seek(&mut self, sequence: u64, until: u64) -> io::Result<()> {
        self.window_bytes = SEEK_BYTES;
        let (mut low, mut high) = (HEADER_BYTES, until);
        while high.saturating_sub(low) > as_u64(SEEK_BYTES) {
            let middle = low + (high - low) / 2;
            let middle = middle - middle % as_u64(ALIGNMENT);
            self.offset = middle;
            let is_before = |record: Record<'_>| record.sequence < sequence;
            if self.next()?.is_some_and(is_before) {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.offset = low;
        self.window_bytes = WINDOW_BYTES;
        Ok(())
    }

    /// Returns the next whole record, looking for it as far as the file goes.
    pub(super) fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        loop {
            let Some(start) = self.find_magic()? else {
                return Ok(None);
            };
            let bytes = record::bytes_of(self.window_at(start, record::HEADER_BYTES)?).unwrap_or(0);
            if Record::parse(self.window_at(start, bytes)?).is_some() {
                self.offset = start + as_u64(record::padded(bytes));
                // Parsed again, since a borrow that is returned from a loop outlives each of its turns.
                return Ok(Record::parse(self.window_at(start, bytes)?));
            }
            self.offset = start + as_u64(ALIGNMENT);
        }
    }

    /// Returns what stands just behind the record returned last, without looking any further.
    pub(super) fn here(&mut self) -> io::Result<Here<'_>> {
        let start = self.offset;
        let Some(bytes) = record::bytes_of(self.window_at(start, record::HEADER_BYTES)?) else {
            return Ok(Here::NoRecord);
        };
        let padded = record::padded(bytes);
        let whole = self.window_at(start, padded)?.get(..padded);
        let padding = whole.and_then(|whole| whole.get(bytes..));
        if !padding.is_some_and(|padding| padding.iter().all(|byte| *byte == 0)) {
            return Ok(Here::Damaged);
        }
        if Record::parse(self.window_at(start, padded)?).is_some() {
            self.offset = start + as_u64(padded);
        }
        let record = Record::parse(self.window_at(start, padded)?);
        Ok(record.map_or(Here::Damaged, Here::Record))
    }

    /// Puts the leaf of the record that stands here into `leaf`, without a look at its payload, goes on behind it, and
    /// returns its sequence number; `None`, and stays, if no undamaged record stands here.
    pub(super) fn leaf_here(&mut self, leaf: &mut Vec<u8>) -> io::Result<Option<u64>> {
        let start = self.offset;
        let lengths = Clear::lengths(self.window_at(start, record::HEADER_BYTES)?);
        let Some((clear, whole)) = lengths else {
            return Ok(None);
        };
        let found = Clear::parse(self.window_at(start, clear)?).map(|record| {
            leaf.clear();
            leaf.extend_from_slice(record.leaf);
            record.sequence
        });
        if found.is_some() {
            self.offset = start + as_u64(record::padded(whole));
        }
        Ok(found)
    }

    /// Forgets what was read, so that the next read asks the file again.
    pub(super) fn forget(&mut self) {
        self.window.clear();
    }

    /// Returns where the first byte lies, from here to the end of the file, that is not zero.
    pub(super) fn first_not_zero(&mut self) -> io::Result<Option<u64>> {
        let mut offset = self.offset;
        loop {
            let window = self.window_at(offset, 1)?;
            if window.is_empty() {
                return Ok(None);
            }
            if let Some(index) = window.iter().position(|byte| *byte != 0) {
                return Ok(Some(offset + as_u64(index)));
            }
            offset += as_u64(window.len());
        }
    }

    fn find_magic(&mut self) -> io::Result<Option<u64>> {
        loop {
            let offset = self.offset;
            let window = self.window_at(offset, ALIGNMENT)?;
            if window.is_empty() {
                return Ok(None);
            }
            let found = window
                .chunks(ALIGNMENT)
                .position(|chunk| chunk.starts_with(&RECORD_MAGIC));
            if let Some(chunks) = found {
                return Ok(Some(offset + as_u64(chunks * ALIGNMENT)));
            }
            self.offset = offset + as_u64(record::padded(window.len()));
        }
    }

    /// Returns the bytes from `offset` on: at least `count`, unless the file ends before.
    fn window_at(&mut self, offset: u64, count: usize) -> io::Result<&[u8]> {
        let held = offset
            .checked_sub(self.window_start)
            .and_then(|skipped| usize::try_from(skipped).ok());
        let held = held.filter(|skipped| skipped.saturating_add(count) <= self.window.len());
        if held.is_none() {
            self.load(offset, count.max(self.window_bytes))?;
        }
        let skipped = held.unwrap_or(0);
        Ok(self.window.get(skipped..).unwrap_or_default())
    }

    fn load(&mut self, offset: u64, count: usize) -> io::Result<()> {
        // A damaged length must not make us reserve more than the file holds.
        let left = self.file.metadata()?.len().saturating_sub(offset);
        self.window
            .resize(count.min(usize::try_from(left).unwrap_or(usize::MAX)), 0);
        let filled = read_up_to(&self.file, &mut self.window, offset)?;
        self.window.truncate(filled);
        self.window_start = offset;
        Ok(())
    }
}

/// Writes `bytes` at `offset` and makes them durable, in one write and one sync.
pub(super) fn write_durably(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)?;
    file.sync_data()
}

/// Returns a count of bytes in memory as one in a file.
pub(super) fn as_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
