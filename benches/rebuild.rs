//! A whole log folded into an empty store, for logs of growing length: `cargo bench --bench rebuild`, or with the lengths
//! as arguments. The ceiling is what reading and checksumming the same journal costs one core.
//!
//! The longest log takes some 12 GB below the directory that `TMPDIR` names. With `--keep DIR` the logs stay there, and
//! are found again.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use avow::log::Log;
use avow::projections::bulk::watch::Watch;
use avow::projections::bulk::{self, RUN_BYTES};
use avow::projections::live::Live;
use support::made_log;

const LENGTHS: [u64; 3] = [10_000, 1_000_000, 5_000_000];
const FOLDS: usize = 3;
const CACHE_BYTES: u64 = 64 * 1024 * 1024;
const WINDOW_BYTES: usize = 256 * 1024;

/// The allocator of the `avow` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    println!(
        "{:>9} {:>9} {:>10} {:>8} {:>8} {:>12} {:>9}",
        "entries", "seconds", "events/s", "us CPU", "peak MB", "read+crc/s", "of that"
    );
    made_log::each(&LENGTHS, measure);
}

fn measure(directory: &Path) {
    let log = made_log::open(directory);
    let projections = directory.join("projections");
    let (live, _) = Live::open(&projections, CACHE_BYTES, &log).unwrap();
    let mut rows: Vec<Row> = (0..FOLDS).map(|_| fold(&log, &live)).collect();
    rows.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    let Row {
        seconds,
        cpu_seconds,
        peak_bytes,
    } = rows[FOLDS / 2];
    let entries = f64::from(u32::try_from(log.size()).unwrap());
    let ceiling = entries / read_and_checksum(&directory.join("log/journal"));
    println!(
        "{:>9} {seconds:>9.2} {:>10.0} {:>8.2} {:>8} {ceiling:>12.0} {:>9.2}",
        log.size(),
        entries / seconds,
        cpu_seconds * 1e6 / entries,
        peak_bytes / 1_000_000,
        entries / seconds / ceiling
    );
}

struct Row {
    seconds: f64,
    cpu_seconds: f64,
    peak_bytes: u64,
}

fn fold(log: &Log, live: &Live) -> Row {
    // Begins to look for the peak anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let shadow = live.shadow().unwrap();
    let (start, cpu) = (Instant::now(), cpu_seconds());
    bulk::fold(log, &shadow, &Watch::default(), RUN_BYTES).unwrap();
    Row {
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: cpu_seconds() - cpu,
        peak_bytes: status("VmHWM:") * 1024,
    }
}

/// Returns the seconds that reading and checksumming every byte of the journal takes.
fn read_and_checksum(journal: &Path) -> f64 {
    let start = Instant::now();
    let mut checksum = 0;
    for segment in fs::read_dir(journal).unwrap() {
        let mut file = File::open(segment.unwrap().path()).unwrap();
        let mut window = vec![0; WINDOW_BYTES];
        while let count @ 1.. = file.read(&mut window).unwrap() {
            checksum = crc32c::crc32c_append(checksum, &window[..count]);
        }
    }
    std::hint::black_box(checksum);
    start.elapsed().as_secs_f64()
}

/// Returns what this process has used of all processors.
fn cpu_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields = fields.split_whitespace().skip(11).take(2);
    fields
        .map(|ticks| ticks.parse::<f64>().unwrap())
        .sum::<f64>()
        / 100.0
}

/// Returns a number of `/proc/self/status`.
fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
