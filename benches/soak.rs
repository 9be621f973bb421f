//! Mixed traffic at 70 % of what can be sustained, for twenty minutes, against the real binary: `cargo bench --bench soak`, or
//! with the number of minutes as argument. Memory, open files and latencies, minute by minute: they are to stay flat.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::deliveries::{Newcomers, get};
use support::load::send;
use support::median;
use support::open_loop::{Asked, Offered, offer};
use support::process::Process;

const MINUTES: usize = 20;
const MINUTE: Duration = Duration::from_mins(1);
const SHARE: f64 = 0.7;
/// Over which the maximum is measured, as fast as each is answered.
const CONNECTIONS: usize = 64;
const REQUESTS: usize = 20_000;
const SLICES: usize = 9;
/// Over which the soak is offered: enough that none has to wait for a connection.
const CONNECTIONS_OF_SOAK: usize = 256;

fn main() {
    let argument = std::env::args()
        .skip(1)
        .find(|argument| argument != "--bench");
    let minutes = argument.map_or(MINUTES, |text| text.parse().expect("the number of minutes"));
    let directory = support::directory();
    let avow = Process::serve(directory.path(), &[]);
    let traffic = Traffic::default();
    let first = (0..1_000).map(|_| traffic.deliveries.next()).collect();
    send(avow.address, CONNECTIONS, first);
    let rates = (0..SLICES).map(|_| {
        let requests = (0..REQUESTS).map(|_| traffic.next().bytes).collect();
        send(avow.address, CONNECTIONS, requests).per_second
    });
    let maximum = median(rates.collect());
    let rate = maximum * SHARE;
    println!(
        "maximum {maximum:.0} a second over {CONNECTIONS} connections; offered from here on: {rate:.0} a second"
    );
    println!(
        "of ten requests 5 are new deliveries, 4 ask for a user, 1 for a page of twenty users"
    );
    println!(
        "minute   answered   not 200   unsent   p50 ms   p99 ms   ratio   max ms   RSS MiB   files"
    );
    let mut whole = Offered::default();
    let mut resident = Vec::new();
    for minute in 1..=minutes {
        let offered = offer(avow.address, CONNECTIONS_OF_SOAK, (rate, MINUTE), || {
            traffic.next()
        });
        resident.push(avow.resident_kib());
        println!(
            "{minute:>6}   {}   {:>7.0}   {:>5}",
            Row::of(&offered),
            to_float(avow.resident_kib()) / 1024.0,
            avow.open_files()
        );
        whole.add(offered);
    }
    println!(" whole   {}", Row::of(&whole));
    for (kind, latencies) in &whole.accepted {
        let [p50, p99, max] = percentiles(latencies.clone(), [500, 990, 1000]);
        let ratio = p99 / p50;
        println!(
            "{kind:>9}: p50 {p50:.2} ms, p99 {p99:.2} ms, {ratio:.1} times; at most {max:.1} ms"
        );
    }
    let (middle, last) = (resident[minutes / 2], resident[minutes - 1]);
    println!(
        "resident at the end: {:.2} of half-way; {} sessions, {} entries a second all the while",
        to_float(last) / to_float(middle),
        traffic.deliveries.count(),
        rate / 2.0
    );
}

/// Of ten requests five deliver, four ask for a user, and one for a page of users.
#[derive(Default)]
struct Traffic {
    deliveries: Newcomers,
    asked: AtomicU64,
}

impl Traffic {
    fn next(&self) -> Asked {
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let (kind, bytes) = match number % 10 {
            0 | 2 | 4 | 6 | 8 => ("delivery", self.deliveries.next()),
            5 => ("page", get("/v1/users?livemode=false&limit=20")),
            _ => ("user", get(&self.user(number))),
        };
        Asked { kind, bytes }
    }

    /// Returns the path of a user who was delivered some time ago: any of them, by a stride that has no pattern.
    fn user(&self, number: u64) -> String {
        let known = self.deliveries.count().saturating_sub(10_000).max(1);
        let user = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % known;
        format!("/v1/users/user_{user}?livemode=false")
    }
}

/// A line of the table.
struct Row {
    answered: usize,
    refused: u64,
    unsent: u64,
    p50: f64,
    p99: f64,
    max: f64,
}

impl Row {
    fn of(offered: &Offered) -> Self {
        let latencies = offered.latencies();
        let answered = latencies.len();
        let [p50, p99, max] = percentiles(latencies, [500, 990, 1000]);
        let statuses = offered
            .statuses
            .iter()
            .filter(|(status, _)| **status != 200);
        Self {
            answered,
            refused: statuses.map(|(_, count)| count).sum(),
            unsent: offered.unsent,
            p50,
            p99,
            max,
        }
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            answered,
            refused,
            unsent,
            p50,
            p99,
            max,
        } = self;
        let ratio = p99 / p50;
        write!(
            formatter,
            "{answered:>8}   {refused:>7}   {unsent:>6}   {p50:>6.2}   {p99:>6.2}   {ratio:>5.1}   {max:>6.1}"
        )
    }
}

/// Returns latencies in milliseconds, at these thousandths of them.
fn percentiles<const N: usize>(mut latencies: Vec<Duration>, thousandths: [usize; N]) -> [f64; N] {
    latencies.sort();
    thousandths.map(|at| latencies[(latencies.len() - 1) * at / 1000].as_secs_f64() * 1e3)
}

fn to_float(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}
