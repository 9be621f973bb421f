//! Restarts: what was acknowledged is there again, and the projections can be deleted at any moment.

use std::fs;
use std::path::Path;

use avow::cli::simulation::population::Population;
use avow::cli::simulation::scenario::Delivery as Sent;
use avow::cli::simulation::scenarios::SCENARIOS;
use avow::projections::generations::Generations;
use serde_json::Value;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event};
use crate::support::server::Server;

const LISTS: [&str; 3] = [
    "/v1/users?limit=100",
    "/v1/sessions?limit=100",
    "/v1/anomalies?limit=100",
];

fn deliver_every_scenario(server: &Server) {
    let start = avow::system::now_seconds().plus_seconds(-40_000);
    let population = Population { seed: 1, start };
    for message in population.messages(SCENARIOS, 2) {
        if message.delivery != Sent::Forged {
            server.record(&Delivery::of(message.body));
        }
    }
}

fn everything(server: &Server) -> Vec<Value> {
    LISTS.iter().map(|path| server.read(path)).collect()
}

/// Delivers, stops, changes the stopped data directory, and returns what is served before and after.
fn before_and_after(change: impl FnOnce(&Path)) -> (Vec<Value>, Vec<Value>) {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver_every_scenario(&server);
    let before = everything(&server);
    drop(server);
    change(directory.path());
    let after = everything(&Server::start(directory.path()));
    (before, after)
}

#[test]
fn a_restart_changes_nothing_that_is_served() {
    let (before, after) = before_and_after(|_| {});

    assert!(before[1]["data"].as_array().unwrap().len() > 10);
    assert_eq!(before, after);
}

#[test]
fn deleting_the_projections_loses_nothing() {
    let (before, after) = before_and_after(|directory| {
        fs::remove_dir_all(directory.join("projections")).unwrap();
    });

    assert_eq!(before, after);
}

#[test]
fn projections_that_cannot_be_opened_are_folded_afresh() {
    let (before, after) = before_and_after(|directory| {
        let generations = Generations::of(&directory.join("projections"));
        for file in fs::read_dir(generations.current().unwrap().unwrap()).unwrap() {
            let path = file.unwrap().path();
            if path.is_file() {
                fs::write(path, b"damaged").unwrap();
            }
        }
    });

    assert_eq!(before, after);
}

/// Puts the projections of one directory into another, and returns what the other serves before and after.
fn with_projections_of(theirs: &Path, ours: &Path) -> (Vec<Value>, Vec<Value>) {
    let before = everything(&Server::start(ours));
    fs::remove_dir_all(ours.join("projections")).unwrap();
    fs::rename(theirs.join("projections"), ours.join("projections")).unwrap();
    (before, everything(&Server::start(ours)))
}

#[test]
fn projections_that_are_ahead_of_a_restored_log_are_folded_afresh() {
    let (short, long) = (tempdir().unwrap(), tempdir().unwrap());
    Server::start(short.path()).record(&Delivery::of("[]"));
    deliver_every_scenario(&Server::start(long.path()));

    let (before, after) = with_projections_of(long.path(), short.path());

    assert_eq!(before, after);
}

#[test]
fn projections_of_another_log_are_folded_afresh() {
    let (short, long) = (tempdir().unwrap(), tempdir().unwrap());
    let verified = event("evt_1", "vs_1", "stranger", "verified", 10);
    Server::start(short.path()).record(&Delivery::event(&verified));
    deliver_every_scenario(&Server::start(long.path()));

    let (before, after) = with_projections_of(short.path(), long.path());

    assert_eq!(before, after);
    assert!(!after[0].to_string().contains("stranger"));
}

#[test]
fn an_event_stays_known_as_a_duplicate_after_restarts_and_without_its_index() {
    let directory = tempdir().unwrap();
    let delivery = Delivery::of("[]");
    assert_eq!(Server::start(directory.path()).record(&delivery), 0);

    let after_restart = Server::start(directory.path()).record(&delivery);
    fs::remove_dir_all(directory.path().join("log/index")).unwrap();
    let server = Server::start(directory.path());
    let without_index: Value = server.deliver(&delivery).json().unwrap();

    assert_eq!(after_restart, 0);
    assert_eq!(without_index["duplicate"], true);
    assert_eq!(without_index["sequence"], 0);
}
