//! The journal: the commit point. Segments of records, written in groups by one write and one sync each.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::durable::{create_whole, sync_directory};
use super::identity::Identity;
use super::record::Link;
use super::room::Room;
use super::segment::{self, HEADER_BYTES, SegmentHeader, SegmentReader};

/// The end of the journal: where the next record goes, and what it follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// The next sequence number.
    pub(super) next: u64,
    /// The chain's link before it.
    pub(super) link: Link,
    /// The segment that is written.
    pub(super) segment_first: u64,
    /// Where in the segment.
    pub(super) offset: u64,
}

/// The journal, open for writing. The sequencer alone has it.
pub(super) struct Journal {
    directory: PathBuf,
    identity: Identity,
    segment_bytes: u64,
    room: Room,
    file: File,
    capacity: u64,
    end: End,
}

/// Why a group was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum JournalError {
    /// There was no space to write into, and what was written is taken back: trying again is safe.
    #[error("no space is left for {0} bytes of the journal")]
    NoSpace(u64),
    /// A write or a sync failed: nobody knows what the disk holds.
    #[error("writing the journal: {0}")]
    Io(#[from] io::Error),
}

impl Journal {
    /// Opens the journal at its end, as a survey found it, and cuts off what lies behind if it is torn: the tail of a
    /// group that was never acknowledged. If we stop half-way, the next survey finds the same end.
    pub(super) fn open(
        directory: &Path,
        identity: Identity,
        (segment_bytes, room): (u64, Room),
        (end, is_torn): (End, bool),
    ) -> io::Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .open(segment::path(directory, end.segment_first))?;
        if is_torn {
            file.set_len(end.offset)?;
        }
        // What the survey saw may be in memory alone, of a process that was killed before its sync.
        file.sync_all()?;
        Ok(Self {
            directory: directory.to_owned(),
            identity,
            segment_bytes,
            room,
            capacity: file.metadata()?.len(),
            file,
            end,
        })
    }

    pub(super) fn end(&self) -> &End {
        &self.end
    }

    /// Writes a group of records and makes it durable; the record after it is `next`, and follows `link`.
    pub(super) fn append(
        &mut self,
        group: &[u8],
        next: u64,
        link: Link,
    ) -> Result<(), JournalError> {
        let bytes = segment::as_u64(group.len());
        if self.end.offset.saturating_add(bytes) > self.capacity {
            self.make_room(bytes)?;
        }
        if let Err(error) = self.file.write_all_at(group, self.end.offset) {
            return Err(self.take_back(error, bytes));
        }
        // A sync that fails is another matter: then nobody knows what the disk holds.
        self.file.sync_data()?;
        self.end = End {
            next,
            link,
            offset: self.end.offset + bytes,
            ..self.end
        };
        self.room.prepare(self.end.offset);
        Ok(())
    }

    /// Cuts off what was written of a group before there was no space left. Nothing of it was synced, and nobody was told.
    fn take_back(&mut self, error: io::Error, bytes: u64) -> JournalError {
        if !is_no_space(&error) {
            return error.into();
        }
        // If we stop here, the next survey cuts it off: it is the torn end of a group.
        match self.file.set_len(self.end.offset) {
            Ok(()) => {
                self.capacity = self.end.offset;
                JournalError::NoSpace(bytes)
            }
            Err(error) => error.into(),
        }
    }

    /// Makes room for so many bytes: in a segment without records where it is, else in the next one.
    fn make_room(&mut self, bytes: u64) -> Result<(), JournalError> {
        let whole = self.segment_bytes.max(HEADER_BYTES.saturating_add(bytes));
        let capacity = self
            .room
            .capacity(HEADER_BYTES.saturating_add(bytes), whole);
        if self.end.offset == HEADER_BYTES {
            // Synced with what is written into it.
            if let Err(error) = self.room.fill(&self.file, HEADER_BYTES..capacity) {
                return Err(self.take_back(error, capacity));
            }
            self.capacity = capacity;
            return Ok(());
        }
        self.begin_segment(whole, capacity).map_err(|error| {
            if is_no_space(&error) {
                JournalError::NoSpace(capacity)
            } else {
                JournalError::Io(error)
            }
        })
    }

    /// Begins a segment: the one that was made ahead, if it is there and has `whole` bytes, else one of `capacity`. The
    /// old one ends with an acknowledged group, so the new file's presence proves that the old one was whole.
    fn begin_segment(&mut self, whole: u64, capacity: u64) -> io::Result<()> {
        let header = SegmentHeader {
            identity: self.identity,
            first: self.end.next,
            previous_first: self.end.segment_first,
            before: self.end.link,
        };
        let made_ahead = (whole == self.segment_bytes).then(|| self.room.made_ahead());
        (self.file, self.capacity) = if let Some((file, path)) = made_ahead.flatten() {
            segment::write_durably(&file, &header.to_bytes(), 0)?;
            fs::rename(path, segment::path(&self.directory, header.first))?;
            sync_directory(&self.directory)?;
            (file, whole)
        } else {
            let fill = |file: &File| self.room.fill(file, HEADER_BYTES..capacity);
            (create_segment(&self.directory, &header, fill)?, capacity)
        };
        self.end = End {
            segment_first: header.first,
            offset: HEADER_BYTES,
            ..self.end
        };
        Ok(())
    }
}

/// Says whether space is lacking.
pub(super) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Creates a segment without records, with room behind its header.
pub(super) fn create_segment(
    directory: &Path,
    header: &SegmentHeader,
    make_room: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<File> {
    let path = segment::path(directory, header.first);
    create_whole(&path, |file| {
        make_room(file)?;
        segment::write_durably(file, &header.to_bytes(), 0)?;
        file.try_clone()
    })
}

/// Returns the first sequence numbers of the segments that are there, in order.
pub(super) fn segments(directory: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = fs::read_dir(directory)?
        .map(|file| Ok(segment::first_of(&file?.path())))
        .filter_map(io::Result::transpose)
        .collect::<io::Result<Vec<_>>>()?;
    firsts.sort_unstable();
    Ok(firsts)
}

/// Deletes the segments whose every record is below `size`.
pub(super) fn delete_segments_below(directory: &Path, size: u64) -> io::Result<()> {
    let firsts = segments(directory)?;
    let ends = firsts.iter().skip(1);
    let mut ended = firsts
        .iter()
        .zip(ends)
        .filter(|(_, end)| **end <= size)
        .peekable();
    if ended.peek().is_none() {
        return Ok(());
    }
    // From the oldest on: if we stop in between, what remains is a whole end of the journal.
    ended.try_for_each(|(first, _)| fs::remove_file(segment::path(directory, *first)))?;
    sync_directory(directory)
}

/// Reads the journal's records in order, from any one on.
pub(super) struct JournalReader {
    directory: PathBuf,
    next: u64,
    segment: Option<SegmentReader>,
}

impl JournalReader {
    pub(super) fn from(directory: &Path, first: u64) -> Self {
        Self {
            directory: directory.to_owned(),
            next: first,
            segment: None,
        }
    }

    /// Returns the sequence number that is read next.
    pub(super) fn next_sequence(&self) -> u64 {
        self.next
    }

    /// Returns the next record's bytes; `None` if it is damaged, missing, or not written yet.
    pub(super) fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        for _attempt in 0..2 {
            let mut segment = match self.segment.take() {
                Some(segment) => segment,
                None => match self.segment_of_next()? {
                    Some(segment) => segment,
                    None => return Ok(None),
                },
            };
            while let Some(record) = segment.next()? {
                if record.sequence == self.next {
                    let bytes = record.bytes.to_vec();
                    self.next += 1;
                    self.segment = Some(segment);
                    return Ok(Some(bytes));
                }
                if record.sequence > self.next {
                    return Ok(None);
                }
            }
            // The segment's end: the record may stand in the segment behind it.
        }
        Ok(None)
    }

    fn segment_of_next(&self) -> io::Result<Option<SegmentReader>> {
        let firsts = segments(&self.directory)?;
        let Some(first) = firsts.into_iter().rfind(|first| *first <= self.next) else {
            return Ok(None);
        };
        let file = File::open(segment::path(&self.directory, first))?;
        Ok(Some(SegmentReader::of(file)))
    }
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::super::identity;
    use super::super::record::GENESIS;
    use super::*;

    const SEGMENT_BYTES: u64 = 4 * 1024 * 1024;

    #[test]
    fn a_log_that_grows_goes_on_in_segments_that_were_made_ahead() {
        let directory = tempdir().unwrap();
        let directory = directory.path();
        let identity = Identity::parse(&[7; identity::BYTES]).unwrap();
        let header = SegmentHeader {
            identity,
            first: 0,
            previous_first: 0,
            before: GENESIS,
        };
        create_segment(directory, &header, |_| Ok(())).unwrap();
        let start = End {
            next: 0,
            link: GENESIS,
            segment_first: 0,
            offset: HEADER_BYTES,
        };
        let room = Room::of_zeros(directory, SEGMENT_BYTES).unwrap();
        let room = (SEGMENT_BYTES, room);
        let mut journal = Journal::open(directory, identity, room, (start, false)).unwrap();
        let group = vec![1; 64 * 1024];

        let last = |journal: &Journal| {
            let path = segment::path(directory, journal.end().segment_first);
            fs::metadata(path).unwrap().len()
        };
        let mut next = 0;
        while last(&journal) < SEGMENT_BYTES {
            next += 1;
            assert!(next < 10_000, "none was made ahead");
            journal.append(&group, next, GENESIS).unwrap();
        }

        let written: u64 = (segments(directory).unwrap().into_iter())
            .map(|first| {
                let bytes = fs::read(segment::path(directory, first)).unwrap();
                let records = bytes.get(128..).unwrap();
                records.iter().map(|byte| u64::from(*byte)).sum::<u64>()
            })
            .sum();
        assert_eq!(written, next * segment::as_u64(group.len()));
    }
}
