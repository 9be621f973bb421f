//! The body of a request `add-checkpoint` of C2SP tlog-witness.

use std::fmt;

use super::decimal;
use super::hash::Hash;
use super::note::{Note, NoteError};
use super::receipt::split_at_empty_line;

/// How many hashes a request may have.
pub const PROOF_HASHES_MAX: usize = 63;

/// A checkpoint for a witness to cosign, and the proof that it continues the one that the witness cosigned last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the checkpoint that the witness cosigned last, 0 if there was none.
    pub old_size: u64,
    /// The consistency proof from that size.
    pub proof: Vec<Hash>,
    /// The checkpoint, not yet authenticated.
    pub checkpoint: Note,
}

/// Why bytes are no such request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddCheckpointError {
    /// It has no empty line before a checkpoint, or its first part is not UTF-8.
    #[error("the request is not lines of text, an empty line and a checkpoint")]
    Malformed,
    /// There is no line of the old size, or it holds no number.
    #[error("the request has no old size in its only spelling")]
    OldSizeInvalid,
    /// A line of the proof is no hash.
    #[error("a line of the request's proof is not 32 bytes in standard base64")]
    HashInvalid,
    /// It has more than [`PROOF_HASHES_MAX`] hashes.
    #[error("the request has more than {PROOF_HASHES_MAX} hashes")]
    ProofTooLong,
    /// Its checkpoint is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
}

impl AddCheckpoint {
    /// Reads the body of a request.
    pub fn parse(bytes: &[u8]) -> Result<Self, AddCheckpointError> {
        let (lines, checkpoint) =
            split_at_empty_line(bytes).ok_or(AddCheckpointError::Malformed)?;
        let mut lines = lines.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| decimal::parse(line.strip_prefix("old ")?))
            .ok_or(AddCheckpointError::OldSizeInvalid)?;
        let proof = lines.take(PROOF_HASHES_MAX + 1).map(str::parse);
        let proof = proof
            .collect::<Result<Vec<Hash>, _>>()
            .map_err(|_| AddCheckpointError::HashInvalid)?;
        if proof.len() > PROOF_HASHES_MAX {
            return Err(AddCheckpointError::ProofTooLong);
        }
        let checkpoint = Note::parse(checkpoint)?;
        Ok(Self {
            old_size,
            proof,
            checkpoint,
        })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "old {}", self.old_size)?;
        for hash in &self.proof {
            writeln!(formatter, "{hash}")?;
        }
        write!(formatter, "\n{}", self.checkpoint)
    }
}
