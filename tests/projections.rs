//! Projections: what catch-up promises to those who wait for it, and what becomes of a store that is damaged.

use std::fs;
use std::path::Path;

use avow::projections::catch_up::catch_up;
use avow::projections::generations::Generations;
use avow::projections::live::Live;
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use state_machine::id::SequenceNumber;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event};
use crate::support::log::{Home, append, append_events, numbered_body};
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

fn keyspace(database: &Database, name: &str) -> Keyspace {
    let options = KeyspaceCreateOptions::default;
    database.keyspace(name, options).unwrap()
}

/// Writes bytes that no record has over every value of a keyspace.
fn write_over(database: &Database, name: &str) {
    let keyspace = keyspace(database, name);
    let keys: Vec<_> = keyspace.iter().map(|row| row.key().unwrap()).collect();
    assert!(!keys.is_empty());
    for key in keys {
        keyspace.insert(key, [0xff; 3]).unwrap();
    }
}

/// Flips a byte of every file that holds records.
fn flip_bytes(directory: &Path) {
    let keyspaces = fs::read_dir(directory.join("keyspaces")).unwrap();
    let tables = keyspaces.filter_map(|keyspace| {
        let tables = keyspace.unwrap().path().join("tables");
        (!tables.ends_with("0/tables")).then(|| fs::read_dir(tables).unwrap())
    });
    let mut flipped = 0;
    for table in tables.flatten() {
        let path = table.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        bytes[60] ^= 1;
        fs::write(&path, bytes).unwrap();
        flipped += 1;
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
            write_over(&Database::builder(directory).open().unwrap(), name);
        });
    }
}

#[test]
fn a_flipped_byte_in_a_file_of_records_is_folded_afresh_at_the_next_start() {
    assert_mended("/v1/sessions/vs_1", |directory| {
        let database = Database::builder(directory).open().unwrap();
        // Moves the records from the journal to a file of their own.
        keyspace(&database, "sessions")
            .rotate_memtable_and_wait()
            .unwrap();
        drop(database);
        flip_bytes(directory);
    });
}
