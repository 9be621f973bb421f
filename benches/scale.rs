//! How everything grows from ten thousand to ten million events: `cargo bench --bench scale`, or with the lengths as arguments;
//! with `--into DIR` the table and a plot of each column are written there, as they stand in docs/performance/.
//!
//! One log grows from length to length through its own front door, signed events of the scenarios. At each length the real
//! binary serves it, with default settings. The longest takes some 30 GB below the directory that `TMPDIR` names.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

#[path = "scale/growth.rs"]
mod growth;
mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use avow::cli::simulation::dice::Dice;
use growth::Point;
use support::deliveries::{Newcomers, get};
use support::load::send;
use support::made_log::{self, Crowd};
use support::median;
use support::open_loop::{Asked, offer};
use support::process::Process;
use tempfile::TempDir;

const LENGTHS: [u64; 6] = [10_000, 100_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000];
const STARTS: usize = 3;
const CONNECTIONS: usize = 64;
/// Of a slice.
const DELIVERIES: u64 = 10_000;
const SLICES: usize = 5;
/// Users that are asked for, one after the other, over one connection.
const USERS: u64 = 2_000;
/// Of a load that a kill interrupts.
const OFFERED_PER_SECOND: f64 = 5_000.0;
const KILLED_AFTER: Duration = Duration::from_secs(2);
const CATCHES_UP: Duration = Duration::from_mins(10);
/// What the system counts blocks in.
const BLOCK_BYTES: u64 = 512;
const LOOKS_EACH: Duration = Duration::from_millis(1);

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let (mut lengths, mut into) = (Vec::new(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--into" => into = arguments.next().map(PathBuf::from),
            length => lengths.push(length.parse().expect("a length is a number")),
        }
    }
    if lengths.is_empty() {
        lengths = LENGTHS.to_vec();
    }
    let mut made = Made {
        directory: tempfile::tempdir().unwrap(),
        entries: 0,
        crowds: Vec::new(),
        newcomers: Newcomers::default(),
        newcomers_recorded: 0,
    };
    println!("{}", growth::head());
    let mut points = Vec::new();
    for length in lengths {
        let point = measure(&mut made, length);
        println!("{}", point.row());
        points.push(point);
    }
    if let Some(into) = into {
        growth::write(&into, &points);
    }
}

/// The log that grows.
struct Made {
    directory: TempDir,
    entries: u64,
    crowds: Vec<Crowd>,
    newcomers: Newcomers,
    /// Those who were not lost in a kill.
    newcomers_recorded: u64,
}

impl Made {
    /// Returns requests for users anywhere in the log; another seed gives others.
    fn asked(&self, seed: u64) -> Vec<Vec<u8>> {
        let mut dice = Dice::new(seed);
        let crowds = u64::try_from(self.crowds.len()).unwrap();
        let requests = (0..USERS).map(|_| {
            let crowd = usize::try_from(dice.roll(crowds)).unwrap();
            get(&self.crowds[crowd].path(dice.roll(u64::MAX)))
        });
        requests.collect()
    }

    fn sessions(&self) -> u64 {
        let of_each = self.crowds.first().map_or(0, Crowd::sessions);
        let crowds = u64::try_from(self.crowds.len()).unwrap();
        crowds * of_each + self.newcomers_recorded
    }
}

/// Lets the log grow to that length, and measures.
fn measure(made: &mut Made, length: u64) -> Point {
    let directory = made.directory.path();
    let start = Instant::now();
    made.crowds.extend(made_log::make(directory, length));
    let growth = start.elapsed();
    // Folds what came meanwhile: everything, the first time.
    let (avow, _) = serve(directory);
    let made_of_crowds = avow.entries();
    avow.stop();

    let (starts, stops): (Vec<_>, Vec<_>) = (0..STARTS).map(|_| start_and_stop(directory)).unzip();
    drop_caches();
    let (avow, cold_start) = serve(directory);
    let cold = send(avow.address, 1, made.asked(1));
    send(avow.address, 1, made.asked(2));
    let warm = send(avow.address, 1, made.asked(2));
    let ingested = ingest(&avow, length, &made.newcomers);
    let resident = avow.resident_kib();
    let entries = avow.entries();
    made.newcomers_recorded += entries - made_of_crowds;
    let sessions = made.sessions();
    avow.stop();
    let part = |name: &str| to_float(bytes(&directory.join(name))) / to_float(entries);
    let (log, projections) = (part("log"), part("projections"));
    let rebuild = rebuild(directory);
    let (recovery, recovered) = kill_under_load(directory, &made.newcomers);
    let appended = made_of_crowds - made.entries;
    made.newcomers_recorded += recovered - entries;
    made.entries = recovered;
    Point {
        entries,
        sessions,
        appended_per_second: to_float(appended) / growth.as_secs_f64(),
        ingested_per_second: ingested,
        start_ms: median(starts),
        stop_ms: median(stops),
        cold_start_ms: milliseconds(cold_start),
        recovery_ms: milliseconds(recovery),
        rebuilt_per_second: to_float(entries) / rebuild.as_secs_f64(),
        resident_mib: to_float(resident) / 1024.0,
        log_bytes: log,
        projections_bytes: projections,
        warm_p50_ms: milliseconds(warm.p50),
        warm_p99_ms: milliseconds(warm.p99),
        cold_p50_ms: milliseconds(cold.p50),
        cold_p99_ms: milliseconds(cold.p99),
    }
}

fn start_and_stop(directory: &Path) -> (f64, f64) {
    let (avow, started) = serve(directory);
    let stop = Instant::now();
    avow.stop();
    (milliseconds(started), milliseconds(stop.elapsed()))
}

/// Delivers new events, at most a tenth of what is there, and returns how many a second.
fn ingest(avow: &Process, length: u64, newcomers: &Newcomers) -> f64 {
    let count = DELIVERIES.min(length / 50);
    let slices = (0..SLICES).map(|_| {
        let deliveries = (0..count).map(|_| newcomers.next()).collect();
        send(avow.address, CONNECTIONS, deliveries).per_second
    });
    median(slices.collect())
}

/// Starts the binary, and returns how long it takes until it is ready: everything folded, everything answered.
fn serve(directory: &Path) -> (Process, Duration) {
    let start = Instant::now();
    let avow = Process::serve(directory, &[]);
    while !avow.is_ready() {
        assert!(start.elapsed() < CATCHES_UP, "it does not become ready");
        thread::sleep(LOOKS_EACH);
    }
    (avow, start.elapsed())
}

/// Kills the process while it is delivered to, and returns how long it takes until it is ready again, and what it has then.
fn kill_under_load(directory: &Path, newcomers: &Newcomers) -> (Duration, u64) {
    let (avow, _) = serve(directory);
    let address = avow.address;
    thread::scope(|scope| {
        let offered = scope.spawn(|| {
            let load = (OFFERED_PER_SECOND, KILLED_AFTER + KILLED_AFTER / 10);
            offer(address, CONNECTIONS, load, || {
                Asked::delivery(newcomers.next())
            })
        });
        thread::sleep(KILLED_AFTER);
        drop(avow);
        let broken = offered.join().unwrap().broken;
        assert!(broken > 0, "nobody waited for an answer");
    });
    let (avow, recovery) = serve(directory);
    let entries = avow.entries();
    avow.stop();
    (recovery, entries)
}

/// Folds the whole log anew, by the command.
fn rebuild(directory: &Path) -> Duration {
    let start = Instant::now();
    let rebuilt = Command::new(env!("CARGO_BIN_EXE_avow"))
        .args(["rebuild", "--data-dir"])
        .arg(directory)
        .env_clear()
        .env("AVOW_MASTER_KEY", support::server::MASTER_KEY)
        .env("AVOW_WEBHOOK_SECRETS", support::server::SECRET)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(rebuilt.unwrap().success());
    start.elapsed()
}

/// Has the system forget what it has read, which root alone can do: without it nothing is cold, and that is said.
fn drop_caches() {
    assert!(Command::new("sync").status().unwrap().success());
    if fs::write("/proc/sys/vm/drop_caches", "3").is_err() {
        println!("not cold: only root can have the system forget what it has read");
    }
}

/// Returns the bytes on the disk below a directory.
fn bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            if entry.file_type().unwrap().is_dir() {
                return bytes(&entry.path());
            }
            entry.metadata().unwrap().blocks() * BLOCK_BYTES
        })
        .sum()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn to_float(number: u64) -> f64 {
    let [high, low] = [number >> 32, number & u64::from(u32::MAX)];
    let half = |half: u64| f64::from(u32::try_from(half).unwrap());
    half(high).mul_add(4_294_967_296.0, half(low))
}
