//! Avow beside the handler that Stripe's guide leads to: `cargo bench --bench compare`, after `benches/handler/install`.
//!
//! The handler is Node.js with Express, the official `stripe` package, and PostgreSQL with synchronous commit and a unique
//! event id; it runs as one process, as the guide has it, and as one for each core. From a signed webhook to durable to
//! answered, and reading a user's state. Slices of all take turns in one run, on one disk; medians are compared.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use support::deliveries::{self, Deliveries, get, path};
use support::handler::{Database, Handler};
use support::load::{Measured, send};
use support::process::Process;
use support::{CONNECTIONS, median};

const SLICES: usize = 9;
const SLICE_SECONDS: f64 = 1.0;
/// Of a slice: what the first one, which tells how many make a second, has.
const REQUESTS: usize = 2_000;
const USERS: u64 = 2_000;
const CORES: usize = 2;

/// One that is compared.
struct Side {
    name: &'static str,
    address: SocketAddr,
}

fn main() {
    // The database's own user has to come there, which the build's folder may not let it.
    let directory = tempfile::tempdir().unwrap();
    let avow = Process::serve(&directory.path().join("avow"), &[]);
    let databases = [Database::start(), Database::start()];
    let one = Handler::start(&databases[0], 1);
    let each = Handler::start(&databases[1], CORES);
    let sides = [
        Side {
            name: "avow",
            address: avow.address,
        },
        Side {
            name: "express, 1 process",
            address: one.address,
        },
        Side {
            name: "express, 2 processes",
            address: each.address,
        },
    ];

    println!("a signed webhook, durable, answered");
    let mut deliveries: Vec<_> = sides.iter().map(|_| Deliveries::new()).collect();
    rows(&sides, |side, count| deliveries[side].next(count));

    println!("\nthe state of a user");
    let (users, posts) = deliveries::users(USERS);
    for side in &sides {
        send(side.address, 16, posts.clone());
    }
    rows(&sides, |_, count| {
        let at = |number: usize| &users[number * 7 % users.len()];
        (0..count).map(|number| get(&path(at(number)))).collect()
    });
}

fn rows(sides: &[Side], mut requests: impl FnMut(usize, usize) -> Vec<Vec<u8>>) {
    println!("connections   side                    a second    avow is   p50 ms   p99 ms");
    for connections in CONNECTIONS {
        let mut measured: BTreeMap<usize, Vec<Measured>> = BTreeMap::new();
        let mut counts = Vec::new();
        for (at, side) in sides.iter().enumerate() {
            let warm = send(side.address, connections, requests(at, REQUESTS));
            counts.push(count(warm.per_second));
        }
        for _ in 0..SLICES {
            for (at, side) in sides.iter().enumerate() {
                let slice = send(side.address, connections, requests(at, counts[at]));
                measured.entry(at).or_default().push(slice);
            }
        }
        let column = |at: usize, of: fn(&Measured) -> f64| {
            median(measured[&at].iter().map(of).collect::<Vec<_>>())
        };
        let own = column(0, |slice| slice.per_second);
        for (at, side) in sides.iter().enumerate() {
            let per_second = column(at, |slice| slice.per_second);
            println!(
                "{connections:>11}   {:<21}   {per_second:>8.0}   {:>6.1} ×   {:>6.2}   {:>6.2}",
                side.name,
                own / per_second,
                column(at, |slice| slice.p50.as_secs_f64() * 1e3),
                column(at, |slice| slice.p99.as_secs_f64() * 1e3),
            );
        }
    }
}

/// Returns how many requests a slice has, at that rate.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small positive number of requests"
)]
fn count(per_second: f64) -> usize {
    (per_second * SLICE_SECONDS).max(100.0) as usize
}
