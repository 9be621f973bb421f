//! Stripe delivers in any order: a projection is a function of the set of events alone.

use avow::cli::simulation::population::{Message, Population};
use avow::cli::simulation::scenario::Delivery as Sent;
use avow::cli::simulation::scenarios::SCENARIOS;
use serde_json::Value;
use state_machine::time::Timestamp;
use tempfile::tempdir;

use crate::support::delivery::Delivery;
use crate::support::server::Server;

/// Without what may differ: where entries stand, and by which tag this log knows the user.
fn without_places(mut user: Value) -> Value {
    user.as_object_mut().unwrap().remove("sequence");
    user.as_object_mut().unwrap().remove("tag");
    user
}

fn standings(start: Timestamp, arrange: impl Fn(&mut Vec<Message>)) -> Vec<Value> {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let population = Population { seed: 7, start };
    let mut messages: Vec<_> = population
        .messages(SCENARIOS, 1)
        .filter(|message| message.delivery != Sent::Forged)
        .collect();
    arrange(&mut messages);
    for message in &messages {
        server.record(&Delivery::of(message.body.clone()));
    }
    let references = SCENARIOS
        .iter()
        .map(|scenario| population.user(scenario, 1).reference);
    references
        .map(|user| without_places(server.read(&format!("/v1/users/{user}"))))
        .collect()
}

#[test]
fn every_scenario_ends_the_same_forwards_backwards_and_interleaved() {
    let start = avow::system::now_seconds().plus_seconds(-40_000);
    let forwards = standings(start, |_| {});

    let backwards = standings(start, |messages| messages.reverse());
    let interleaved = standings(start, |messages| {
        messages.sort_by_key(|message| message.body.bytes().rev().map(u64::from).sum::<u64>() % 7);
    });

    assert_eq!(forwards.len(), SCENARIOS.len());
    assert_eq!(forwards, backwards);
    assert_eq!(forwards, interleaved);
}
