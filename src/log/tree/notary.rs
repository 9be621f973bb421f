//! The notary: the thread that appends to the tree behind the commits, and signs what it has become.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, select, tick};

use super::checkpoints::CheckpointFile;
use crate::log::shared::Shared;
use crate::transparency::checkpoint::SignedCheckpoint;
use crate::transparency::frontier::Frontier;
use crate::transparency::hash::Hash;
use crate::transparency::signing_key::SigningKey;

/// How often a checkpoint is signed while the log grows. With the time that a sync takes it stays below a second.
const SIGN_EVERY: Duration = Duration::from_millis(750);

/// The notary's own state. It alone has the private key.
pub(in crate::log) struct Notary {
    pub(super) key: SigningKey,
    pub(super) frontier: Frontier,
    pub(super) checkpoints: CheckpointFile,
}

impl Notary {
    /// Appends the leaves of groups that are durable, until the sequencer has ended, and then signs the end. A failure
    /// stops all writing.
    pub(in crate::log) fn run(
        mut self,
        shared: &Arc<Shared>,
        groups: &Receiver<Vec<Hash>>,
        end: &Receiver<Infallible>,
    ) {
        if let Err(error) = self.attest(shared, groups, end) {
            drop(shared.stop.set(&error));
            shared.tail.wake();
        }
    }

    fn attest(
        &mut self,
        shared: &Shared,
        groups: &Receiver<Vec<Hash>>,
        end: &Receiver<Infallible>,
    ) -> std::io::Result<()> {
        let ticks = tick(SIGN_EVERY);
        loop {
            // No commit wakes this thread: nobody is shown a hash that no checkpoint covers.
            let has_ended = select! {
                recv(ticks) -> _ => false,
                recv(end) -> _ => true,
            };
            let leaves = groups.try_iter().flatten();
            shared.tree.levels.append(&mut self.frontier, leaves)?;
            self.sign(shared)?;
            if has_ended {
                return Ok(());
            }
        }
    }

    /// Signs the head of the tree, unless it is signed. Its hashes are in the files by now: who sees the checkpoint can
    /// ask for them.
    fn sign(&mut self, shared: &Shared) -> std::io::Result<()> {
        let head = self.frontier.head();
        if shared.tree.published().latest.tree() == head {
            return Ok(());
        }
        let checkpoint = SignedCheckpoint::sign(head, &self.key);
        self.checkpoints.append(checkpoint.note())?;
        // Only now: were it lost after somebody has seen it, the log would look rolled back.
        let mut published = shared.tree.published();
        published.latest = Arc::new(checkpoint);
        published.signed_at = (shared.options.clock)();
        Ok(())
    }
}
