//! Four times the sustainable rate, open loop, against the real binary: `cargo bench --bench overload`, or with the number of
//! seconds as argument. What is shed, what the process grows by, and that it recovers without a restart.
//!
//! The queue is shorter than there are connections, which it is not by default: so it is the queue that sheds.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::deliveries::Newcomers;
use support::load::send;
use support::open_loop::{Asked, Offered, offer};
use support::process::Process;

const SECONDS: u64 = 60;
const TIMES: f64 = 4.0;
const QUEUE_ENTRIES: usize = 256;
/// Over which the sustainable rate is measured.
const CONNECTIONS: usize = 64;
const REQUESTS: usize = 2_000;
const SLICES: usize = 5;
/// Threads that offer, and the connections of each: all together fewer than `http.connections_max`.
const SENDERS: u32 = 2;
const CONNECTIONS_OF_SENDER: usize = 400;
/// When the process has all its buffers: what it grows by is counted from here.
const WARM_SECONDS: usize = 10;

fn main() {
    let argument = std::env::args()
        .skip(1)
        .find(|argument| argument != "--bench");
    let seconds = argument.map_or(SECONDS, |text| text.parse().expect("the number of seconds"));
    let directory = support::directory();
    let avow = start(directory.path());
    let deliveries = Newcomers::default();

    let sustainable = rate(avow.address, &deliveries);
    println!(
        "sustainable     {sustainable:>9.0} a second, {CONNECTIONS} connections, each as fast as it is answered"
    );
    let (offered, resident) = overload(&avow, &deliveries, sustainable * TIMES, seconds);
    print_offered(&offered, sustainable, seconds);
    print_resident(&resident);
    println!("ready           {}", avow.is_ready());
    let recovered = rate(avow.address, &deliveries);
    println!(
        "recovered       {recovered:>9.0} a second, {:.2} of before, by the same process",
        recovered / sustainable
    );
}

fn start(directory: &Path) -> Process {
    let queue = format!("--set=log.queue_entries_max={QUEUE_ENTRIES}");
    Process::serve(directory, &[&queue])
}

/// Measures the rate at which each of some connections asks again once it is answered.
fn rate(address: SocketAddr, deliveries: &Newcomers) -> f64 {
    let mut rates: Vec<f64> = (0..SLICES)
        .map(|_| {
            let requests = (0..REQUESTS).map(|_| deliveries.next()).collect();
            send(address, CONNECTIONS, requests).per_second
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[SLICES / 2]
}

/// Offers so many deliveries a second; returns how they were answered, and what the process had resident, in KiB, each second.
fn overload(
    avow: &Process,
    deliveries: &Newcomers,
    per_second: f64,
    seconds: u64,
) -> (Offered, Vec<u64>) {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let resident = scope.spawn(|| {
            let mut resident = vec![avow.resident_kib()];
            while !is_over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_secs(1));
                resident.push(avow.resident_kib());
            }
            resident
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|_| {
                scope.spawn(|| {
                    offer(
                        avow.address,
                        CONNECTIONS_OF_SENDER,
                        (
                            per_second / f64::from(SENDERS),
                            Duration::from_secs(seconds),
                        ),
                        || Asked::delivery(deliveries.next()),
                    )
                })
            })
            .collect();
        let mut offered = Offered::default();
        for sender in senders {
            offered.add(sender.join().unwrap());
        }
        is_over.store(true, Ordering::Relaxed);
        (offered, resident.join().unwrap())
    })
}

fn print_offered(offered: &Offered, sustainable: f64, seconds: u64) {
    let per_second = |count: u64| to_float(count) / to_float(seconds);
    let total = per_second(offered.sent + offered.unsent);
    println!(
        "offered         {total:>9.0} a second for {seconds} s, {:.1} times that; {} sent, {} not, for every connection waited; {} connections broke",
        total / sustainable,
        offered.sent,
        offered.unsent,
        offered.broken
    );
    let statuses: &BTreeMap<u16, u64> = &offered.statuses;
    for (status, count) in statuses {
        println!(
            "answered {status}    {:>9.0} a second, {count}",
            per_second(*count)
        );
    }
    let mut accepted = offered.latencies();
    accepted.sort();
    let at = |share: usize| accepted[(accepted.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!("accepted        p50 {:.1} ms, p99 {:.1} ms", at(50), at(99));
}

fn print_resident(resident: &[u64]) {
    let (start, end) = (resident[0], resident[resident.len() - 1]);
    let warm = resident[WARM_SECONDS.min(resident.len() - 1)];
    let mebibytes = |kibibytes: u64| to_float(kibibytes) / 1024.0;
    println!(
        "resident        {:.0} MiB at the start, {:.0} MiB after {WARM_SECONDS} s, {:.0} MiB at the end: {:.2} times",
        mebibytes(start),
        mebibytes(warm),
        mebibytes(end),
        to_float(end) / to_float(warm)
    );
}

fn to_float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}
