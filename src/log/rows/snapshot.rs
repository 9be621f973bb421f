//! A snapshot: the rows as they stood at one moment, whatever is written meanwhile.

use std::cmp::Ordering;
use std::ops::{Bound, Deref};
use std::sync::Arc;

use lsm_tree::{AbstractTree, Guard, IterGuardImpl, SeqNo, Slice};

use super::database::Shared;
use super::keyspace::Keyspace;

/// The rows as they stood at one moment.
pub struct Snapshot {
    shared: Arc<Shared>,
    moment: SeqNo,
}

/// The key of a row, without what tells its keyspace.
#[derive(Debug, Clone)]
pub struct Key(Slice);

impl Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.get(1..).unwrap_or_default()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

/// A key and its value.
pub type Row = (Key, Slice);

/// Rows in the order of their keys, read as they are asked for.
pub struct Rows(Box<dyn DoubleEndedIterator<Item = IterGuardImpl> + Send + 'static>);

impl Iterator for Rows {
    type Item = lsm_tree::Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(row)
    }
}

impl DoubleEndedIterator for Rows {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(row)
    }
}

fn row(read: IterGuardImpl) -> lsm_tree::Result<Row> {
    let (key, value) = read.into_inner()?;
    Ok((Key(key), value))
}

impl Snapshot {
    pub(super) fn of(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            moment: shared.begin_snapshot(),
        }
    }

    /// Returns the value of a row.
    pub fn get(
        &self,
        keyspace: &Keyspace,
        key: impl AsRef<[u8]>,
    ) -> lsm_tree::Result<Option<Slice>> {
        let key = keyspace.key(key.as_ref());
        self.shared.tree.get(key, self.moment)
    }

    /// Returns the rows of a keyspace.
    pub fn iter(&self, keyspace: &Keyspace) -> Rows {
        self.range(keyspace, (Bound::Unbounded, Bound::Unbounded))
    }

    /// Returns the rows whose keys begin so.
    pub fn prefix(&self, keyspace: &Keyspace, prefix: impl AsRef<[u8]>) -> Rows {
        let prefix = keyspace.key(prefix.as_ref());
        Rows(self.shared.tree.prefix(prefix, self.moment, None))
    }

    /// Returns the rows whose keys lie between.
    pub fn range(
        &self,
        keyspace: &Keyspace,
        (low, high): (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> Rows {
        let range = (keyspace.low(low), keyspace.high(high));
        let rows = self
            .shared
            .tree
            .range::<Vec<u8>, _>(range, self.moment, None);
        Rows(rows)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        self.shared.end_snapshot(self.moment);
    }
}
