//! The checkpoints: every one that was ever signed, in a file of their own, appended and synced before anybody sees one.
//!
//! A record: `length u32, CRC32C u32, note`. A torn end was never seen by anybody, and is cut.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::log::binary::Fields;
use crate::log::durable::{read_up_to, sync_directory};
use crate::transparency::note::Note;

const FRAME_BYTES: usize = 8;
/// A longer note is none of ours.
const NOTE_BYTES_MAX: usize = 8 * 1024;
/// More than two of the longest records, so that the last whole one lies in it, whatever is torn.
const TAIL_BYTES: usize = 32 * 1024;

/// The open file. One thread appends.
pub(super) struct CheckpointFile {
    file: File,
    end: u64,
}

impl CheckpointFile {
    /// Opens or creates the file, cuts a torn end, and returns the last checkpoint.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<Note>)> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        path.parent().map_or(Ok(()), sync_directory)?;
        let length = file.metadata()?.len();
        let tail_start = length.saturating_sub(u64::try_from(TAIL_BYTES).unwrap_or(0));
        let mut tail = vec![0; TAIL_BYTES];
        let count = read_up_to(&file, &mut tail, tail_start)?;
        let tail = tail.get(..count).unwrap_or_default();
        // Records have no fixed length: the first place at which one reads whole is where records begin.
        let begins = |start: &usize| record(tail.get(*start..).unwrap_or_default()).is_some();
        let mut offset = if tail_start == 0 {
            0
        } else {
            (0..count).find(begins).unwrap_or(count)
        };
        let mut last = None;
        while let Some((note, bytes)) = record(tail.get(offset..).unwrap_or_default()) {
            last = Some(note);
            offset += bytes;
        }
        let end = tail_start + u64::try_from(offset).unwrap_or(0);
        if end < length {
            file.set_len(end)?;
        }
        // Who wrote last may have been killed before its sync: what is read here is about to be seen.
        file.sync_all()?;
        Ok((Self { file, end }, last))
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

/// Reads the checkpoints of a file in order, as far as they are whole.
pub fn recorded_checkpoints(path: &Path) -> io::Result<impl Iterator<Item = Note> + use<>> {
    let mut reader = BufReader::new(File::open(path)?);
    Ok(std::iter::from_fn(move || {
        let mut frame = [0; FRAME_BYTES];
        reader.read_exact(&mut frame).ok()?;
        let length = Fields::of(&frame).u32()?;
        let length = usize::try_from(length).ok()?;
        let mut bytes = vec![0; FRAME_BYTES + length.min(NOTE_BYTES_MAX)];
        let (head, note) = bytes.split_at_mut_checked(FRAME_BYTES)?;
        head.copy_from_slice(&frame);
        reader.read_exact(note).ok()?;
        record(&bytes).map(|(note, _)| note)
    }))
}

/// Returns the whole record at the start of `bytes`, and its length.
fn record(bytes: &[u8]) -> Option<(Note, usize)> {
    let mut fields = Fields::of(bytes);
    let length = usize::try_from(fields.u32()?).ok()?;
    let checksum = fields.u32()?;
    let note = fields.bytes(Some(length).filter(|length| *length <= NOTE_BYTES_MAX)?)?;
    let is_whole = crc32c::crc32c(note) == checksum;
    let note = is_whole.then(|| Note::parse(note).ok()).flatten()?;
    Some((note, FRAME_BYTES + length))
}
