//! Projections: what catch-up promises to those who wait for it, and what becomes of a store that is damaged.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use avow::log::Log;
use avow::log::rows::database::Database;
use avow::projections::bulk::watch::Watch;
use avow::projections::bulk::{self, RUN_BYTES};
use avow::projections::catch_up::catch_up;
use avow::projections::generations::Generations;
use avow::projections::live::Live;
use avow::projections::store::StartedAfresh;
use serde_json::{Value, json};
use state_machine::id::SequenceNumber;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event};
use crate::support::log::{Home, append, append_events, numbered_body, open_without_entry_1};
use crate::support::rows;
use crate::support::server::Server;

const CACHE_BYTES: u64 = 1 << 20;

#[test]
fn catch_up_ends_where_the_log_ended_when_it_began() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..3);
    let directory = home.path().with_file_name("projections");
    let (live, _) = Live::open(&directory, CACHE_BYTES, &log).unwrap();
    let mut appended = 3;

    // Each round makes work for the next one, as a steady load does.
    let cursor = catch_up(
        &live.store(),
        |next| log.entries_from(next),
        |_, _| {
            if appended < 20 {
                append(&log, &numbered_body(appended));
                appended += 1;
            }
        },
    );

    assert_eq!(cursor.unwrap(), SequenceNumber(3));
    assert_eq!(log.size(), 6);
}

#[test]
fn an_entry_that_can_be_read_nowhere_is_an_anomaly_until_it_can() {
    let mut home = Home::in_memory();
    home.options.journal_segment_bytes = 4 * 1024 * 1024;
    let (log, _) = open_without_entry_1(&home);
    let segment = home.path().join("journal/00000000000000000000.segment");
    let whole = fs::read(&segment).unwrap();
    flip_bytes(segment.parent().unwrap(), b"evt_000001");
    let directory = home.data_dir().join("projections");

    let (live, _) = Live::open(&directory, CACHE_BYTES, &log).unwrap();
    let bulk = live.shadow().unwrap();
    bulk::fold(&log, &bulk, &Watch::default(), RUN_BYTES).unwrap();
    assert_eq!(fold(&live, &log), [("damaged_entry".to_owned(), 1)]);
    assert_eq!(live.store().digest().unwrap(), bulk.digest().unwrap());
    let without = live.store().digest().unwrap();
    drop((live, bulk));

    let file = File::options().write(true).open(&segment).unwrap();
    file.write_all_at(&whole, 0).unwrap();
    let (live, afresh) = Live::open(&directory, CACHE_BYTES, &log).unwrap();
    assert_eq!(afresh, Some(StartedAfresh::EntryReadable));
    assert_eq!(fold(&live, &log), []);
    assert_ne!(live.store().digest().unwrap(), without);
}

/// Folds what is not folded, and returns how many anomalies of each rule there are.
fn fold(live: &Live, log: &Log) -> Vec<(String, u64)> {
    let store = live.store();
    catch_up(&store, |next| log.entries_from(next), |_, _| {}).unwrap();
    live.view()
        .anomalies_by_rule()
        .unwrap()
        .into_iter()
        .collect()
}

/// Writes bytes that no record has over every value of a keyspace.
fn write_over(database: &Database, name: &str) {
    let keyspace = rows::keyspace(database, name);
    let rows = rows::rows(database, &keyspace);
    assert!(!rows.is_empty());
    for (key, _) in rows {
        keyspace.insert(key, [0xff; 3]).unwrap();
    }
}

/// Flips a byte of these words wherever they stand in the files of a folder.
fn flip_bytes(directory: &Path, words: &[u8]) {
    let mut flipped = 0;
    for file in fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        let places: Vec<_> = (0..bytes.len())
            .filter(|place| bytes[*place..].starts_with(words))
            .collect();
        for place in &places {
            bytes[*place] ^= 1;
        }
        fs::write(&path, bytes).unwrap();
        flipped += places.len();
    }
    assert!(flipped > 0);
}

/// Damages stopped projections so that `path` cannot be answered, and asserts that the next start mends that.
fn assert_mended(path: &str, damage: impl FnOnce(&Path)) {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    for (id, name) in [("evt_1", "created"), ("evt_2", "processing")] {
        server.record(&Delivery::event(&event(id, "vs_1", "user_1", name, 10)));
    }
    let late = event("evt_3", "vs_1", "user_1", "created", 20);
    server.record(&Delivery::event(&late));
    // Their records lie before it, so that it has a block of its own.
    for number in 10..70 {
        let (id, session) = (format!("evt_0{number}"), format!("vs_0{number}"));
        server.record(&Delivery::event(&event(
            &id, &session, "user_0", "created", 10,
        )));
    }
    let before = server.read(path);
    drop(server);

    let generations = Generations::of(&directory.path().join("projections"));
    damage(&generations.current().unwrap().unwrap());
    let damaged = Server::start(directory.path()).get(path);
    let after = Server::start(directory.path()).read(path);

    assert_eq!(damaged.status(), 500, "{path}");
    assert_eq!(before, after, "{path}");
}

#[test]
fn a_damaged_record_or_row_is_folded_afresh_at_the_next_start() {
    let cases = [
        ("sessions", "/v1/sessions/vs_1"),
        ("users", "/v1/users/user_1"),
        ("listings", "/v1/anomalies"),
    ];

    for (name, path) in cases {
        assert_mended(path, |directory| {
            write_over(&rows::open(directory), name);
        });
    }
}

#[test]
fn an_event_that_cannot_be_folded_is_not_acknowledged_and_not_lost() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let [created, processing] = [("evt_1", "created"), ("evt_2", "processing")]
        .map(|(id, name)| Delivery::event(&event(id, "vs_1", "user_1", name, 10)));
    server.record(&created);
    drop(server);
    let generations = Generations::of(&directory.path().join("projections"));
    let current = generations.current().unwrap().unwrap();
    write_over(&rows::open(&current), "sessions");

    let server = Server::start(directory.path());
    let refused = server.deliver(&processing);
    let ready = server.get_plain("/readyz");

    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("Retry-After"));
    assert_eq!(ready.status(), 503);
    let ready: Value = ready.json().unwrap();
    assert_eq!(ready["obstacle"], "the projections cannot be written");
    drop(server);
    let restarted = Server::start(directory.path());
    let again: Value = restarted.deliver(&processing).json().unwrap();
    assert_eq!(
        again,
        json!({ "received": true, "sequence": 1, "duplicate": true })
    );
    let session = restarted.read("/v1/sessions/vs_1");
    assert_eq!(
        (&session["status"], &session["events"]),
        (&json!("processing"), &json!(2))
    );
}

#[test]
fn a_flipped_byte_in_a_file_of_records_is_folded_afresh_at_the_next_start() {
    assert_mended("/v1/sessions/vs_1", |directory| {
        flip_bytes(&directory.join("tables"), b"evt_2");
    });
}
