//! Finding the bytes with which records and wrapped keys begin, at any offset of a file.

use std::fs::File;
use std::io;

use crate::log::durable::read_up_to;
use crate::log::record;
use crate::log::segment::as_u64;
use crate::log::vault::SLOT_MAGIC;

const WINDOW_BYTES: usize = 1024 * 1024;

/// What begins somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Magic {
    Record,
    WrappedKey,
}

impl Magic {
    const ALL: [Self; 2] = [Self::Record, Self::WrappedKey];

    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Record => &record::MAGIC,
            Self::WrappedKey => &SLOT_MAGIC,
        }
    }

    /// Returns what begins with `bytes`.
    fn at(bytes: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|magic| bytes.starts_with(magic.bytes()))
    }
}

/// Calls `found` for every place at which something may begin. `advance` is told how many bytes were looked at.
pub(super) fn each_magic(
    file: &File,
    advance: &mut impl FnMut(u64),
    mut found: impl FnMut(Magic, u64) -> io::Result<()>,
) -> io::Result<()> {
    const LAP: usize = SLOT_MAGIC.len() - 1;
    let mut window = vec![0; WINDOW_BYTES + LAP];
    let mut start = 0;
    loop {
        // The windows lap over, so that what begins in one is whole there.
        let filled = read_up_to(file, &mut window, start)?;
        let bytes = window.get(..filled).unwrap_or_default();
        let fresh = filled.min(WINDOW_BYTES);
        let mut from = 0;
        while let Some(place) = first_letter(bytes.get(from..fresh).unwrap_or_default()) {
            let place = from + place;
            if let Some(magic) = Magic::at(bytes.get(place..).unwrap_or_default()) {
                found(magic, start + as_u64(place))?;
            }
            from = place + 1;
        }
        advance(as_u64(fresh));
        if filled <= WINDOW_BYTES {
            return Ok(());
        }
        start += as_u64(WINDOW_BYTES);
    }
}

/// Both begin with the same letter, which is found much faster than either.
fn first_letter(bytes: &[u8]) -> Option<usize> {
    const LETTER: u8 = record::MAGIC[0];
    const { assert!(LETTER == SLOT_MAGIC[0]) };
    bytes.iter().position(|byte| *byte == LETTER)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;

    #[test]
    fn what_begins_anywhere_is_found_once() {
        let edge = as_u64(WINDOW_BYTES);
        let places = [
            0,
            5,
            edge - 9,
            edge - 1,
            edge + 7,
            2 * edge - 4,
            2 * edge + 100,
        ];
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 * edge).unwrap();
        for (index, place) in places.iter().enumerate() {
            file.write_all_at(Magic::ALL[index % 2].bytes(), *place)
                .unwrap();
        }
        let (mut found, mut looked_at) = (Vec::new(), 0);

        each_magic(&file, &mut |bytes| looked_at += bytes, |magic, place| {
            found.push((magic, place));
            Ok(())
        })
        .unwrap();

        let expected = (0..)
            .zip(places)
            .map(|(index, place)| (Magic::ALL[index % 2], place));
        assert_eq!(found, expected.collect::<Vec<_>>());
        assert_eq!(looked_at, 3 * edge);
    }
}
