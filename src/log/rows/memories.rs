//! Memories that are full, held for a while longer than the tree needs them.
//!
//! Whoever lets go of one last frees a hundred thousand rows, one by one. The tree would do so under the lock that every
//! reader and writer takes.

use std::sync::{Arc, Mutex};

use lsm_tree::{AbstractTree, AnyTree, Memtable};

use super::database::lock;

/// What was full, and may still be read.
#[derive(Default)]
pub(super) struct Memories(Mutex<Vec<Arc<Memtable>>>);

impl Memories {
    /// Has the rows in memory wait to be written, and begins an empty memory.
    pub(super) fn rotate(&self, tree: &AnyTree) {
        let full = tree.rotate_memtable();
        lock(&self.0).extend(full);
    }

    /// Frees what nobody else holds any more.
    pub(super) fn free(&self) {
        let mut held = lock(&self.0);
        let unused: Vec<_> = held
            .extract_if(.., |memory| Arc::strong_count(memory) == 1)
            .collect();
        // Before it is freed: whoever rotates does not wait for that either.
        drop(held);
        drop(unused);
    }
}
