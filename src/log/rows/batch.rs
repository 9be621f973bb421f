//! A batch: rows that are written together, and that a snapshot sees together.

use std::sync::Arc;

use lsm_tree::{AbstractTree, Slice};

use super::database::Shared;
use super::keyspace::Keyspace;

/// Rows to write, and rows to remove. A key stands in it once.
pub struct Batch {
    shared: Arc<Shared>,
    rows: Vec<(Vec<u8>, Option<Slice>)>,
}

impl Batch {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            rows: Vec::new(),
        }
    }

    /// Writes a row.
    pub fn insert(&mut self, keyspace: &Keyspace, key: impl AsRef<[u8]>, value: impl Into<Slice>) {
        let key = keyspace.key(key.as_ref());
        self.rows.push((key, Some(value.into())));
    }

    /// Removes a row.
    pub fn remove(&mut self, keyspace: &Keyspace, key: impl AsRef<[u8]>) {
        self.rows.push((keyspace.key(key.as_ref()), None));
    }

    /// Shows all of it to whoever reads from here on. Waits if the tables are too far behind, and fails if they cannot
    /// be written: nothing of it is written then.
    pub fn commit(self) -> lsm_tree::Result<()> {
        let Self { shared, rows } = self;
        let _writing = shared.lock_writing();
        // Before anything is seen, so that whoever is told of a failure can do the same again.
        shared.make_room()?;
        let number = shared.numbers.next();
        for (key, value) in rows {
            match value {
                Some(value) => shared.tree.insert(key, value, number),
                None => shared.tree.remove(key, number),
            };
        }
        shared.publish(number);
        Ok(())
    }
}
