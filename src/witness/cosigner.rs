//! The witness: cosigns a checkpoint if it continues the one that it cosigned last, and refuses it otherwise.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use state_machine::time::Timestamp;

use super::state::{State, StateError, origin_hash, take};
use crate::transparency::add_checkpoint::{AddCheckpoint, AddCheckpointError};
use crate::transparency::checkpoint::{
    Checkpoint, CheckpointError, SignedCheckpoint, UnauthenticCheckpoint,
};
use crate::transparency::key::{KeyName, SignatureType, VerifierKey};
use crate::transparency::note::NoteSignature;
use crate::transparency::proof::{ProofError, check_consistency};
use crate::transparency::signing_key::CosigningKey;

/// A witness of some logs. Shared by reference between threads.
pub struct Witness {
    key: CosigningKey,
    /// By origin.
    logs: BTreeMap<String, WatchedLog>,
    clock: fn() -> Timestamp,
    /// Keeps other processes out of the directory: two witnesses with one key could cosign a fork.
    _lock: File,
}

struct WatchedLog {
    key: VerifierKey,
    state: Mutex<State>,
}

/// Why a witness cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A key that signs no checkpoints.
    #[error("the key of {0} is one of a witness, not of a log")]
    NotALog(KeyName),
    /// Two keys of one log.
    #[error("{0} is named twice")]
    NamedTwice(KeyName),
    /// What it remembers cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Why a checkpoint is not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request is no request.
    #[error(transparent)]
    Malformed(#[from] AddCheckpointError),
    /// What should be cosigned is no checkpoint.
    #[error(transparent)]
    NotACheckpoint(#[from] CheckpointError),
    /// The old size is greater than the new one.
    #[error("the old size {old} is greater than the size {new} of the checkpoint")]
    OldSizeGreater {
        /// The old size.
        old: u64,
        /// The size of the checkpoint.
        new: u64,
    },
    /// The witness does not watch this log.
    #[error("the log is not one of those that are watched here")]
    UnknownLog,
    /// The log did not sign it.
    #[error(transparent)]
    Unauthentic(#[from] UnauthenticCheckpoint),
    /// The request does not start from what was cosigned last.
    #[error("the checkpoint that was cosigned last has size {cosigned}")]
    OtherOldSize {
        /// The size from which to start.
        cosigned: u64,
    },
    /// The checkpoint is not shown to continue what was cosigned last.
    #[error(transparent)]
    Inconsistent(#[from] ProofError),
    /// The clock is wrong.
    #[error("the clock of the witness does not know the time")]
    NoTime,
    /// The checkpoint could not be kept.
    #[error("the checkpoint could not be kept")]
    NotKept(#[source] io::Error),
    /// An earlier checkpoint of the log could not be kept.
    #[error("nothing is cosigned for this log until the witness is started again")]
    Stopped,
}

impl Witness {
    /// Begins with what `directory` holds; other processes are kept out of it.
    pub fn open(
        key: CosigningKey,
        logs: Vec<VerifierKey>,
        directory: &Path,
        clock: fn() -> Timestamp,
    ) -> Result<Self, OpenError> {
        let lock = take(directory)?;
        let mut watched = BTreeMap::new();
        for log in logs {
            let name = log.name().clone();
            if log.signature_type() != SignatureType::Ed25519 {
                return Err(OpenError::NotALog(name));
            }
            let state = Mutex::new(State::open(directory, &log, key.verifier_key())?);
            let log = WatchedLog { key: log, state };
            if watched.insert(name.to_string(), log).is_some() {
                return Err(OpenError::NamedTwice(name));
            }
        }
        Ok(Self {
            key,
            logs: watched,
            clock,
            _lock: lock,
        })
    }

    /// Answers a request `add-checkpoint`: returns the cosignature once nothing can make the witness forget it.
    pub fn add_checkpoint(&self, request: &[u8]) -> Result<NoteSignature, Refusal> {
        let request = AddCheckpoint::parse(request)?;
        let claimed: Checkpoint = request.checkpoint.text().parse()?;
        let log = self.logs.get(claimed.origin()).ok_or(Refusal::UnknownLog)?;
        let checkpoint = SignedCheckpoint::authenticate(request.checkpoint, &log.key)?;
        let tree = checkpoint.tree();
        if request.old_size > tree.size {
            let (old, new) = (request.old_size, tree.size);
            return Err(Refusal::OldSizeGreater { old, new });
        }
        // Held from the comparison until the new head is durable: otherwise two checkpoints could both be compared with
        // the same old one, and both, or the smaller one last, be cosigned.
        let mut state = log.state();
        if state.is_uncertain() {
            return Err(Refusal::Stopped);
        }
        let latest = state.tree();
        if request.old_size != latest.size {
            let cosigned = latest.size;
            return Err(Refusal::OtherOldSize { cosigned });
        }
        check_consistency(&latest, &tree, &request.proof)
            .inspect_err(|_| report_if_forked(&state, &checkpoint))?;
        let cosignature = self.cosign(&checkpoint)?;
        // Before the cosignature leaves. If we stop in between, the head is ahead of what anyone has: the log is told its
        // size, submits the same checkpoint again, and gets a cosignature.
        state
            .keep(tree, log.note(&checkpoint, &cosignature))
            .map_err(Refusal::NotKept)?;
        Ok(cosignature)
    }

    /// Returns the checkpoint that was cosigned last for the log with this hash of its origin, as a note.
    pub fn latest(&self, hash: &str) -> Option<String> {
        let mut logs = self.logs.iter();
        let (_, log) = logs.find(|(origin, _)| origin_hash(origin) == hash)?;
        log.state().note().map(str::to_owned)
    }

    /// Returns whether a checkpoint of each log can be cosigned.
    pub fn is_well(&self) -> bool {
        !self.logs.values().any(|log| log.state().is_uncertain())
    }

    fn cosign(&self, checkpoint: &SignedCheckpoint) -> Result<NoteSignature, Refusal> {
        let now = (self.clock)();
        // The format takes the time 0 for none.
        if now == Timestamp(0) {
            return Err(Refusal::NoTime);
        }
        checkpoint
            .cosign(&self.key, now)
            .map_err(|_| Refusal::NoTime)
    }
}

impl WatchedLog {
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic within a write leaves the state uncertain, which it says itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the checkpoint with the signature of the log and the cosignature, and without what anyone else added.
    fn note(&self, checkpoint: &SignedCheckpoint, cosignature: &NoteSignature) -> String {
        let note = checkpoint.note();
        let is_by_log = |signature: &&NoteSignature| {
            signature.name() == self.key.name() && signature.key_id() == self.key.id()
        };
        let signatures = note.signatures().iter().find(is_by_log).into_iter();
        let lines = signatures
            .chain([cosignature])
            .map(|signature| format!("{signature}\n"));
        format!("{}\n{}", note.text(), lines.collect::<String>())
    }
}

/// Tells the operator that a log signed two trees of one size, with the evidence: nobody can make that but the log.
fn report_if_forked(state: &State, checkpoint: &SignedCheckpoint) {
    let (latest, tree) = (state.tree(), checkpoint.tree());
    if tree.size == latest.size && tree.root != latest.root {
        tracing::error!(
            cosigned = state.note(),
            forked = %checkpoint.note(),
            "a log has forked: it signed another tree of the size that was cosigned"
        );
    }
}
