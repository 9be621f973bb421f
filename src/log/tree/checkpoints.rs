//! The checkpoints: every one that was ever signed, in a file of their own, appended and synced before anybody sees one.
//!
//! A record: `length u32, CRC32C u32, note`. A torn end was never seen by anybody, and is cut.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::checkpoint_reader::{CheckpointReader, Stretch};
use crate::log::binary::Fields;
use crate::log::durable::sync_directory;
use crate::transparency::note::Note;

const FRAME_BYTES: usize = 8;
/// A longer note is none of ours.
const NOTE_BYTES_MAX: usize = 8 * 1024;
/// The longest record.
pub(super) const RECORD_BYTES_MAX: usize = FRAME_BYTES + NOTE_BYTES_MAX;
/// More than two of the longest records, so that the last whole one lies in it, whatever is torn.
const TAIL_BYTES: u64 = 32 * 1024;

/// The open file. One thread appends.
pub(super) struct CheckpointFile {
    file: File,
    end: u64,
}

/// A file of checkpoints that was opened.
pub(super) struct Opened {
    pub(super) file: CheckpointFile,
    /// The last checkpoint.
    pub(super) last: Option<Note>,
    /// Where damage lies that later checkpoints follow: it is no torn end, and stays for an auditor to see.
    pub(super) damaged_at: Option<u64>,
}

impl CheckpointFile {
    /// Opens or creates the file, cuts a torn end, and finds the last checkpoint.
    pub(super) fn open(path: &Path) -> io::Result<Opened> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        path.parent().map_or(Ok(()), sync_directory)?;
        let length = file.metadata()?.len();
        let tail_start = length.saturating_sub(TAIL_BYTES);
        let mut found = Found::from(&file, tail_start)?;
        if found.last.is_none() && tail_start > 0 {
            // More than a torn end is damaged: what was signed before still binds the log.
            found = Found::from(&file, 0)?;
        }
        if found.end < length {
            file.set_len(found.end)?;
        }
        // Who wrote last may have been killed before its sync: what is read here is about to be seen.
        file.sync_all()?;
        Ok(Opened {
            file: Self {
                file,
                end: found.end,
            },
            last: found.last,
            damaged_at: found.damaged_at,
        })
    }

    /// Appends a checkpoint, durable when this returns.
    pub(super) fn append(&mut self, note: &Note) -> io::Result<()> {
        let bytes = checkpoint_record(note);
        self.file.write_all_at(&bytes, self.end)?;
        // If we stop here, nobody has seen it, and the next opening cuts it or shows it.
        self.file.sync_data()?;
        self.end += u64::try_from(bytes.len()).unwrap_or(0);
        Ok(())
    }
}

/// Returns the bytes of a checkpoint's record.
pub fn checkpoint_record(note: &Note) -> Vec<u8> {
    let note = note.to_string();
    let mut bytes = Vec::with_capacity(note.len() + FRAME_BYTES);
    bytes.extend_from_slice(&u32::try_from(note.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(note.as_bytes()).to_le_bytes());
    bytes.extend_from_slice(note.as_bytes());
    bytes
}

/// Reads the checkpoints of a file in order; what is damaged is passed over. What cannot be read is the end, and told:
/// fewer checkpoints would look like all of them.
pub fn recorded_checkpoints(
    path: &Path,
) -> io::Result<impl Iterator<Item = io::Result<Note>> + use<>> {
    Ok(notes(File::open(path)?))
}

fn notes(reader: impl Read) -> impl Iterator<Item = io::Result<Note>> {
    let stretches = CheckpointReader::new(reader, 0);
    stretches.filter_map(|stretch| stretch.map(|stretch| stretch.note).transpose())
}

/// What the end of a file of checkpoints holds.
struct Found {
    last: Option<Note>,
    /// Where the last checkpoint ends.
    end: u64,
    damaged_at: Option<u64>,
}

impl Found {
    /// Reads on from `start`, which may lie within a record.
    fn from(mut file: &File, start: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(start))?;
        let mut found = Self {
            last: None,
            end: start,
            damaged_at: None,
        };
        let mut damage = None;
        for stretch in CheckpointReader::new(file, start) {
            let Stretch { bytes, note } = stretch?;
            if note.is_some() {
                (found.last, found.end) = (note, bytes.end);
                found.damaged_at = found.damaged_at.or(damage);
            } else if bytes.start > start || start == 0 {
                damage = Some(bytes.start);
            }
        }
        Ok(found)
    }
}

/// Returns the whole record at the start of `bytes`, and its length.
pub(super) fn record(bytes: &[u8]) -> Option<(Note, usize)> {
    let mut fields = Fields::of(bytes);
    let length = usize::try_from(fields.u32()?).ok()?;
    let checksum = fields.u32()?;
    let note = fields.bytes(Some(length).filter(|length| *length <= NOTE_BYTES_MAX)?)?;
    let is_whole = crc32c::crc32c(note) == checksum;
    let note = is_whole.then(|| Note::parse(note).ok()).flatten()?;
    Some((note, FRAME_BYTES + length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transparency::checkpoint::SignedCheckpoint;
    use crate::transparency::hash::{Hash, TreeHead};
    use crate::transparency::signing_key::SigningKey;

    struct Broken;

    impl Read for Broken {
        fn read(&mut self, _buffer: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is broken"))
        }
    }

    #[test]
    fn checkpoints_that_cannot_be_read_are_an_error_and_not_the_end() {
        let key = SigningKey::new("avow/test".parse().unwrap(), &[7; 32]);
        let head = |size| TreeHead {
            size,
            root: Hash([3; 32]),
        };
        let record = |size| checkpoint_record(SignedCheckpoint::sign(head(size), &key).note());
        let file: Vec<u8> = (0..1_000).flat_map(record).collect();

        let read: Vec<_> = notes(file.chain(Broken)).collect();

        let failed = read.iter().filter(|note| note.is_err()).count();
        assert_eq!(failed, 1);
        assert!(read.last().unwrap().is_err());
        assert!(read.len() > 1);
    }
}
