//! What the benchmarks share: a load over real connections, bare actix handlers as the ceiling, and medians.
#![expect(dead_code, reason = "each benchmark uses a part of it")]

use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use load::{Measured, send};

pub(crate) mod deliveries;
pub(crate) mod handler;
pub(crate) mod load;
pub(crate) mod made_log;
pub(crate) mod open_loop;
pub(crate) mod process;
pub(crate) mod server;

/// How many slices of each kind one row has; they take turns, so that both see the same machine.
const SLICES: usize = 11;

/// How many connections the rows have.
pub(crate) const CONNECTIONS: [usize; 3] = [1, 16, 64];

/// Returns a folder on the disk that the build is on: it is a real one, which that of temporary files need not be.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap()
}

/// Returns the median of some measurements.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Measures a ceiling and a subject in turn, `SLICES` times each, and prints a row of medians. The requests of a slice
/// are made anew by `requests`, for no event may be sent twice.
pub(crate) fn row(
    connections: usize,
    ceiling: SocketAddr,
    subject: SocketAddr,
    mut requests: impl FnMut() -> Vec<Vec<u8>>,
) {
    compare(connections, ceiling, subject, |_| requests());
}

/// Which of the two is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Ceiling,
    Subject,
}

/// Measures as [`row`] does, with requests of each side's own.
pub(crate) fn compare(
    connections: usize,
    ceiling: SocketAddr,
    subject: SocketAddr,
    mut requests: impl FnMut(Side) -> Vec<Vec<u8>>,
) {
    let (mut ceilings, mut subjects) = (Vec::new(), Vec::new());
    for _ in 0..SLICES {
        ceilings.push(send(ceiling, connections, requests(Side::Ceiling)));
        subjects.push(send(subject, connections, requests(Side::Subject)));
    }
    let (bare, own) = (Medians::of(&ceilings), Medians::of(&subjects));
    println!(
        "{connections:>11}   {:>8.0}   {:>8.0}   {:>5.2}   {:>8.1}   {:>8.1}   {:>7.2}   {:>7.2}",
        bare.per_second,
        own.per_second,
        own.per_second / bare.per_second,
        bare.cpu,
        own.cpu,
        own.p50,
        own.p99,
    );
}

/// Prints what the columns of [`row`] are.
pub(crate) fn head() {
    println!(
        "connections     bare/s     avow/s   ratio   bare CPU   avow CPU    p50 ms    p99 ms   (CPU in us a request)"
    );
}

struct Medians {
    per_second: f64,
    cpu: f64,
    p50: f64,
    p99: f64,
}

impl Medians {
    fn of(slices: &[Measured]) -> Self {
        let column = |of: fn(&Measured) -> f64| median(slices.iter().map(of).collect());
        Self {
            per_second: column(|slice| slice.per_second),
            cpu: column(|slice| slice.cpu_microseconds),
            p50: column(|slice| slice.p50.as_secs_f64() * 1e3),
            p99: column(|slice| slice.p99.as_secs_f64() * 1e3),
        }
    }
}
