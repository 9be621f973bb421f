//! Four times the sustainable rate, open loop, against the real binary: `cargo bench --bench overload`, or with the number of
//! seconds as argument. What is shed, what the process grows by, and that it recovers without a restart.
//!
//! The queue is shorter than there are connections, which it is not by default: so it is the queue that sheds.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use avow::stripe::secret::Secret;
use avow::stripe::signature::sign;
use support::load::send;
use support::open_loop::{Offered, offer};
use support::process::Process;
use support::server::SECRET;

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
    let directory = tempfile::tempdir_in("target").unwrap();
    let avow = start(directory.path());
    let deliveries = Deliveries::new();

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
fn rate(address: SocketAddr, deliveries: &Deliveries) -> f64 {
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
    deliveries: &Deliveries,
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
                        || deliveries.next(),
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
        "offered         {total:>9.0} a second for {seconds} s, {:.1} times that; {} sent, {} not, for every connection waited",
        total / sustainable,
        offered.sent,
        offered.unsent
    );
    let statuses: &BTreeMap<u16, u64> = &offered.statuses;
    for (status, count) in statuses {
        println!(
            "answered {status}    {:>9.0} a second, {count}",
            per_second(*count)
        );
    }
    let mut accepted = offered.accepted.clone();
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

/// Deliveries that no two requests share, signed when they are made: each one tells of a session of its own.
struct Deliveries {
    next: AtomicU64,
    secret: Secret,
}

impl Deliveries {
    fn new() -> Self {
        Self {
            next: AtomicU64::new(0),
            secret: Secret::new(SECRET).unwrap(),
        }
    }

    fn next(&self) -> Vec<u8> {
        let body = body(self.next.fetch_add(1, Ordering::Relaxed));
        let signature = sign(&self.secret, avow::system::now_seconds(), body.as_bytes());
        format!(
            "POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             stripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

fn body(number: u64) -> String {
    format!(
        r#"{{
  "id": "evt_{number}", "object": "event", "api_version": "2026-10-28.endive", "created": 1790000000,
  "type": "identity.verification_session.created", "livemode": false, "pending_webhooks": 1,
  "request": {{ "id": null, "idempotency_key": null }},
  "data": {{ "object": {{
    "id": "vs_{number}", "object": "identity.verification_session", "created": 1790000000,
    "client_reference_id": null, "client_secret": null, "url": null, "last_error": null,
    "last_verification_report": null, "livemode": false, "metadata": {{ "user_id": "user_{number}" }},
    "options": {{ "document": {{ "require_matching_selfie": true }} }}, "redaction": null,
    "related_customer": null, "status": "requires_input", "type": "document"
  }} }}
}}"#
    )
}
