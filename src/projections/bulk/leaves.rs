//! The first step: the log's leaves, sorted by session.

use std::thread;

use crossbeam_channel::{Sender, bounded};
use state_machine::id::SequenceNumber;

use super::packed::Packed;
use super::sorter::Sorter;
use super::users::Contribution;
use super::watch::Watch;
use super::{FoldError, spawn};
use crate::log::Log;
use crate::log::entry::Leaf;
use crate::log::leaf::LeafError;
use crate::log::outline::Outline;
use crate::projections::key;
use crate::projections::listing::{self, ListedAnomaly};
use crate::projections::policies;
use crate::projections::take_in::{Concern, concern, damaged};

/// How many bytes are handed from thread to thread at once, about.
const BATCH_BYTES: usize = 256 * 1024;
/// How many of these may wait.
const BATCHES_WAITING: usize = 4;

/// What was read of consecutive entries.
#[derive(Default)]
struct Batch {
    entries: u64,
    /// Leaves by the key of their session.
    leaves: Packed,
    /// Leaves of overrides by the key of their user, as contributions to that user's record.
    users: Packed,
    /// The rows of policies.
    policies: Packed,
    /// The rows of those that belong to none.
    strays: Packed,
}

/// What is sorted.
pub(super) struct Outputs<'fold> {
    pub(super) sessions: &'fold mut Sorter,
    pub(super) users: &'fold mut Sorter,
    pub(super) rows: &'fold mut Sorter,
    pub(super) strays: &'fold mut Sorter,
}

/// Sorts the leaves of the entries below `end` by the key of their session or user, and lists those that belong to
/// neither.
pub(super) fn sort(
    log: &Log,
    end: SequenceNumber,
    watch: &Watch,
    outputs: Outputs<'_>,
) -> Result<(), FoldError> {
    let Outputs {
        sessions,
        users,
        rows,
        strays,
    } = outputs;
    thread::scope(|scope| {
        // Ends with this closure, so that behind an error the reader finds nobody to read for, and ends too.
        let (sender, batches) = bounded::<Batch>(BATCHES_WAITING);
        let reading = spawn(scope, "fold-reader", watch, move || {
            read(log, end, &sender);
            Ok(())
        })?;
        for batch in &batches {
            watch.count(batch.entries)?;
            sessions.push_all(&batch.leaves)?;
            users.push_all(&batch.users)?;
            rows.push_all(&batch.policies)?;
            strays.push_all(&batch.strays)?;
        }
        reading.join().map_err(|_| FoldError::Thread)?
    })
}

fn read(log: &Log, end: SequenceNumber, batches: &Sender<Batch>) {
    let mut leaves = log.leaves(SequenceNumber(0)..end);
    let mut batch = Batch::default();
    let mut key = Vec::new();
    for sequence in 0..end.0 {
        match leaves.next_leaf() {
            Some(Ok(leaf)) => match Outline::of(leaf) {
                Some(outline) => {
                    let world = (outline.livemode, outline.account.unwrap_or_default());
                    key::put_session(&mut key, world, outline.session);
                    let put = |bytes: &mut Vec<u8>| outline.put_bare(bytes);
                    batch.leaves.push_with(&key, put);
                }
                None => batch.add_other(SequenceNumber(sequence), leaf),
            },
            Some(Err(error)) => {
                tracing::error!(entry.sequence = sequence, %error, "an entry is not folded");
                batch.add_stray(&damaged(error.sequence));
            }
            None => break,
        }
        batch.entries += 1;
        if batch.leaves.byte_count() >= BATCH_BYTES {
            let whole = std::mem::take(&mut batch);
            if batches.send(whole).is_err() {
                return;
            }
        }
    }
    // Nobody is there to read for only if folding has failed.
    drop(batches.send(batch));
}

impl Batch {
    /// Adds a leaf that is neither an event nor a conflict.
    fn add_other(&mut self, sequence: SequenceNumber, bytes: &[u8]) {
        let leaf = match Leaf::decode(bytes) {
            Ok(leaf) => leaf,
            Err(error) => return self.add_unknown(sequence, &error),
        };
        match concern(&leaf) {
            Concern::Session(world, id) => {
                self.leaves.push(&key::session(world, id), bytes);
            }
            Concern::User(world, tag) => {
                let contribution = Contribution::Entry(bytes);
                let put = |to: &mut Vec<u8>| contribution.put(to);
                self.users.push_with(&key::user(world, tag), put);
            }
            Concern::Stray(anomaly) => self.add_stray(&anomaly),
            Concern::Policy(policy) => {
                let (key, row) = policies::row(policy, leaf.arrival());
                self.policies.push(&key, &row);
            }
            Concern::Nothing => {}
        }
    }

    fn add_unknown(&mut self, sequence: SequenceNumber, error: &LeafError) {
        tracing::error!(entry.sequence = sequence.0, %error, "an entry is not folded");
        self.add_stray(&damaged(sequence));
    }

    fn add_stray(&mut self, anomaly: &ListedAnomaly) {
        let (key, row) = listing::anomaly_row(None, anomaly);
        self.strays.push(&key, &row);
    }
}
