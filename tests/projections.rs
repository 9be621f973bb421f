//! Projections: what catch-up promises to those who wait for it, and what becomes of a store that is damaged.

use std::fs;
use std::path::Path;

use avow::log::rows::database::Database;
use avow::projections::catch_up::catch_up;
use avow::projections::generations::Generations;
use avow::projections::live::Live;
use state_machine::id::SequenceNumber;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event};
use crate::support::log::{Home, append, append_events, numbered_body};
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

/// Writes bytes that no record has over every value of a keyspace.
fn write_over(database: &Database, name: &str) {
    let keyspace = rows::keyspace(database, name);
    let rows = rows::rows(database, &keyspace);
    assert!(!rows.is_empty());
    for (key, _) in rows {
        keyspace.insert(key, [0xff; 3]).unwrap();
    }
}

/// Flips a byte of these words wherever they stand in the files of records.
fn flip_bytes(directory: &Path, words: &[u8]) {
    let mut flipped = 0;
    for table in fs::read_dir(directory.join("tables")).unwrap() {
        let path = table.unwrap().path();
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
fn a_flipped_byte_in_a_file_of_records_is_folded_afresh_at_the_next_start() {
    assert_mended("/v1/sessions/vs_1", |directory| {
        flip_bytes(directory, b"evt_2");
    });
}
