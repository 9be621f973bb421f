//! A flood of forged deliveries: nothing of it reaches the disk, memory stays bounded, and honest ones are all taken.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use avow::stripe::secret::Secret;
use avow::stripe::signature::sign;
use avow::system::now_seconds;
use reqwest::blocking::Client;
use state_machine::time::Timestamp;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, deliver_numbered, event};
use crate::support::process::Process;
use crate::support::server::SECRET;

/// As many of them as there are kinds of forgery, many times.
const FORGED: u64 = 4_000;
/// What two floods may take of memory: some bodies for each connection, and what the allocator keeps of them. The bodies of
/// each flood have 250 MB in all.
const MEMORY_KILOBYTES_MAX: u64 = 128 * 1024;

#[test]
fn a_flood_of_forged_deliveries_leaves_the_disk_as_it_was_and_honest_ones_are_all_taken() {
    let directory = tempdir().unwrap();
    let server = Process::start(directory.path());
    deliver_numbered(0..100, |delivery| {
        server.deliver(delivery).unwrap().status().into()
    });
    server.stop();
    let server = Process::start(directory.path());
    let entries = server.entries();
    let (files, memory) = (files(directory.path()), memory_kilobytes(&server));

    flood(&server);

    assert_eq!(self::files(directory.path()), files);
    assert_eq!(server.entries(), entries);

    std::thread::scope(|scope| {
        scope.spawn(|| flood(&server));
        deliver_numbered(100..400, |delivery| {
            server.deliver(delivery).unwrap().status().into()
        });
    });

    assert_eq!(server.entries(), entries + 300);
    let grown = memory_kilobytes(&server).saturating_sub(memory);
    assert!(grown < MEMORY_KILOBYTES_MAX, "{grown} kB");
    server.stop();
}

/// Sends every kind of forgery, over sixteen connections.
fn flood(server: &Process) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let client = Client::new();
                while let number = next.fetch_add(1, Ordering::Relaxed)
                    && number < FORGED
                {
                    let (name, delivery) = forged(number);
                    let request = client.post(format!("{}/webhooks/stripe", server.url()));
                    let request = request.header("stripe-signature", delivery.header);
                    let answer = request.body(delivery.body).send().unwrap();
                    assert_eq!(answer.status(), 400, "{name}");
                }
            });
        }
    });
}

fn forged(number: u64) -> (&'static str, Delivery) {
    let id = format!("evt_forged_{number}");
    let mut honest = Delivery::event(&event(&id, "vs_forged", "u", "verified", 10));
    let signed = |secret, at| sign(&Secret::new(secret).unwrap(), at, &honest.body);
    let hour_ago = Timestamp(now_seconds().0 - 3_600);
    let (name, header) = match number % 8 {
        0 => ("another secret", signed("whsec_other", now_seconds())),
        1 => ("an hour ago", signed(SECRET, hour_ago)),
        2 => ("another time", honest.header.replacen("t=1", "t=2", 1)),
        3 => ("another scheme", honest.header.replacen("v1=", "v0=", 1)),
        4 => ("no signature", String::new()),
        5 => (
            "many signatures",
            format!("{},{}", honest.header, "v1=00,".repeat(500)),
        ),
        6 => ("half a signature", honest.header[..60].to_owned()),
        _ => {
            // As much as is read at all.
            honest.body.resize(500 * 1024, b' ');
            ("another body", honest.header.clone())
        }
    };
    honest.header = header;
    (name, honest)
}

/// Returns every file below a directory with its bytes.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

/// Returns the most memory that a server has had.
fn memory_kilobytes(server: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
