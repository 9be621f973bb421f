//! A log as long as is asked for, made through its own front door: real bodies, sealed, appended in large groups.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use avow::cli::simulation::population::{Population, User};
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

use super::deliveries::path;
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

/// Measures a log of each of these lengths, or of those that are the arguments. With `--keep DIR` the logs stay there, and
/// are found again.
pub(crate) fn each(lengths: &[u64], measure: impl Fn(&Path)) {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let (mut asked, mut keep) = (Vec::new(), None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--keep" => keep = arguments.next().map(PathBuf::from),
            length => asked.push(length.parse().expect("a length is a number")),
        }
    }
    if asked.is_empty() {
        asked = lengths.to_vec();
    }
    for length in asked {
        let made = tempfile::tempdir().unwrap();
        let directory = keep.as_ref().map_or_else(
            || made.path().to_owned(),
            |keep| keep.join(length.to_string()),
        );
        fs::create_dir_all(&directory).unwrap();
        make(&directory, length);
        measure(&directory);
    }
}

/// Makes a log of at least so many entries, or lets one grow to so many, and leaves it closed. Returns the crowds whose
/// every event was appended.
pub(crate) fn make(directory: &Path, entries: u64) -> Vec<Crowd> {
    let log = open(directory);
    let size = log.size();
    let made = AtomicU64::new(size);
    let crowds = thread::scope(|scope| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let (log, made) = (&log, &made);
                // Further on than any crowd of a shorter log, none of which has fewer events than one.
                let first = producer * 1_000_000_000 + size;
                scope.spawn(move || produce(log, first, made, entries))
            })
            .collect();
        let crowds = producers.into_iter();
        crowds.flat_map(|one| one.join().unwrap()).collect()
    });
    log.close();
    crowds
}

/// Users whose events arrived mixed with each other's.
pub(crate) struct Crowd {
    seed: u64,
}

impl Crowd {
    /// Returns the path of one of its users: any number names one.
    pub(crate) fn path(&self, number: u64) -> String {
        let users = users(self.seed);
        path(&users[usize::try_from(number).unwrap() % users.len()])
    }

    /// Returns how many sessions its users have.
    pub(crate) fn sessions(&self) -> u64 {
        let sessions = |user: &User| user.scenario.steps.iter().map(|step| step.session).max();
        let users = users(self.seed);
        users.iter().filter_map(sessions).map(u64::from).sum()
    }
}

/// Appends one crowd after the other until the log is long enough, and returns those that are whole.
fn produce(log: &Log, first: u64, made: &AtomicU64, entries: u64) -> Vec<Crowd> {
    let secret = Secret::new(SECRET).unwrap();
    let secrets = Secrets::from(secret.clone());
    // As many places as may be taken at once.
    let (take, free) = bounded(IN_FLIGHT_MAX / 4);
    let mut crowds = Vec::new();
    for seed in first.. {
        for body in bodies(&users(seed)) {
            if made.fetch_add(1, Ordering::Relaxed) >= entries {
                wait(&take, &free);
                return crowds;
            }
            let prepared = prepare(log, &secret, &secrets, &body);
            take.send(()).unwrap();
            let free = free.clone();
            log.append(prepared, move |appended| {
                assert!(!appended.unwrap().duplicate);
                free.recv().unwrap();
            });
        }
        crowds.push(Crowd { seed });
    }
    crowds
}

/// Waits until everything has been answered.
fn wait(take: &crossbeam_channel::Sender<()>, free: &Receiver<()>) {
    while !free.is_empty() {
        thread::yield_now();
    }
    assert!(take.is_empty());
}

fn users(seed: u64) -> Vec<User> {
    let population = Population {
        seed,
        start: NOW.plus_seconds(-86_400),
    };
    let users = (1..=USERS_AT_ONCE / 10).flat_map(|number| {
        (SCENARIOS.iter()).map(move |scenario| population.user(scenario, number))
    });
    users.collect()
}

/// Returns the events of some users, each user's in the order of arrival, mixed with each other's.
fn bodies(users: &[User]) -> Vec<String> {
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
