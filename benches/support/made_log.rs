//! A log as long as is asked for, made through its own front door: real bodies, sealed, appended in large groups.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use avow::cli::simulation::population::Population;
use avow::cli::simulation::scenario::Delivery;
use avow::cli::simulation::scenarios::SCENARIOS;
use avow::log::keys::MasterKey;
use avow::log::{Log, Options, Prepared};
use avow::stripe::decode::{Decoded, decode};
use avow::stripe::secret::{Secret, Secrets};
use avow::stripe::signature::{self, authenticate, sign};
use avow::stripe::user_reference::UserReferenceSource;
use crossbeam_channel::{Receiver, bounded};
use state_machine::time::{ReceivedAt, Timestamp};

use super::server::{MASTER_KEY, SECRET};

const NOW: Timestamp = Timestamp(1_760_000_000);
const PRODUCERS: u64 = 2;
/// Users whose events arrive mixed with each other's.
const USERS_AT_ONCE: u64 = 200;
const IN_FLIGHT_MAX: usize = 20_000;

/// Opens the log of a data directory.
pub(crate) fn open(directory: &Path) -> Log {
    let mut options = Options::new(avow::system::fill_random, avow::system::now);
    options.queue_entries_max = IN_FLIGHT_MAX;
    options.group_entries_max = 8_192;
    let key = MasterKey::parse(MASTER_KEY).unwrap();
    Log::open(&directory.join("log"), &key, options).unwrap().0
}

/// Makes a log of at least so many entries, and leaves it closed.
pub(crate) fn make(directory: &Path, entries: u64) {
    let log = open(directory);
    let made = AtomicU64::new(log.size());
    thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (log, made) = (&log, &made);
            scope.spawn(move || produce(log, producer, made, entries));
        }
    });
    log.close();
}

fn produce(log: &Log, producer: u64, made: &AtomicU64, entries: u64) {
    let secret = Secret::new(SECRET).unwrap();
    let secrets = Secrets::from(secret.clone());
    // As many places as may be taken at once.
    let (take, free) = bounded(IN_FLIGHT_MAX / 4);
    for crowd in 0.. {
        for body in bodies(producer, crowd) {
            if made.fetch_add(1, Ordering::Relaxed) >= entries {
                return wait(&take, &free);
            }
            let prepared = prepare(log, &secret, &secrets, &body);
            take.send(()).unwrap();
            let free = free.clone();
            log.append(prepared, move |appended| {
                assert!(!appended.unwrap().duplicate);
                free.recv().unwrap();
            });
        }
    }
}

/// Waits until everything has been answered.
fn wait(take: &crossbeam_channel::Sender<()>, free: &Receiver<()>) {
    while !free.is_empty() {
        thread::yield_now();
    }
    assert!(take.is_empty());
}

/// Returns the events of some users, each user's in the order of arrival, mixed with each other's.
fn bodies(producer: u64, crowd: u64) -> Vec<String> {
    let population = Population {
        seed: producer * 1_000_000 + crowd,
        start: NOW.plus_seconds(-86_400),
    };
    let users = (1..=USERS_AT_ONCE / 10).flat_map(|number| {
        (SCENARIOS.iter()).map(move |scenario| population.user(scenario, number))
    });
    let users: Vec<_> = users.collect();
    let longest = users.iter().map(|user| user.scenario.steps.len()).max();
    let steps = 0..longest.unwrap_or(0);
    steps
        .flat_map(|step| users.iter().filter_map(move |user| user.message(step)))
        .filter(|message| message.delivery != Delivery::Forged)
        .map(|message| message.body)
        .collect()
}

fn prepare(log: &Log, secret: &Secret, secrets: &Secrets, body: &str) -> Prepared {
    let header = sign(secret, NOW, body.as_bytes());
    let delivery = signature::Delivery {
        signature_header: Some(header.as_bytes()),
        body: body.as_bytes(),
        received_at: ReceivedAt(NOW.0 * 1000),
    };
    let payload = authenticate(delivery, secrets, 300).unwrap();
    match decode(&payload, &UserReferenceSource::defaults()) {
        Decoded::Event(event) => log.prepare_event(&payload, *event).unwrap(),
        Decoded::Unreadable(_) | Decoded::Foreign { .. } => {
            panic!("the scenarios hold session events only")
        }
    }
}
