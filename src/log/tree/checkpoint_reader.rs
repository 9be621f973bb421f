//! Reads a file of checkpoints record by record, and over what is damaged: a later record is whole all the same.

use std::io::{self, Read};
use std::ops::Range;

use super::checkpoints::{RECORD_BYTES_MAX, record};
use crate::transparency::note::Note;

const WINDOW_BYTES: usize = 64 * 1024;
/// Behind so much damage no record is looked for any more.
const DAMAGE_BYTES_MAX: u64 = 1024 * 1024;

/// A stretch of the file: a whole record, or bytes that are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Where in the file it lies.
    pub bytes: Range<u64>,
    /// The checkpoint; none if the bytes are damaged.
    pub note: Option<Note>,
}

/// The stretches of a file, in order, without gaps.
pub struct CheckpointReader<R> {
    reader: R,
    window: Vec<u8>,
    /// How much of the window was passed.
    passed: usize,
    /// Where in the file we are.
    offset: u64,
    has_ended: bool,
}

impl<R: Read> CheckpointReader<R> {
    /// Reads on from a place of the file.
    pub fn new(reader: R, offset: u64) -> Self {
        Self {
            reader,
            window: Vec::new(),
            passed: 0,
            offset,
            has_ended: false,
        }
    }

    fn read(&mut self) -> io::Result<Option<Stretch>> {
        let start = self.offset;
        loop {
            self.fill()?;
            let bytes = self.window.get(self.passed..).unwrap_or_default();
            let whole = record(bytes);
            let damage = self.offset - start;
            if damage > 0 && (whole.is_some() || bytes.is_empty() || damage > DAMAGE_BYTES_MAX) {
                self.has_ended = damage > DAMAGE_BYTES_MAX;
                let (bytes, note) = (start..self.offset, None);
                return Ok(Some(Stretch { bytes, note }));
            }
            if let Some((note, length)) = whole {
                self.pass(length);
                let (bytes, note) = (start..self.offset, Some(note));
                return Ok(Some(Stretch { bytes, note }));
            }
            if bytes.is_empty() {
                return Ok(None);
            }
            self.pass(1);
        }
    }

    /// Sees to it that a whole record is in the window if one begins here.
    fn fill(&mut self) -> io::Result<()> {
        if self.window.len() - self.passed < RECORD_BYTES_MAX {
            self.window.drain(..self.passed);
            self.passed = 0;
            let limit = u64::try_from(WINDOW_BYTES).unwrap_or(u64::MAX);
            let mut more = self.reader.by_ref().take(limit);
            more.read_to_end(&mut self.window)?;
        }
        Ok(())
    }

    fn pass(&mut self, bytes: usize) {
        self.passed += bytes;
        self.offset += u64::try_from(bytes).unwrap_or(u64::MAX);
    }
}

impl<R: Read> Iterator for CheckpointReader<R> {
    type Item = io::Result<Stretch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        let stretch = self.read().transpose();
        self.has_ended |= !matches!(stretch, Some(Ok(_)));
        stretch
    }
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint_record;
    use super::*;
    use crate::transparency::checkpoint::SignedCheckpoint;
    use crate::transparency::hash::{Hash, TreeHead};
    use crate::transparency::signing_key::SigningKey;

    fn notes(count: u64) -> Vec<Note> {
        let key = SigningKey::new("avow/test".parse().unwrap(), &[7; 32]);
        let sign = |size| {
            let root = Hash([3; 32]);
            let signed = SignedCheckpoint::sign(TreeHead { size, root }, &key);
            signed.note().clone()
        };
        (0..count).map(sign).collect()
    }

    fn read(bytes: &[u8]) -> Vec<Stretch> {
        CheckpointReader::new(bytes, 0)
            .map(Result::unwrap)
            .collect()
    }

    #[test]
    fn whole_records_are_read_to_the_last_however_many() {
        let notes = notes(1_000);
        let file: Vec<u8> = notes.iter().flat_map(checkpoint_record).collect();

        let stretches = read(&file);

        let mut end = 0;
        for stretch in &stretches {
            assert_eq!(stretch.bytes.start, end);
            end = stretch.bytes.end;
        }
        assert_eq!(end, u64::try_from(file.len()).unwrap());
        let read: Vec<Note> = stretches
            .into_iter()
            .filter_map(|stretch| stretch.note)
            .collect();
        assert_eq!(read, notes);
    }

    #[test]
    fn a_flipped_byte_takes_its_own_record_and_no_other() {
        let notes = notes(3);
        let records: Vec<Vec<u8>> = notes.iter().map(checkpoint_record).collect();
        let file = records.concat();
        let middle = records[0].len()..records[0].len() + records[1].len();
        for place in middle.clone() {
            let mut damaged = file.clone();
            damaged[place] ^= 1;

            let stretches = read(&damaged);

            let notes_read: Vec<Option<&Note>> = stretches
                .iter()
                .map(|stretch| stretch.note.as_ref())
                .collect();
            assert_eq!(
                notes_read,
                [Some(&notes[0]), None, Some(&notes[2])],
                "byte {place}"
            );
            let [start, end] = [middle.start, middle.end].map(|at| u64::try_from(at).unwrap());
            assert_eq!(stretches[1].bytes, start..end);
        }
    }

    #[test]
    fn what_is_cut_off_anywhere_is_damage_at_the_end() {
        let notes = notes(2);
        let first = checkpoint_record(&notes[0]);
        let file = [first.clone(), checkpoint_record(&notes[1])].concat();
        for kept in first.len() + 1..file.len() {
            let stretches = read(&file[..kept]);

            assert_eq!(stretches.len(), 2, "{kept} bytes");
            assert_eq!(stretches[1].note, None);
            assert_eq!(stretches[1].bytes.end, u64::try_from(kept).unwrap());
        }
    }

    #[test]
    fn damage_without_end_is_not_searched_to_its_end() {
        let last = checkpoint_record(&notes(1)[0]);
        let megabytes = usize::try_from(2 * DAMAGE_BYTES_MAX).unwrap();
        let file = [vec![0xff; megabytes], last].concat();

        let stretches = read(&file);

        assert_eq!(stretches.len(), 1);
        assert_eq!(stretches[0].bytes, 0..DAMAGE_BYTES_MAX + 1);
    }
}
