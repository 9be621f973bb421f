//! Derived rows: what is in memory and what is in tables is one, and what a kill leaves is a prefix of the batches.

use std::fs;
use std::path::Path;

use avow::log::rows::database::{Database, Memory};
use tempfile::tempdir;

const CURSOR: &[u8] = b"cursor";
const BATCHES: u64 = 400;

/// Opens a database that writes a table every few dozen batches.
fn open(directory: &Path) -> Database {
    let memory = Memory {
        cache_bytes: 1024 * 1024,
        rows_bytes_max: 16 * 1024,
    };
    Database::open(directory, memory).unwrap()
}

/// Writes batches of which each has a row of its own, one that each writes over, and the cursor.
fn write(database: &Database, numbers: std::ops::Range<u64>) {
    let (rows, cursor) = (database.keyspace(b'r'), database.keyspace(b'c'));
    for number in numbers {
        let mut batch = database.batch();
        batch.insert(&rows, number.to_be_bytes(), number.to_be_bytes());
        batch.insert(&rows, b"the same", number.to_be_bytes());
        batch.insert(&cursor, CURSOR, (number + 1).to_be_bytes());
        batch.commit().unwrap();
    }
}

/// Asserts that the rows are those of the batches that the cursor counts, and returns how many these are.
fn counted(database: &Database) -> u64 {
    let (rows, cursor) = (database.keyspace(b'r'), database.keyspace(b'c'));
    let cursor = cursor.get(CURSOR).unwrap();
    let end = cursor.map_or(0, |cursor| {
        u64::from_be_bytes((*cursor).try_into().unwrap())
    });
    let mut wanted: Vec<_> = (0..end)
        .map(|number| (number.to_be_bytes().to_vec(), number.to_be_bytes().to_vec()))
        .collect();
    if let Some(last) = end.checked_sub(1) {
        wanted.push((b"the same".to_vec(), last.to_be_bytes().to_vec()));
    }
    let stored: Vec<_> = database
        .snapshot()
        .iter(&rows)
        .map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec())))
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(
        stored == wanted,
        "{} rows, the cursor at {end}",
        stored.len()
    );
    end
}

#[test]
fn a_clean_close_keeps_every_row() {
    let directory = tempdir().unwrap();
    let database = open(directory.path());
    write(&database, 0..BATCHES);
    drop(database);

    assert_eq!(counted(&open(directory.path())), BATCHES);
}

#[test]
fn rows_that_are_lost_with_memory_are_the_last_ones_and_can_be_written_again() {
    let directory = tempdir().unwrap();
    let database = open(directory.path());
    write(&database, 0..BATCHES);
    // As a kill would: nothing is written at the close.
    database.set_disposable(true);
    drop(database);

    let database = open(directory.path());
    let kept = counted(&database);
    assert!(kept > 0 && kept < BATCHES, "{kept}");
    write(&database, kept..BATCHES);
    assert_eq!(counted(&database), BATCHES);
    drop(database);

    assert_eq!(counted(&open(directory.path())), BATCHES);
}

#[test]
fn a_batch_that_is_written_twice_is_written_once() {
    let directory = tempdir().unwrap();
    let database = open(directory.path());
    write(&database, 0..BATCHES);

    write(&database, BATCHES / 2..BATCHES);

    assert_eq!(counted(&database), BATCHES);
}

#[test]
fn a_snapshot_stays_as_it_was_while_tables_are_written_and_merged() {
    let directory = tempdir().unwrap();
    let database = open(directory.path());
    let rows = database.keyspace(b'r');
    write(&database, 0..3);
    let snapshot = database.snapshot();
    let before: Vec<_> = snapshot.iter(&rows).map(Result::unwrap).collect();

    write(&database, 3..BATCHES);
    rows.remove(1_u64.to_be_bytes()).unwrap();
    database.make_durable().unwrap();

    let after: Vec<_> = snapshot.iter(&rows).map(Result::unwrap).collect();
    assert_eq!(before.len(), 4);
    assert_eq!(after, before);
    assert!(snapshot.get(&rows, 1_u64.to_be_bytes()).unwrap().is_some());
    assert_eq!(snapshot.get(&rows, 3_u64.to_be_bytes()).unwrap(), None);
}

#[test]
fn a_removed_row_is_gone_whether_it_was_in_memory_or_in_a_table() {
    let directory = tempdir().unwrap();
    let database = open(directory.path());
    let rows = database.keyspace(b'r');
    for key in [b"ab", b"ac", b"ad"] {
        rows.insert(key, []).unwrap();
    }
    database.make_durable().unwrap();
    rows.insert(b"ae", []).unwrap();

    rows.remove(b"ac").unwrap();
    rows.remove(b"ae").unwrap();

    for _ in ["in memory", "in a table"] {
        let keys: Vec<_> = database
            .snapshot()
            .prefix(&rows, b"a")
            .map(|row| row.unwrap().0.to_vec())
            .collect();
        assert_eq!(keys, [b"ab", b"ad"]);
        assert_eq!(rows.get(b"ac").unwrap(), None);
        database.make_durable().unwrap();
    }
}

#[test]
fn rows_are_ingested_in_bulk_beside_those_of_other_keyspaces() {
    let directory = tempdir().unwrap();
    let database = open(directory.path());
    write(&database, 0..10);
    let bulk = database.keyspace(b'b');
    let mut ingestion = bulk.start_ingestion().unwrap();
    for number in 0..1_000_u64 {
        ingestion
            .write(number.to_be_bytes(), b"row".as_slice())
            .unwrap();
    }
    assert_eq!(database.snapshot().iter(&bulk).count(), 0);

    ingestion.finish().unwrap();

    assert_eq!(database.snapshot().iter(&bulk).count(), 1_000);
    assert_eq!(counted(&database), 10);
    database.set_disposable(true);
    drop(database);
    let database = open(directory.path());
    assert_eq!(
        database.snapshot().iter(&database.keyspace(b'b')).count(),
        1_000
    );
}

#[test]
fn a_database_is_open_once() {
    let directory = tempdir().unwrap();
    let database = open(directory.path());

    let memory = Memory {
        cache_bytes: 0,
        rows_bytes_max: 0,
    };
    assert!(Database::open(directory.path(), memory).is_err());

    drop(database);
    assert_eq!(counted(&open(directory.path())), 0);
}

/// Has every table that is written fail, until the place of the tables is given back.
fn take_place_of_tables(directory: &Path) -> impl FnOnce() + use<> {
    let (tables, away) = (directory.join("tables"), directory.join("away"));
    fs::rename(&tables, &away).unwrap();
    fs::write(&tables, "no directory").unwrap();
    move || {
        fs::remove_file(&tables).unwrap();
        fs::rename(&away, &tables).unwrap();
    }
}

/// Writes batches from this number on until one is refused, and returns its number.
fn write_until_refused(database: &Database, from: u64) -> u64 {
    let rows = database.keyspace(b'r');
    let cursor = database.keyspace(b'c');
    (from..from + 100 * BATCHES)
        .find(|number| {
            let mut batch = database.batch();
            batch.insert(&rows, number.to_be_bytes(), number.to_be_bytes());
            batch.insert(&rows, b"the same", number.to_be_bytes());
            batch.insert(&cursor, CURSOR, (number + 1).to_be_bytes());
            batch.commit().is_err()
        })
        .expect("memory is bounded")
}

#[test]
fn a_batch_that_finds_no_room_is_not_written_and_is_once_there_is_some() {
    let directory = tempdir().unwrap();
    let database = open(directory.path());
    write(&database, 0..10);

    let give_back = take_place_of_tables(directory.path());
    let refused = write_until_refused(&database, 10);
    let again = [1, 2, 3].map(|_| write_until_refused(&database, refused));
    give_back();
    let seen = counted(&database);
    write(&database, refused..refused + BATCHES);

    assert_eq!((again, seen), ([refused; 3], refused));
    drop(database);
    assert_eq!(counted(&open(directory.path())), refused + BATCHES);
}

#[test]
fn a_close_that_cannot_write_ends_and_leaves_the_first_batches() {
    let directory = tempdir().unwrap();
    let database = open(directory.path());
    write(&database, 0..10);
    database.make_durable().unwrap();

    let give_back = take_place_of_tables(directory.path());
    write_until_refused(&database, 10);
    drop(database);
    give_back();

    let database = open(directory.path());
    assert_eq!(counted(&database), 10);
    write(&database, 10..BATCHES);
    assert_eq!(counted(&database), BATCHES);
}
