//! A keyspace: the rows of one kind. Those of one database lie in one tree, so that they are written together.

use std::ops::Bound;
use std::sync::Arc;

use lsm_tree::{AbstractTree, SeqNo, Slice};

use super::batch::Batch;
use super::database::Shared;
use super::ingestion::Ingestion;

/// The rows of one kind.
#[derive(Clone)]
pub struct Keyspace {
    shared: Arc<Shared>,
    prefix: u8,
}

impl Keyspace {
    pub(super) fn of(shared: &Arc<Shared>, prefix: u8) -> Self {
        Self {
            shared: Arc::clone(shared),
            prefix,
        }
    }

    /// Returns the value of the latest row of this key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> lsm_tree::Result<Option<Slice>> {
        self.shared.tree.get(self.key(key.as_ref()), SeqNo::MAX)
    }

    /// Writes one row.
    pub fn insert(&self, key: impl AsRef<[u8]>, value: impl Into<Slice>) -> lsm_tree::Result<()> {
        let mut batch = Batch::of(&self.shared);
        batch.insert(self, key, value);
        batch.commit()
    }

    /// Removes one row.
    pub fn remove(&self, key: impl AsRef<[u8]>) -> lsm_tree::Result<()> {
        let mut batch = Batch::of(&self.shared);
        batch.remove(self, key);
        batch.commit()
    }

    /// Begins to write many rows in their order, straight into tables.
    pub fn start_ingestion(&self) -> lsm_tree::Result<Ingestion<'_>> {
        Ingestion::begin(&self.shared, self)
    }

    pub(super) fn key(&self, key: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(key.len().saturating_add(1));
        bytes.push(self.prefix);
        bytes.extend_from_slice(key);
        bytes
    }

    pub(super) fn low(&self, bound: Bound<Vec<u8>>) -> Bound<Vec<u8>> {
        match bound {
            Bound::Unbounded => Bound::Included(vec![self.prefix]),
            Bound::Included(key) => Bound::Included(self.key(&key)),
            Bound::Excluded(key) => Bound::Excluded(self.key(&key)),
        }
    }

    pub(super) fn high(&self, bound: Bound<Vec<u8>>) -> Bound<Vec<u8>> {
        match bound {
            Bound::Unbounded => Bound::Excluded(vec![self.prefix.saturating_add(1)]),
            Bound::Included(key) => Bound::Included(self.key(&key)),
            Bound::Excluded(key) => Bound::Excluded(self.key(&key)),
        }
    }
}
