//! Rows on stdout: a few words for people, or a JSON object on each line.

use std::fmt::Display;
use std::io::{self, BufWriter, StdoutLock, Write};

use clap::ValueEnum;
use serde::Serialize;

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Ndjson,
}

/// What is printed.
pub(super) struct Told {
    to: BufWriter<StdoutLock<'static>>,
    format: Format,
    /// How many rows there are.
    pub(super) rows: u64,
}

impl Told {
    /// Begins to print.
    pub(super) fn new(format: Format) -> Self {
        Self {
            to: BufWriter::new(io::stdout().lock()),
            format,
            rows: 0,
        }
    }

    /// Prints a row.
    pub(super) fn row(&mut self, row: &(impl Serialize + Display)) -> io::Result<()> {
        self.rows += 1;
        match self.format {
            Format::Text => write!(self.to, "{row}"),
            Format::Ndjson => {
                serde_json::to_writer(&mut self.to, row)?;
                writeln!(self.to)
            }
        }
    }

    /// Ends, once all of it is written.
    pub(super) fn end(mut self) -> io::Result<()> {
        self.to.flush()
    }
}
