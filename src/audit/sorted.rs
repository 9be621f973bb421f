//! Rows in order, however many: sorted in memory as long as they fit, else in a temporary file that is merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

/// How many rows are kept in memory.
const ROWS_MAX: usize = 1 << 19;

/// Rows that are to be sorted by their bytes.
pub(super) struct Sorter<const N: usize> {
    rows: Vec<[u8; N]>,
    rows_max: usize,
    runs: Vec<File>,
}

impl<const N: usize> Sorter<N> {
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            rows_max: ROWS_MAX,
            runs: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, row: [u8; N]) -> io::Result<()> {
        if self.rows.len() == self.rows_max {
            self.spill()?;
        }
        self.rows.push(row);
        Ok(())
    }

    /// Returns the rows in order.
    pub(super) fn into_sorted(mut self) -> io::Result<Sorted<N>> {
        self.rows.sort_unstable();
        let mut sorted = Sorted {
            runs: vec![Run::Memory(self.rows.into_iter())],
            next: BinaryHeap::new(),
        };
        for mut run in self.runs {
            run.rewind()?;
            sorted.runs.push(Run::File(BufReader::new(run)));
        }
        for index in 0..sorted.runs.len() {
            sorted.refill(index)?;
        }
        Ok(sorted)
    }

    fn spill(&mut self) -> io::Result<()> {
        self.rows.sort_unstable();
        let mut run = BufWriter::new(tempfile::tempfile()?);
        for row in self.rows.drain(..) {
            run.write_all(&row)?;
        }
        self.runs.push(run.into_inner()?);
        Ok(())
    }
}

/// The rows of a [`Sorter`], in order.
pub(super) struct Sorted<const N: usize> {
    runs: Vec<Run<N>>,
    /// The first row of each run that has any left.
    next: BinaryHeap<Reverse<([u8; N], usize)>>,
}

enum Run<const N: usize> {
    Memory(std::vec::IntoIter<[u8; N]>),
    File(BufReader<File>),
}

impl<const N: usize> Sorted<N> {
    fn refill(&mut self, index: usize) -> io::Result<()> {
        let row = match self.runs.get_mut(index) {
            None => None,
            Some(Run::Memory(rows)) => rows.next(),
            Some(Run::File(rows)) => {
                let mut row = [0; N];
                match rows.read_exact(&mut row) {
                    Ok(()) => Some(row),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
                    Err(error) => return Err(error),
                }
            }
        };
        self.next.extend(row.map(|row| Reverse((row, index))));
        Ok(())
    }
}

impl<const N: usize> Iterator for Sorted<N> {
    type Item = io::Result<[u8; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((row, index)) = self.next.pop()?;
        Some(self.refill(index).map(|()| row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_order_however_few_fit_in_memory() {
        let rows: Vec<[u8; 2]> = (0..1000_u32)
            .map(|number| {
                let [.., high, low] = (number * 7919 % 1000).to_be_bytes();
                [high, low]
            })
            .collect();
        let mut expected = rows.clone();
        expected.sort_unstable();

        for rows_max in [1, 7, 100, 1000, 5000] {
            let mut sorter = Sorter {
                rows_max,
                ..Sorter::new()
            };
            for row in &rows {
                sorter.push(*row).unwrap();
            }
            let in_order: Vec<[u8; 2]> =
                sorter.into_sorted().unwrap().map(Result::unwrap).collect();

            assert_eq!(in_order, expected, "{rows_max} rows in memory");
        }
    }
}
