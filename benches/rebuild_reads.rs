//! `GET /v1/users/{id}` while the log is folded anew, beside what it takes otherwise: `cargo bench --bench rebuild_reads`, or
//! with the number of entries as argument. Slices of both take turns in one run; medians are compared.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use serde_json::{Value, json};
use support::load::send;
use support::made_log;
use support::server::Server;

const ENTRIES: u64 = 1_000_000;
const CONNECTIONS: usize = 4;
const REQUESTS: usize = 4_000;
const SLICES: usize = 9;

/// The allocator of the `avow` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let (mut entries, mut keep) = (ENTRIES, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--keep" => keep = arguments.next().map(PathBuf::from),
            number => entries = number.parse().expect("the number of entries"),
        }
    }
    let made = tempfile::tempdir().unwrap();
    let directory = keep.map_or_else(
        || made.path().to_owned(),
        |keep| keep.join(entries.to_string()),
    );
    fs::create_dir_all(&directory).unwrap();
    made_log::make(&directory, entries);
    let avow = Server::avow(&directory);
    let url = format!("http://{}", avow.address);
    let users = users(&url);
    let requests = || -> Vec<_> {
        (0..REQUESTS)
            .map(|at| get(&users[at * 7 % users.len()]))
            .collect()
    };
    send(avow.address, CONNECTIONS, requests());
    let (mut without, mut during, mut rebuilds) = (Vec::new(), Vec::new(), 0);
    for _ in 0..SLICES {
        without.push(send(avow.address, CONNECTIONS, requests()).p99);
        let (is_over, done) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|scope| {
            scope.spawn(|| rebuild_until(&url, &is_over, &done));
            during.push(send(avow.address, CONNECTIONS, requests()).p99);
            is_over.store(true, Ordering::Relaxed);
        });
        rebuilds += done.into_inner();
    }
    without.sort();
    during.sort();
    let (without, during) = (without[SLICES / 2], during[SLICES / 2]);
    println!("{entries} entries, {CONNECTIONS} connections, {rebuilds} rebuilds begun");
    println!(
        "p99 without {:.2} ms, during a rebuild {:.2} ms: {:.2} times",
        without.as_secs_f64() * 1e3,
        during.as_secs_f64() * 1e3,
        during.as_secs_f64() / without.as_secs_f64()
    );
}

/// Has the log folded anew, again and again, until it is over; the last one is cancelled.
fn rebuild_until(url: &str, is_over: &AtomicBool, done: &AtomicU64) {
    let client = reqwest::blocking::Client::new();
    let post = |path: &str| -> Value {
        let request = client.post(format!("{url}{path}")).json(&json!({}));
        request.send().unwrap().json().unwrap()
    };
    while !is_over.load(Ordering::Relaxed) {
        let begun = post("/v1/rebuilds");
        let path = format!("/v1/rebuilds/{}", begun["id"].as_str().unwrap());
        done.fetch_add(1, Ordering::Relaxed);
        loop {
            let seen: Value = client
                .get(format!("{url}{path}"))
                .send()
                .unwrap()
                .json()
                .unwrap();
            if !["folding", "comparing"].contains(&seen["status"].as_str().unwrap()) {
                break;
            }
            if is_over.load(Ordering::Relaxed) {
                post(&format!("{path}/cancel"));
            }
            thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Returns the names of some users.
fn users(url: &str) -> Vec<String> {
    let mut names = Vec::new();
    while names.len() < 1_000 {
        let after = names
            .last()
            .map(|(_, tag)| format!("&starting_after={tag}"));
        let path = format!(
            "{url}/v1/users?livemode=false&limit=100{}",
            after.unwrap_or_default()
        );
        let page: Value = reqwest::blocking::get(path).unwrap().json().unwrap();
        let text = |user: &Value, name: &str| user[name].as_str().unwrap().to_owned();
        let users = page["data"].as_array().unwrap().iter();
        names.extend(users.map(|user| (text(user, "id"), text(user, "tag"))));
        if page["has_more"] == false {
            break;
        }
    }
    // Who is erased has no name to be asked for by.
    let names = names.into_iter().map(|(name, _)| name);
    names.filter(|name| !name.starts_with('[')).collect()
}

fn get(user: &str) -> Vec<u8> {
    format!("GET /v1/users/{user}?livemode=false HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}
