//! How long a start takes after a clean stop, until everything is answered, for logs of growing length: it is to be
//! independent of that. `cargo bench --bench startup`, or with the lengths as arguments; with `--keep DIR` the logs stay
//! there, and are found again, those of the benchmark `rebuild` too.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use std::path::Path;
use std::time::Instant;

use avow::config::settings::Settings;
use avow::config::sources::Sources;
use avow::log::keys::MasterKey;
use avow::service::Service;
use avow::stripe::secret::Secrets;
use support::made_log;
use support::server::{MASTER_KEY, SECRET};

const LENGTHS: [u64; 3] = [10_000, 1_000_000, 5_000_000];
const STARTS: usize = 9;

/// The allocator of the `avow` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    println!(
        "{:>9} {:>14} {:>10} {:>10} {:>10} {:>10}",
        "entries", "first fold ms", "least ms", "median ms", "most ms", "stop ms"
    );
    made_log::each(&LENGTHS, measure);
}

fn measure(directory: &Path) {
    let (first, _, entries) = start(directory);
    let mut starts = Vec::new();
    let mut stops = Vec::new();
    for _ in 0..STARTS {
        let (start, stop, _) = start(directory);
        starts.push(start);
        stops.push(stop);
    }
    starts.sort_by(f64::total_cmp);
    stops.sort_by(f64::total_cmp);
    println!(
        "{entries:>9} {first:>14.0} {:>10.1} {:>10.1} {:>10.1} {:>10.1}",
        starts[0],
        starts[STARTS / 2],
        starts[STARTS - 1],
        stops[STARTS / 2]
    );
}

/// Starts a service and stops it; returns how long both took, in milliseconds, and how many entries there are.
fn start(directory: &Path) -> (f64, f64, u64) {
    let none = |_: &str| None;
    let sources = Sources {
        file: None,
        environment: &none,
        command_line: &[],
    };
    let options = Settings::load(&sources).unwrap().service_options(
        Secrets::parse(SECRET).unwrap(),
        MasterKey::parse(MASTER_KEY).unwrap(),
        avow::system::fill_random,
        avow::system::now,
    );
    let begun = Instant::now();
    let (service, _) = Service::open(directory, options).unwrap();
    service.wait_until_caught_up();
    let started = begun.elapsed();
    let health = service.health();
    assert_eq!(
        health.projections.cursor.map(|cursor| cursor.0),
        Some(health.log_size)
    );
    let begun = Instant::now();
    drop(service);
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    (
        milliseconds(started),
        milliseconds(begun.elapsed()),
        health.log_size,
    )
}
