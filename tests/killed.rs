//! The process is killed at any moment, again and again on one data directory: what was acknowledged is there, once.

use std::fs;
use std::path::Path;

use avow::cli::simulation::check;
use avow::cli::simulation::population::Population;
use avow::cli::simulation::scenarios::SCENARIOS;
use serde_json::Value;
use tempfile::tempdir;

use crate::support::audited::assert_clean;
use crate::support::extent::times;
use crate::support::ledger::{Answer, Ledger};
use crate::support::load::{CONNECTIONS, bodies, deliver_until, populations};
use crate::support::process::{Process, serve};
use crate::support::seed::Seed;
use crate::support::strace::{self, Trace};

/// How often a server under load is killed, unless `AVOW_TEST_KILLS` says otherwise.
const KILLS: u64 = 20;
const LISTS: [&str; 3] = ["/v1/users", "/v1/sessions", "/v1/anomalies"];
const SEGMENT: &str = "log/journal/00000000000000000000.segment";
/// What changes files and their names, makes them durable, sends answers, and wakes other threads.
const CALLS: &str = "pwrite64,write,writev,fdatasync,fsync,sync_file_range,rename,renameat,mkdir,unlink,ftruncate,\
                     fallocate,sendto";

fn everything(process: &Process) -> Vec<Vec<Value>> {
    LISTS.iter().map(|path| process.list(path)).collect()
}

/// Without what differs between two logs of the same deliveries: where entries stand, in which order they name users, and
/// when they finish an erasure.
fn without_places(mut lists: Vec<Vec<Value>>) -> Vec<Vec<String>> {
    for item in lists.iter_mut().flatten() {
        let item = item.as_object_mut().unwrap();
        if item["object"] == "anomaly" {
            item.remove("id"); // it names the entry
        }
        item.remove("sequence");
        item.remove("tag");
        let reasons = item.get_mut("decision");
        let reasons = reasons.and_then(|decision| decision["reasons"].as_array_mut());
        for reason in reasons.into_iter().flatten() {
            reason.as_object_mut().unwrap().remove("override"); // each log gives ids of its own
        }
        let is_to_be_erased = item
            .get("erasure")
            .is_some_and(|erasure| !erasure.is_null());
        item.insert("erasure".to_owned(), is_to_be_erased.into());
        for anomaly in item
            .get_mut("anomalies")
            .into_iter()
            .filter_map(Value::as_array_mut)
            .flatten()
        {
            let anomaly = anomaly.as_object_mut().unwrap();
            anomaly.remove("id");
            anomaly.remove("sequence");
        }
    }
    let sorted = |list: Vec<Value>| {
        let mut list: Vec<_> = list.iter().map(Value::to_string).collect();
        list.sort();
        list
    };
    lists.into_iter().map(sorted).collect()
}

/// Asserts that what is served follows from the log alone: from the log folded afresh, and from the same deliveries in
/// a server that nothing ever happened to.
fn assert_served_follows_from_the_log(directory: &Path, ledger: &mut Ledger) {
    // Carries out what a kill left of erasures.
    Process::start(directory).stop();
    let process = Process::start(directory);
    ledger.assert_all_kept(&process);
    let served = everything(&process);
    let digest = process.read("/v1/digest");
    process.stop();
    assert_clean(directory);

    fs::remove_dir_all(directory.join("projections")).unwrap();
    let afresh = Process::start(directory);
    let bodies = ledger.bodies_in_order(&afresh);
    assert_eq!(everything(&afresh), served, "folded afresh");
    assert_eq!(afresh.read("/v1/digest"), digest, "folded afresh");

    let undisturbed = tempdir().unwrap();
    let process = Process::start(undisturbed.path());
    for body in bodies {
        let answer = Answer::to(&process, body);
        assert!(
            matches!(
                answer,
                Answer::Recorded {
                    duplicate: false,
                    ..
                }
            ),
            "{answer:?}"
        );
    }
    ledger.operator.repeat(&afresh, &process);
    assert_eq!(
        without_places(everything(&process)),
        without_places(served),
        "undisturbed"
    );
}

#[test]
fn what_was_acknowledged_outlives_a_kill_at_any_moment() {
    let directory = tempdir().unwrap();
    let seed = Seed::new();
    let mut dice = seed.dice();
    let mut ledger = Ledger::default();

    for population in populations(times("AVOW_TEST_KILLS", KILLS)) {
        let process = Process::start(directory.path());
        ledger.assert_kept(&process);
        deliver_until(
            || process.kill(),
            &process,
            &mut ledger,
            population,
            &mut dice,
        );
    }

    assert!(ledger.acknowledged() > 0);
    assert!(ledger.operator.acknowledged() > 0);
    assert_served_follows_from_the_log(directory.path(), &mut ledger);
}

#[test]
fn what_was_kept_without_an_answer_is_found_when_it_is_delivered_again() {
    let directory = tempdir().unwrap();
    let seed = Seed::new();
    let mut dice = seed.dice();
    let mut ledger = Ledger::default();
    let populations = populations(6);

    let mut process = Process::start(directory.path());
    for population in populations.iter().copied() {
        let fatal = usize::try_from(dice.roll(50)).unwrap();
        ledger.deliver(&process, CONNECTIONS, bodies(population), |number| {
            if number == fatal {
                process.kill();
            }
        });
        process.wait();
        process = Process::start(directory.path());
        ledger.redeliver(&process);
        ledger.assert_kept(&process);
    }

    let of = |population: Population| SCENARIOS.iter().map(move |one| population.user(one, 1));
    for user in populations.into_iter().flat_map(of) {
        let standing = process.read(&format!("/v1/users/{}", user.reference));
        let session = standing["current_session"].as_str().unwrap();
        let session = process.read(&format!("/v1/sessions/{session}"));
        let differences = check::compare(&user.scenario.end, &standing, &session);
        assert_eq!(differences, Vec::<String>::new(), "{}", user.reference);
    }
    drop(process);
    assert_served_follows_from_the_log(directory.path(), &mut ledger);
}

#[test]
fn a_kill_between_any_two_steps_loses_nothing() {
    if !strace::is_present() {
        return;
    }
    let directory = tempdir().unwrap();
    let data = directory.path().join("data");
    let mut ledger = Ledger::default();
    let mut populations = populations(1_000).into_iter();
    // Before a thread's call of that number: while the data directory is made, while it is opened again, and later.
    let anywhere = [1, 5, 12, 22, 35].map(|number| (None, CALLS, number));
    #[rustfmt::skip]
    let steps = [
        (Some(SEGMENT),             "pwrite64",  2), // the bytes are lost
        (Some(SEGMENT),             "fdatasync", 2), // the bytes are kept, and not known to be
        (None,                      "sendto",    4), // the event is kept, and its answer lost
        (Some("log/sled/db"),       "pwrite64",  2),
    ];

    for (file, calls, number) in anywhere.into_iter().chain(steps) {
        let trace = Trace::in_directory(directory.path());
        let file = file.map(|file| data.join(file));
        let fault = format!("{calls}:signal=KILL:when={number}");
        let watched = trace.of(&serve(&data), file.as_deref(), calls, Some(&fault));
        if let Ok(process) = Process::of(watched) {
            let is_struck = populations.any(|population| {
                let lost = ledger.deliver(&process, CONNECTIONS, bodies(population), |_| {});
                !lost.is_empty()
            });
            assert!(is_struck, "{fault} struck nobody");
        }

        ledger.assert_kept(&Process::start(&data));
    }

    assert!(ledger.acknowledged() > 0);
    assert_served_follows_from_the_log(&data, &mut ledger);
}

#[test]
fn a_kill_while_rows_are_written_at_the_close_loses_nothing() {
    if !strace::is_present() {
        return;
    }
    let calls = "write,writev,pwrite64,fsync,fdatasync";
    // What a first close writes, behind what the making of the store has written, and before which call it is killed.
    #[rustfmt::skip]
    let steps = [
        ("log/index/tables/1",                1), // nothing of the table is there
        ("log/index/tables/1",                2),
        ("log/index/v2",                      1), // the table is whole, and nothing names it
        ("projections/generation-1/tables/1", 1),
        ("projections/generation-1/tables/1", 2),
        ("projections/generation-1/v2",       1),
    ];

    for ((file, number), population) in steps.into_iter().zip(populations(100)) {
        let directory = tempdir().unwrap();
        let data = directory.path().join("data");
        let trace = Trace::in_directory(directory.path());
        let fault = format!("{calls}:signal=KILL:when={number}");
        let watched = trace.of(&serve(&data), Some(&data.join(file)), calls, Some(&fault));
        let process = Process::of(watched).unwrap();
        let mut ledger = Ledger::default();
        ledger.deliver(&process, CONNECTIONS, bodies(population), |_| {});
        process.terminate();
        let ended = process.wait();

        assert_eq!(ended.status.code(), None, "{file} was not written");
        assert_served_follows_from_the_log(&data, &mut ledger);
    }
}
