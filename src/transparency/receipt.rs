//! C2SP tlog-proof: a receipt for one leaf, which can be checked offline, for ever.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::SignedCheckpoint;
use super::decimal;
use super::hash::Hash;
use super::note::{Note, NoteError};
use super::policy::{Policy, UntrustedCheckpoint};
use super::proof::{ProofError, check_inclusion};

/// How many hashes a receipt may have: as many as a tree of 2⁶⁴ leaves is high.
pub const PROOF_HASHES_MAX: usize = 64;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1\n";

/// Says that a leaf lies in a log. Whoever holds it has to [check](Self::check) it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What else the log tells about the leaf, which nothing authenticates.
    pub extra: Option<Vec<u8>>,
    /// Where the leaf lies.
    pub index: u64,
    /// The siblings from the leaf up to the root.
    pub proof: Vec<Hash>,
    /// The checkpoint whose root they lead to.
    pub checkpoint: Note,
}

/// Why bytes are no receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// It does not begin with the name of the format.
    #[error("the receipt does not begin with c2sp.org/tlog-proof@v1")]
    OtherFormat,
    /// It has no empty line before a checkpoint, or its first part is not UTF-8.
    #[error("the receipt is not lines of text, an empty line and a checkpoint")]
    Malformed,
    /// The extra data is empty, or not in base64.
    #[error("the extra line of the receipt is not base64")]
    ExtraInvalid,
    /// There is no index line, or it holds no number.
    #[error("the receipt has no index in its only spelling")]
    IndexInvalid,
    /// A line of the proof is no hash.
    #[error("a line of the receipt's proof is not 32 bytes in standard base64")]
    HashInvalid,
    /// It has more than [`PROOF_HASHES_MAX`] hashes.
    #[error("the receipt has more than {PROOF_HASHES_MAX} hashes")]
    ProofTooLong,
    /// Its checkpoint is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// Why a receipt does not show that a leaf lies in a trusted log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptRefused {
    /// Its checkpoint is not to be believed.
    #[error(transparent)]
    Untrusted(#[from] UntrustedCheckpoint),
    /// Its proof does not lead from the leaf to the checkpoint's root.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl Receipt {
    /// Reads a receipt.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        let bytes = bytes
            .strip_prefix(FIRST_LINE.as_bytes())
            .ok_or(ReceiptError::OtherFormat)?;
        let (lines, checkpoint) = split_at_empty_line(bytes).ok_or(ReceiptError::Malformed)?;
        let mut lines = lines.split('\n').peekable();
        let extra = lines
            .next_if(|line| line.starts_with("extra "))
            .map(|line| parse_extra(line).ok_or(ReceiptError::ExtraInvalid))
            .transpose()?;
        let index = lines
            .next()
            .and_then(|line| decimal::parse(line.strip_prefix("index ")?))
            .ok_or(ReceiptError::IndexInvalid)?;
        let proof = lines.take(PROOF_HASHES_MAX + 1).map(str::parse);
        let proof = proof
            .collect::<Result<Vec<Hash>, _>>()
            .map_err(|_| ReceiptError::HashInvalid)?;
        if proof.len() > PROOF_HASHES_MAX {
            return Err(ReceiptError::ProofTooLong);
        }
        let checkpoint = Note::parse(checkpoint)?;
        Ok(Self {
            extra,
            index,
            proof,
            checkpoint,
        })
    }

    /// Checks that the leaf with this hash lies in a log that the policy trusts, and returns the checkpoint that
    /// says so.
    pub fn check(&self, leaf: &Hash, policy: &Policy) -> Result<SignedCheckpoint, ReceiptRefused> {
        let checkpoint = policy.authenticate(&self.checkpoint)?;
        check_inclusion(leaf, self.index, &checkpoint.tree(), &self.proof)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(FIRST_LINE)?;
        if let Some(extra) = &self.extra {
            writeln!(formatter, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(formatter, "index {}", self.index)?;
        for hash in &self.proof {
            writeln!(formatter, "{hash}")?;
        }
        write!(formatter, "\n{}", self.checkpoint)
    }
}

/// Returns the text before the first empty line, without its line break, and the bytes behind it.
pub(super) fn split_at_empty_line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let (text, rest) = bytes.split_at_checked(end)?;
    Some((str::from_utf8(text).ok()?, rest.strip_prefix(b"\n\n")?))
}

fn parse_extra(line: &str) -> Option<Vec<u8>> {
    let extra = STANDARD.decode(line.strip_prefix("extra ")?).ok()?;
    (!extra.is_empty()).then_some(extra)
}
