//! Sorting more than fits into memory: runs of what does, sorted and written to files without a name, then merged.
//!
//! Equal keys keep the order in which they were pushed. What fits into one run never touches the disk.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use super::packed::{self, Packed};

/// How much is read of a run at once.
const READ_BYTES: usize = 128 * 1024;
/// What a key costs in memory beside its bytes and its value's.
const PLACE_BYTES: usize = size_of::<Place>();
/// Which part of the memory places take, about: they are as long as a short key with its value.
const PLACES_PART: usize = 4;

/// Takes keys and values in any order.
pub(super) struct Sorter {
    directory: PathBuf,
    run_bytes_max: usize,
    filling: Run,
    /// A full run, on its way to the disk while the next one fills.
    writing: Option<JoinHandle<io::Result<Written>>>,
    runs: Vec<File>,
}

/// Where a key stands, and as much of it as mostly tells it from others: comparing that alone needs no look at the key.
pub(super) struct Place {
    prefix: u128,
    at: usize,
}

impl Sorter {
    /// Returns an empty one, which holds no more in memory than so many bytes, and writes runs to a directory.
    pub(super) fn new(directory: PathBuf, bytes_max: usize) -> Self {
        let run_bytes_max = bytes_max / 2;
        Self {
            directory,
            run_bytes_max,
            filling: Run::with_capacity(run_bytes_max),
            writing: None,
            runs: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.filling.push(key, value);
        if self.filling.byte_count() >= self.run_bytes_max {
            self.write_run()?;
        }
        Ok(())
    }

    pub(super) fn push_all(&mut self, packed: &Packed) -> io::Result<()> {
        packed
            .iter()
            .try_for_each(|(key, value)| self.push(key, value))
    }

    /// Has the run written by a thread of its own, once the one before is.
    fn write_run(&mut self) -> io::Result<()> {
        let empty = self.written()?;
        let empty = empty.unwrap_or_else(|| Run::with_capacity(self.run_bytes_max));
        let full = std::mem::replace(&mut self.filling, empty);
        let directory = self.directory.clone();
        let thread = thread::Builder::new().name("fold-sorter".to_owned());
        self.writing = Some(thread.spawn(move || full.write(&directory))?);
        Ok(())
    }

    /// Waits for the run that is being written, and returns its memory.
    fn written(&mut self) -> io::Result<Option<Run>> {
        let Some(writing) = self.writing.take() else {
            return Ok(None);
        };
        let ended = |_| io::Error::other("the thread that sorts has ended early");
        let Written { file, run } = writing.join().map_err(ended)??;
        self.runs.push(file);
        Ok(Some(run))
    }

    /// Returns all of it in order.
    pub(super) fn sorted(mut self) -> io::Result<Sorted> {
        drop(self.written()?);
        if self.runs.is_empty() {
            self.filling.sort();
            return Ok(Sorted::InMemory {
                packed: self.filling.packed,
                places: self.filling.places.into_iter(),
            });
        }
        if !self.filling.places.is_empty() {
            self.write_run()?;
            drop(self.written()?);
        }
        // From here on the runs need the memory.
        drop(self.filling);
        let mut heads = BinaryHeap::with_capacity(self.runs.len());
        for (run, file) in self.runs.into_iter().enumerate() {
            let mut head = Head::of(run, file);
            if head.advance()? {
                heads.push(head);
            }
        }
        Ok(Sorted::Merged {
            heads,
            is_begun: false,
        })
    }
}

/// What is sorted at once.
struct Run {
    packed: Packed,
    places: Vec<Place>,
}

/// A run in its file, and the memory that it had, empty.
struct Written {
    file: File,
    run: Run,
}

impl Run {
    fn with_capacity(byte_count: usize) -> Self {
        // Reserved at once, since what grows is copied; the system gives it only where it is written.
        let places_max = byte_count / PLACES_PART / PLACE_BYTES;
        Self {
            packed: Packed::with_capacity(byte_count),
            places: Vec::with_capacity(places_max),
        }
    }

    fn push(&mut self, key: &[u8], value: &[u8]) {
        let at = self.packed.push(key, value);
        let prefix = prefix(key);
        self.places.push(Place { prefix, at });
    }

    fn byte_count(&self) -> usize {
        self.packed.byte_count() + self.places.len() * PLACE_BYTES
    }

    fn sort(&mut self) {
        let Self { packed, places } = self;
        let key = |place: &Place| packed.at(place.at).map(|(key, _, _)| key);
        places.sort_unstable_by(|one, other| {
            (one.prefix.cmp(&other.prefix))
                .then_with(|| key(one).cmp(&key(other)))
                .then_with(|| one.at.cmp(&other.at))
        });
    }

    fn write(mut self, directory: &Path) -> io::Result<Written> {
        self.sort();
        // Without a name: whenever we stop, nothing is left.
        let file = tempfile::tempfile_in(directory)?;
        let mut writer = BufWriter::with_capacity(READ_BYTES, file);
        for place in self.places.drain(..) {
            writer.write_all(self.packed.packed_at(place.at))?;
        }
        let mut file = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.packed.clear();
        Ok(Written { file, run: self })
    }
}

/// Returns the first bytes of a key as a number of the same order.
fn prefix(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(key) {
        *to = *from;
    }
    u128::from_be_bytes(bytes)
}

/// Keys and values in order.
pub(super) enum Sorted {
    InMemory {
        packed: Packed,
        places: std::vec::IntoIter<Place>,
    },
    Merged {
        heads: BinaryHeap<Head>,
        /// Whether the first head has been returned, and is to be gone on from.
        is_begun: bool,
    },
}

impl Sorted {
    /// Returns the next key and its value.
    pub(super) fn next(&mut self) -> io::Result<Option<(&[u8], &[u8])>> {
        match self {
            Self::InMemory { packed, places } => {
                let place = places.next();
                let record = place.and_then(|place| packed.at(place.at));
                Ok(record.map(|(key, value, _)| (key, value)))
            }
            Self::Merged { heads, is_begun } => {
                if std::mem::replace(is_begun, true)
                    && let Some(mut head) = heads.peek_mut()
                    && !head.advance()?
                {
                    PeekMut::pop(head);
                }
                Ok(heads.peek().map(Head::record))
            }
        }
    }
}

/// What comes next in a run.
pub(super) struct Head {
    run: usize,
    reader: BufReader<File>,
    prefix: u128,
    record: Vec<u8>,
    key_bytes: usize,
}

impl Head {
    fn of(run: usize, file: File) -> Self {
        Self {
            run,
            reader: BufReader::with_capacity(READ_BYTES, file),
            prefix: 0,
            record: Vec::new(),
            key_bytes: 0,
        }
    }

    /// Goes on to the next record; returns whether there is one.
    fn advance(&mut self) -> io::Result<bool> {
        let mut head = [0; packed::lengths_bytes()];
        match self.reader.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            other => other?,
        }
        let (key_bytes, value_bytes) = packed::lengths(&head).unwrap_or_default();
        self.key_bytes = key_bytes;
        self.record.resize(key_bytes + value_bytes, 0);
        self.reader.read_exact(&mut self.record)?;
        self.prefix = prefix(self.record().0);
        Ok(true)
    }

    fn record(&self) -> (&[u8], &[u8]) {
        self.record
            .split_at_checked(self.key_bytes)
            .unwrap_or_default()
    }
}

/// The greatest is the one to be returned next: the least key, of the earliest run.
impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.prefix.cmp(&self.prefix))
            .then_with(|| other.record().0.cmp(self.record().0))
            .then_with(|| other.run.cmp(&self.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(mut sorted: Sorted) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all = Vec::new();
        while let Some((key, value)) = sorted.next().unwrap() {
            all.push((key.to_vec(), value.to_vec()));
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_sorted_in_runs_of_any_size_is_what_a_stable_sort_returns(
            keys in prop::collection::vec(prop::collection::vec(0_u8..3, 0..20), 0..60),
            run_bytes_max in 1_usize..2_000,
        ) {
            let directory = tempfile::tempdir().unwrap();
            let mut expected: Vec<_> = (0_u8..).zip(&keys).map(|(value, key)| (key.clone(), vec![value])).collect();
            let mut sorter = Sorter::new(directory.path().to_owned(), run_bytes_max);
            for (key, value) in &expected {
                sorter.push(key, value).unwrap();
            }

            let sorted = all(sorter.sorted().unwrap());

            expected.sort_by(|one, other| one.0.cmp(&other.0));
            prop_assert_eq!(sorted, expected);
            prop_assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}
