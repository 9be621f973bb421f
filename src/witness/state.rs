//! What a witness remembers of one log: the checkpoint that it cosigned last, in a file of its own.
//!
//! The file is that checkpoint with the signature of the log and the cosignature of the witness, so it proves itself. A
//! torn or foreign one is refused: to take it for a log that was never seen would let that log begin another history.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::log::durable::{create_whole, sync_directory};
use crate::transparency::checkpoint::{SignedCheckpoint, UnauthenticCheckpoint};
use crate::transparency::hash::{EMPTY_ROOT, TreeHead};
use crate::transparency::key::{KeyName, VerifierKey};
use crate::transparency::note::{Note, NoteError, WrongSignature};

/// Why a witness cannot begin with what its directory holds.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process has the directory.
    #[error("the state directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// A file or directory cannot be read or made.
    #[error("{} cannot be used", path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what this witness wrote.
    #[error(
        "{} is not the checkpoint of {origin} that this witness cosigned last; put the newest copy back, or begin \
         again with another key: whoever forgets may cosign a fork", path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// The log that it should be of.
        origin: KeyName,
        /// What is wrong with it.
        source: Damage,
    },
}

/// Why the bytes of a file are no checkpoint that the witness cosigned.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// They are no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The log did not sign it.
    #[error(transparent)]
    Unauthentic(#[from] UnauthenticCheckpoint),
    /// A cosignature in the name of the witness is not the witness's.
    #[error(transparent)]
    WrongSignature(#[from] WrongSignature),
    /// The witness did not cosign it.
    #[error("the checkpoint is not cosigned by {0}")]
    NotCosigned(KeyName),
}

/// Creates the directory if need be, and keeps every other process out of it while the file that is returned is open.
pub(super) fn take(directory: &Path) -> Result<File, StateError> {
    let unusable = |source| StateError::Unusable {
        path: directory.to_owned(),
        source,
    };
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(unusable(error)),
        Err(_) | Ok(()) => {}
    }
    // At every start: if we stopped between making the directory and this, a power cut could still take it away, with
    // every head in it.
    let resolved = directory.canonicalize().map_err(unusable)?;
    resolved
        .parent()
        .map_or(Ok(()), sync_directory)
        .map_err(unusable)?;
    let lock = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(directory.join("lock"))
        .map_err(unusable)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StateError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Returns the name that C2SP tlog-witness gives a log in paths: the SHA-256 of its origin.
pub(super) fn origin_hash(origin: &str) -> String {
    hex::encode(Sha256::digest(origin))
}

/// The checkpoint of one log that was cosigned last, if any was.
pub(super) struct State {
    path: PathBuf,
    latest: Option<Cosigned>,
    /// Whether the last write did not come to its end: what a restart would find is unknown.
    is_uncertain: bool,
}

struct Cosigned {
    tree: TreeHead,
    note: String,
}

impl State {
    /// Reads what `directory` holds of a log; nothing, if the log was never seen.
    pub(super) fn open(
        directory: &Path,
        log: &VerifierKey,
        witness: &VerifierKey,
    ) -> Result<Self, StateError> {
        let path = directory.join(origin_hash(log.name().as_str()));
        let latest = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(StateError::Unusable { path, source }),
            Ok(bytes) => match parse(&bytes, log, witness) {
                Ok(cosigned) => Some(cosigned),
                Err(source) => {
                    let origin = log.name().clone();
                    return Err(StateError::Damaged {
                        path,
                        origin,
                        source,
                    });
                }
            },
        };
        Ok(Self {
            path,
            latest,
            is_uncertain: false,
        })
    }

    /// Returns size and root of the log as it was cosigned last.
    pub(super) fn tree(&self) -> TreeHead {
        let empty = TreeHead {
            size: 0,
            root: EMPTY_ROOT,
        };
        self.latest.as_ref().map_or(empty, |latest| latest.tree)
    }

    /// Returns the checkpoint that was cosigned last.
    pub(super) fn note(&self) -> Option<&str> {
        self.latest.as_ref().map(|latest| latest.note.as_str())
    }

    /// Returns whether a write has failed. The kernel tells a failed sync only once, so that only a restart, which
    /// reads the file again, can know what it holds.
    pub(super) fn is_uncertain(&self) -> bool {
        self.is_uncertain
    }

    /// Keeps a cosigned checkpoint; once this has returned, no power cut takes it back. If we stop before, the file
    /// holds the old one or this one whole, and nobody has the cosignature.
    pub(super) fn keep(&mut self, tree: TreeHead, note: String) -> io::Result<()> {
        self.is_uncertain = true;
        create_whole(&self.path, |mut file| file.write_all(note.as_bytes()))?;
        self.latest = Some(Cosigned { tree, note });
        self.is_uncertain = false;
        Ok(())
    }
}

fn parse(bytes: &[u8], log: &VerifierKey, witness: &VerifierKey) -> Result<Cosigned, Damage> {
    let checkpoint = SignedCheckpoint::authenticate(Note::parse(bytes)?, log)?;
    if checkpoint.note().signature_by(witness)?.is_none() {
        return Err(Damage::NotCosigned(witness.name().clone()));
    }
    Ok(Cosigned {
        tree: checkpoint.tree(),
        note: checkpoint.note().to_string(),
    })
}
