//! Opening the tree: what is stored is believed as far as the last checkpoint confirms it, and the log is held to every
//! checkpoint that was signed.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use state_machine::time::ReceivedAt;

use super::checkpoints::{CheckpointFile, Opened, recorded_checkpoints};
use super::levels::Levels;
use super::notary::Notary;
use super::{Cosigned, Published, Tree, hash_of, read_cosigned};
use crate::log::open_error::{OpenError, Repair, Repairs};
use crate::log::paths::Paths;
use crate::log::record::Record;
use crate::log::store::Store;
use crate::transparency::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::transparency::frontier::Frontier;
use crate::transparency::hash::{Hash, TreeHead};
use crate::transparency::signing_key::SigningKey;
use crate::transparency::subtree::head_at;

/// How many leaves before the last checkpoint are compared one by one, and how many further back.
const CHECKED_LEAVES: u64 = 1_024;
const SPOT_CHECKS: u64 = 64;
/// How many leaves are appended at once.
const BATCH_LEAVES: u64 = 4_096;

/// Opens the tree of a log of `size` entries, and what goes on with it.
pub(in crate::log) fn open(
    paths: &Paths,
    key: SigningKey,
    store: &Store,
    size: u64,
    repairs: &mut Repairs,
) -> Result<(Tree, Notary), OpenError> {
    let Opened {
        file: mut checkpoints,
        last,
        damaged_at,
    } = CheckpointFile::open(&paths.checkpoints)?;
    repairs.extend(damaged_at.map(|offset| Repair::CheckpointDamaged {
        path: paths.checkpoints.clone(),
        offset,
    }));
    let last = last.map(|note| SignedCheckpoint::authenticate(note, key.verifier_key()));
    let last = last.transpose().map_err(|cause| OpenError::Checkpoint {
        path: paths.checkpoints.clone(),
        cause,
    })?;
    let signed = last
        .as_ref()
        .map_or(Frontier::new().head(), SignedCheckpoint::tree);
    if size < signed.size {
        return Err(OpenError::BehindCheckpoint {
            there: size,
            signed: signed.size,
        });
    }
    let levels = Levels::open(&paths.tree)?;
    let mut stored = StoredTree {
        levels: &levels,
        store,
    };
    let frontier = if stored.is_confirmed(signed)? {
        stored.check_leaves(signed.size)?;
        stored.frontier(signed.size, size)?
    } else {
        repairs.extend((signed.size > 0).then_some(Repair::TreeRebuilt));
        stored.check_checkpoints(&paths.checkpoints, signed.size)?;
        stored.frontier(0, size)?
    };
    let latest = if let Some(last) = last {
        last
    } else {
        let first = SignedCheckpoint::sign(signed, &key);
        checkpoints.append(first.note())?;
        first
    };
    let cosigned = read_cosigned(&paths.cosigned).filter(|(_, size)| *size <= signed.size);
    let published = Published {
        latest: Arc::new(latest),
        signed_at: written_at(&paths.checkpoints)?,
        cosigned: cosigned.map(|(note, size)| Cosigned {
            note: Arc::new(note),
            size,
            at: ReceivedAt(0),
        }),
    };
    let tree = Tree {
        verifier_key: key.verifier_key().clone(),
        levels,
        checkpoints: paths.checkpoints.clone(),
        cosigned: paths.cosigned.clone(),
        published: Mutex::new(published),
        witnesses: Mutex::default(),
    };
    let notary = Notary {
        key,
        frontier,
        checkpoints,
    };
    Ok((tree, notary))
}

/// Returns when a file was written last.
fn written_at(path: &Path) -> io::Result<ReceivedAt> {
    let since_epoch = path.metadata()?.modified()?.duration_since(UNIX_EPOCH);
    let milliseconds = since_epoch.unwrap_or_default().as_millis();
    Ok(ReceivedAt(i64::try_from(milliseconds).unwrap_or(i64::MAX)))
}

struct StoredTree<'log> {
    levels: &'log Levels,
    store: &'log Store,
}

impl StoredTree<'_> {
    /// Tells whether the stored tree is the one that was signed.
    fn is_confirmed(&self, signed: TreeHead) -> io::Result<bool> {
        if self.levels.size()? < signed.size {
            return Ok(false);
        }
        let head = head_at(signed.size, |level, range| self.levels.read(level, &range));
        Ok(head.is_ok_and(|head| head == signed))
    }

    /// Compares leaves with the tree that was signed; if one differs, names the first that does.
    fn check_leaves(&self, signed: u64) -> Result<(), OpenError> {
        let near = signed.saturating_sub(CHECKED_LEAVES)..signed;
        let step = usize::try_from(near.start / SPOT_CHECKS)
            .unwrap_or(usize::MAX)
            .max(1);
        let spots = (0..near.start).step_by(step);
        for sequence in spots.chain(near) {
            if !self.is_signed(sequence)? {
                let first = self.first_changed(sequence)?;
                return Err(OpenError::EntriesChanged {
                    entries: first..first + 1,
                });
            }
        }
        Ok(())
    }

    fn first_changed(&self, known: u64) -> Result<u64, OpenError> {
        for sequence in 0..known {
            if !self.is_signed(sequence)? {
                return Ok(sequence);
            }
        }
        Ok(known)
    }

    fn is_signed(&self, sequence: u64) -> Result<bool, OpenError> {
        let signed = self.levels.read(0, &(sequence..sequence + 1))?;
        Ok(signed == [self.leaf(sequence)?])
    }

    /// Hashes the log anew, and holds it to every checkpoint; names the entries among which the first bad one is.
    fn check_checkpoints(&self, path: &Path, size: u64) -> Result<(), OpenError> {
        let mut frontier = Frontier::new();
        for note in recorded_checkpoints(path)? {
            let Ok(checkpoint) = note?.text().parse::<Checkpoint>() else {
                continue;
            };
            let good = frontier.size();
            for sequence in good..checkpoint.tree().size.min(size) {
                frontier.push(self.leaf(sequence)?, |_, _| {});
            }
            if frontier.head() != checkpoint.tree() {
                return Err(OpenError::EntriesChanged {
                    entries: good..checkpoint.tree().size,
                });
            }
        }
        Ok(())
    }

    /// Keeps what is stored of the first `kept` leaves, hashes those up to `size`, and returns the right edge.
    fn frontier(&mut self, kept: u64, size: u64) -> Result<Frontier, OpenError> {
        // What lies behind was never signed: after a power cut, it may be anything.
        self.levels.cut(kept)?;
        let read = |level, range: Range<u64>| self.levels.read(level, &range);
        let mut frontier =
            Frontier::read(kept, read).map_err(|error| OpenError::Tree(error.to_string()))?;
        while frontier.size() < size {
            let end = size.min(frontier.size() + BATCH_LEAVES);
            let leaves = (frontier.size()..end).map(|sequence| self.leaf(sequence));
            let leaves = leaves.collect::<Result<Vec<_>, _>>()?;
            self.levels.append(&mut frontier, leaves)?;
        }
        Ok(frontier)
    }

    fn leaf(&self, sequence: u64) -> Result<Hash, OpenError> {
        let missing = || OpenError::EntriesMissing {
            missing: std::iter::once(sequence..sequence + 1).collect(),
        };
        let bytes = self.store.record(sequence)?.ok_or_else(missing)?;
        Record::parse(&bytes)
            .map(|record| hash_of(&record))
            .ok_or_else(missing)
    }
}
