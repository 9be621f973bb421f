//! The rows of stopped projections, to be read and changed from outside.

use std::path::Path;

use avow::log::rows::database::{Database, Memory};
use avow::log::rows::keyspace::Keyspace;

pub(crate) fn open(directory: &Path) -> Database {
    let memory = Memory {
        cache_bytes: 1024 * 1024,
        rows_bytes_max: 1024 * 1024,
    };
    Database::open(directory, memory).unwrap()
}

/// Returns the keyspace of this name, of which the first letter is stored.
pub(crate) fn keyspace(database: &Database, name: &str) -> Keyspace {
    database.keyspace(name.as_bytes()[0])
}

pub(crate) fn rows(database: &Database, keyspace: &Keyspace) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = database.snapshot().iter(keyspace).map(Result::unwrap);
    rows.map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect()
}
