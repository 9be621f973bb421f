//! The vault's header: whose it is, and how far its erasures have come. Overwritten in place.
//!
//! Two places take turns, each in a disk block of its own, so that a torn write spoils the newer one only.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::log::binary::{Fields, checked, with_checksum};
use crate::log::durable::read_up_to;

/// Where the first slot begins.
pub(super) const HEADER_BYTES: u64 = 2 * PLACE_SPACING;

const MAGIC: [u8; 8] = *b"AVOWVLT1";
const PLACE_SPACING: u64 = 4096;
const PLACE_BYTES: usize = 8 + 16 + 8 + 8;

/// What the vault says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The log that it belongs to.
    pub(super) log: [u8; 16],
    /// Every erasure that was finished below this sequence number has been carried out on this file.
    pub(super) erased_through: u64,
    writes: u64,
}

impl Header {
    pub(super) fn new(log: [u8; 16], erased_through: u64) -> Self {
        Self {
            log,
            erased_through,
            writes: 0,
        }
    }

    /// Returns the newest header that is whole, if any is.
    pub(super) fn read(file: &File) -> io::Result<Option<Self>> {
        let places = [read_place(file, 0)?, read_place(file, 1)?];
        Ok(places
            .into_iter()
            .flatten()
            .max_by_key(|header| header.writes))
    }

    /// Tells whether both places are whole, of one log, and followed by zeros.
    pub(super) fn is_whole(file: &File) -> io::Result<bool> {
        let mut bytes = vec![0; usize::try_from(HEADER_BYTES).unwrap_or(usize::MAX)];
        let count = read_up_to(file, &mut bytes, 0)?;
        let places = (read_place(file, 0)?, read_place(file, 1)?);
        let (Some(first), Some(second)) = places else {
            return Ok(false);
        };
        let mut written = Vec::with_capacity(bytes.len());
        for header in [first, second] {
            written.extend_from_slice(&header.to_bytes());
            written.resize(written.len().next_multiple_of(bytes.len() / 2), 0);
        }
        Ok(count == bytes.len() && written == bytes && first.log == second.log)
    }

    /// Writes the header of a file that begins: both places.
    pub(super) fn write_first(&mut self, file: &File) -> io::Result<()> {
        self.write(file)?;
        self.write(file)
    }

    /// Writes the header over the older place. If we stop half-way, the newer place still stands.
    pub(super) fn write(&mut self, file: &File) -> io::Result<()> {
        self.writes += 1;
        file.write_all_at(&self.to_bytes(), self.writes % 2 * PLACE_SPACING)
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PLACE_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.log);
        bytes.extend_from_slice(&self.erased_through.to_le_bytes());
        bytes.extend_from_slice(&self.writes.to_le_bytes());
        with_checksum(&bytes)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(bytes.strip_prefix(&MAGIC)?);
        Some(Self {
            log: fields.array()?,
            erased_through: fields.u64()?,
            writes: fields.u64()?,
        })
    }
}

fn read_place(file: &File, place: u64) -> io::Result<Option<Header>> {
    let mut bytes = [0; PLACE_BYTES + 4];
    let count = read_up_to(file, &mut bytes, place * PLACE_SPACING)?;
    Ok(bytes
        .get(..count)
        .and_then(|bytes| checked(bytes, PLACE_BYTES))
        .and_then(Header::parse))
}

#[cfg(test)]
mod tests {
    use tempfile::tempfile;

    use super::*;

    const HEADER: Header = Header {
        log: *b"a log of its own",
        erased_through: 9,
        writes: 3,
    };

    /// Returns a file whose header was written for 7 first, and for 9 then.
    fn written() -> (File, Header) {
        let file = tempfile().unwrap();
        let mut header = Header::new(HEADER.log, 7);
        header.write_first(&file).unwrap();
        header.erased_through = 9;
        header.write(&file).unwrap();
        (file, header)
    }

    #[test]
    fn the_format_of_the_header_stands_for_good() {
        let golden = "d6a27982\
                      41564f57564c5431\
                      61206c6f67206f6620697473206f776e\
                      0900000000000000\
                      0300000000000000";

        assert_eq!(hex::encode(HEADER.to_bytes()), golden);
    }

    #[test]
    fn the_newest_header_is_read() {
        let (file, header) = written();

        assert_eq!(Header::read(&file).unwrap(), Some(header));
        assert_eq!(header, HEADER);
    }

    #[test]
    fn a_torn_write_leaves_the_header_before_it() {
        let next = Header {
            erased_through: 11,
            writes: 4,
            ..HEADER
        };
        let bytes = next.to_bytes();
        for count in 0..bytes.len() {
            let (file, header) = written();

            file.write_all_at(&bytes[..count], 0).unwrap();

            // Its last bytes are zeros: a write without them may be whole all the same.
            let read = Header::read(&file).unwrap().unwrap();
            assert!([header, next].contains(&read), "{count} bytes");
        }
    }

    #[test]
    fn one_damaged_place_is_borne_and_two_are_not() {
        #[rustfmt::skip]
        let rows = [
            (&[0][..],    Some(9)),
            (&[1][..],    Some(7)),
            (&[0, 1][..], None),
        ];
        for (places, erased_through) in rows {
            let (file, _) = written();

            for place in places {
                file.write_all_at(b"damage", place * PLACE_SPACING).unwrap();
            }

            let read = Header::read(&file).unwrap();
            assert_eq!(read.map(|header| header.erased_through), erased_through);
        }
    }
}
