//! An ingestion: many rows of one keyspace, in their order, written straight into tables.

use std::sync::Arc;

use lsm_tree::{AnyIngestion, Slice};

use super::database::Shared;
use super::keyspace::Keyspace;

/// Rows on their way into tables, where nobody sees them before it is finished.
pub struct Ingestion<'keyspace> {
    shared: &'keyspace Arc<Shared>,
    keyspace: &'keyspace Keyspace,
    tables: AnyIngestion<'keyspace>,
}

impl<'keyspace> Ingestion<'keyspace> {
    pub(super) fn begin(
        shared: &'keyspace Arc<Shared>,
        keyspace: &'keyspace Keyspace,
    ) -> lsm_tree::Result<Self> {
        Ok(Self {
            shared,
            keyspace,
            tables: shared.tree.ingestion()?,
        })
    }

    /// Writes a row, whose key is behind the one before.
    pub fn write(
        &mut self,
        key: impl AsRef<[u8]>,
        value: impl Into<Slice>,
    ) -> lsm_tree::Result<()> {
        let key = self.keyspace.key(key.as_ref());
        self.tables.write(key, value.into())
    }

    /// Makes the rows durable, and shows them.
    pub fn finish(self) -> lsm_tree::Result<()> {
        let _writing = self.shared.lock_writing();
        self.tables.finish()?;
        self.shared.publish_all();
        self.shared.want_merging();
        Ok(())
    }
}
