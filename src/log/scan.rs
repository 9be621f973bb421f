//! A scan of one journal segment: what its records hold, where acknowledged ones are missing, and where it
//! ends.
//!
//! A damaged record had been acknowledged if a later group was begun, since a group is begun only when the
//! one before it is durable. Otherwise it is the torn end of a group that nobody was told of.

use std::fs::File;
use std::io;
use std::ops::Range;

use super::durable::read_up_to;
use super::record::Link;
use super::segment::{HEADER_BYTES, SegmentReader};

/// What is known of a segment from elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    /// The sequence number of its first record.
    pub(super) first: u64,
    /// The chain's link before that.
    pub(super) before: Option<Link>,
    /// Every entry below this one was acknowledged.
    pub(super) acknowledged_below: u64,
    /// Where the head stands.
    pub(super) head_size: u64,
}

/// What a segment's records say.
pub(super) struct Scan {
    /// Acknowledged entries that are missing or damaged.
    pub(super) holes: Vec<Range<u64>>,
    /// The sequence number behind the last record.
    pub(super) next: u64,
    /// The chain's link before that.
    pub(super) link: Option<Link>,
    /// Where the last record ends.
    pub(super) offset: u64,
    /// The chain's link where the head stands, if that is here.
    pub(super) link_at_head: Option<Link>,
}

impl Scan {
    pub(super) fn of(file: &File, known: &Known) -> io::Result<Self> {
        let mut acknowledged_below = known.acknowledged_below;
        let mut scan = Self {
            holes: Vec::new(),
            next: known.first,
            link: known.before,
            offset: HEADER_BYTES,
            link_at_head: None,
        };
        scan.note_head(known.head_size);
        let mut reader = SegmentReader::of(file.try_clone()?);
        while let Some(record) = reader.next()? {
            let (sequence, before, link) = (record.sequence, record.before, record.link());
            acknowledged_below = acknowledged_below.max(record.group_first);
            let follows = sequence == scan.next && scan.link.is_none_or(|link| link == before);
            if !follows {
                if sequence <= scan.next {
                    continue; // no part of this chain: what belongs here is missing
                }
                if scan.next >= acknowledged_below {
                    // Only here do the groups behind have a say: a whole segment is read once.
                    acknowledged_below = last_group_first(file)?.max(acknowledged_below);
                }
                if scan.next >= acknowledged_below {
                    break; // torn while it was written
                }
                scan.holes.push(scan.next..sequence);
            }
            scan.next = sequence + 1;
            scan.link = Some(link);
            scan.offset = reader.offset();
            scan.note_head(known.head_size);
        }
        if scan.next < acknowledged_below {
            scan.holes.push(scan.next..acknowledged_below);
        }
        Ok(scan)
    }

    fn note_head(&mut self, head_size: u64) {
        if self.next == head_size {
            self.link_at_head = self.link;
        }
    }

    /// Tells whether anything but zeros lies behind the last record.
    pub(super) fn is_torn(&self, file: &File) -> io::Result<bool> {
        let zeros = vec![0; 256 * 1024];
        let mut bytes = zeros.clone();
        let mut offset = self.offset;
        loop {
            let count = read_up_to(file, &mut bytes, offset)?;
            if count == 0 || bytes.get(..count) != zeros.get(..count) {
                return Ok(count > 0);
            }
            offset += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }
}

fn last_group_first(file: &File) -> io::Result<u64> {
    let mut reader = SegmentReader::of(file.try_clone()?);
    let mut last = 0;
    while let Some(record) = reader.next()? {
        last = last.max(record.group_first);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use state_machine::id::SequenceNumber;

    use super::super::record::{GENESIS, put_record};
    use super::*;
    use crate::transparency::hash::leaf_hash;

    const FIRST: u64 = 7;

    fn as_u64(count: usize) -> u64 {
        u64::try_from(count).unwrap()
    }

    /// The bytes of commit groups of these sizes, and where each begins.
    fn groups(sizes: &[u64]) -> (Vec<u8>, Vec<u64>) {
        let (mut bytes, mut starts, mut link, mut sequence) =
            (Vec::new(), Vec::new(), GENESIS, FIRST);
        for size in sizes {
            let group_first = sequence;
            for _ in 0..*size {
                starts.push(HEADER_BYTES + as_u64(bytes.len()));
                let leaf = sequence.to_le_bytes();
                let places = (SequenceNumber(sequence), SequenceNumber(group_first));
                put_record(&mut bytes, places, &link, (&leaf, b"a sealed payload ..."));
                link = super::super::record::link(&link, &leaf_hash(&leaf));
                sequence += 1;
            }
        }
        (bytes, starts)
    }

    fn scan(bytes: &[u8]) -> Scan {
        let file = tempfile::tempfile().unwrap();
        file.set_len(16 * 1024).unwrap();
        file.write_all_at(bytes, HEADER_BYTES).unwrap();
        let known = Known {
            first: FIRST,
            before: Some(GENESIS),
            acknowledged_below: FIRST,
            head_size: 0,
        };
        Scan::of(&file, &known).unwrap()
    }

    #[test]
    fn a_last_group_torn_at_any_byte_ends_before_the_torn_record() {
        let (bytes, starts) = groups(&[2, 3]);
        for kept in (starts[2]..HEADER_BYTES + as_u64(bytes.len())).map(|end| end - HEADER_BYTES) {
            let torn = starts
                .iter()
                .rfind(|start| **start <= HEADER_BYTES + kept)
                .unwrap();

            let scan = scan(&bytes[..usize::try_from(kept).unwrap()]);

            assert_eq!(
                (scan.offset, scan.holes.len()),
                (*torn, 0),
                "{kept} bytes kept"
            );
        }
    }

    #[test]
    fn a_bit_flipped_anywhere_before_the_last_group_is_a_hole() {
        let (bytes, starts) = groups(&[2, 3, 1]);
        for place in 0..starts[5] - HEADER_BYTES {
            let mut bytes = bytes.clone();
            bytes[usize::try_from(place).unwrap()] ^= 0x10;
            let damaged = starts
                .iter()
                .rposition(|start| *start <= HEADER_BYTES + place)
                .unwrap();
            let damaged = FIRST + as_u64(damaged);

            let scan = scan(&bytes);

            assert_eq!(
                (scan.holes.len(), scan.holes[0].clone()),
                (1, damaged..damaged + 1),
                "{place}"
            );
            assert_eq!(scan.next, FIRST + 6);
        }
    }
}
