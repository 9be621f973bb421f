//! The fold in memory: histories built event by event and projected, on one core: `cargo bench --bench fold`.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

use std::hint::black_box;
use std::time::Instant;

use avow::cli::simulation::population::Population;
use avow::cli::simulation::scenario::Delivery;
use avow::cli::simulation::scenarios::SCENARIOS;
use avow::stripe::decode::{Decoded, decode};
use avow::stripe::secret::{Secret, Secrets};
use avow::stripe::signature::{self, authenticate, sign};
use avow::stripe::user_reference::UserReferenceSource;
use state_machine::event::Event;
use state_machine::history::{Arrival, History, Recorded};
use state_machine::id::{SequenceNumber, SessionId};
use state_machine::session::project;
use state_machine::time::ReceivedAt;

const USERS: u64 = 2_000;
const SLICES: usize = 21;

fn main() {
    let sessions = sessions();
    let events: usize = sessions.iter().map(Vec::len).sum();
    let mut rates: Vec<_> = (0..SLICES)
        .map(|_| slice(sessions.clone(), events))
        .collect();
    rates.sort_by(f64::total_cmp);
    println!("{} sessions, {events} events", sessions.len());
    println!(
        "insert and project: {:.2} million events per second and core (median of {SLICES})",
        rates[SLICES / 2]
    );
}

/// Returns millions of events per second.
fn slice(sessions: Vec<Vec<Recorded>>, events: usize) -> f64 {
    let start = Instant::now();
    for session in sessions {
        let mut history = History::default();
        for recorded in session {
            history.insert(recorded);
        }
        black_box(project(&history));
    }
    f64::from(u32::try_from(events).unwrap()) / start.elapsed().as_secs_f64() / 1e6
}

/// Returns the events of every session of every scenario, in the order of arrival.
fn sessions() -> Vec<Vec<Recorded>> {
    let secret = Secret::new("whsec_benchmark_secret").unwrap();
    let secrets = Secrets::from(secret.clone());
    let now = avow::system::now_seconds();
    let population = Population {
        seed: 1,
        start: now.plus_seconds(-40_000),
    };
    let mut sessions = std::collections::BTreeMap::<SessionId, Vec<Recorded>>::new();
    let deliveries = population.messages(SCENARIOS, USERS / 10);
    for (sequence, message) in
        (0..).zip(deliveries.filter(|message| message.delivery != Delivery::Forged))
    {
        let header = sign(&secret, now, message.body.as_bytes());
        let delivery = signature::Delivery {
            signature_header: Some(header.as_bytes()),
            body: message.body.as_bytes(),
            received_at: ReceivedAt(now.0 * 1000),
        };
        let payload = authenticate(delivery, &secrets, 300).unwrap();
        let Decoded::Event(decoded) = decode(&payload, &UserReferenceSource::defaults()) else {
            panic!("the scenarios hold session events only");
        };
        let arrival = Arrival {
            sequence: SequenceNumber(sequence),
            received_at: ReceivedAt(0),
        };
        let event: Event = decoded.event;
        sessions
            .entry(decoded.session)
            .or_default()
            .push(Recorded { event, arrival });
    }
    sessions.into_values().collect()
}
