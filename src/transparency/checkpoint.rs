//! C2SP checkpoints: a log's statement of its size and root, as the text of a signed note.

use std::fmt;
use std::str::FromStr;

use state_machine::time::Timestamp;

use super::cosignature::split;
use super::decimal;
use super::hash::TreeHead;
use super::key::{KeyName, VerifierKey};
use super::note::{
    Note, NoteError, NoteSignature, WrongSignature, parse_signatures, signatures_by,
};
use super::signing_key::{BeforeEpoch, CosigningKey, SigningKey};

/// What a log states: which log it is, and its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    tree: TreeHead,
    extensions: Vec<String>,
}

/// Why a text is no checkpoint's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It has fewer than three lines, an empty one, or does not end with a line break.
    #[error("the checkpoint is not three or more lines, none of them empty")]
    Malformed,
    /// Its second line is no size.
    #[error("the size of the checkpoint is no number in its only spelling")]
    SizeInvalid,
    /// Its third line is no hash.
    #[error("the root of the checkpoint is not 32 bytes in standard base64")]
    RootInvalid,
}

/// A checkpoint that its log signed. Only [`SignedCheckpoint::sign`] and [`SignedCheckpoint::authenticate`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

/// Why a note is not a checkpoint that the log with this key signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnauthenticCheckpoint {
    /// Its text is no checkpoint's.
    #[error(transparent)]
    Malformed(#[from] CheckpointError),
    /// It is of another log.
    #[error("the checkpoint is of the log {found}, not of {expected}")]
    OtherLog {
        /// The log it names.
        found: String,
        /// The log whose key is known.
        expected: KeyName,
    },
    /// It bears no signature by the key.
    #[error("the checkpoint is not signed by the key of {0}")]
    Unsigned(KeyName),
    /// It bears a signature in the key's name that the key did not make.
    #[error(transparent)]
    WrongSignature(#[from] WrongSignature),
}

/// Why a witness's answer holds no cosignature of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not made of signature lines, or the checkpoint has no room for more.
    #[error(transparent)]
    Malformed(#[from] NoteError),
    /// It bears a signature in the witness's name that the witness did not make for this checkpoint.
    #[error(transparent)]
    WrongSignature(#[from] WrongSignature),
    /// It bears no cosignature by the witness.
    #[error("the answer holds no cosignature by {0}")]
    NotCosigned(KeyName),
}

impl Checkpoint {
    /// Returns which log it is of.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the log's size and root.
    pub fn tree(&self) -> TreeHead {
        self.tree
    }

    /// Returns the lines behind the root, which mean nothing here.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.origin)?;
        writeln!(formatter, "{}\n{}", self.tree.size, self.tree.root)?;
        for extension in &self.extensions {
            writeln!(formatter, "{extension}")?;
        }
        Ok(())
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let lines = text.strip_suffix('\n').ok_or(CheckpointError::Malformed)?;
        let lines: Vec<&str> = lines.split('\n').collect();
        let [origin, size, root, extensions @ ..] = lines.as_slice() else {
            return Err(CheckpointError::Malformed);
        };
        if lines.contains(&"") {
            return Err(CheckpointError::Malformed);
        }
        Ok(Self {
            origin: (*origin).to_owned(),
            tree: TreeHead {
                size: decimal::parse(size).ok_or(CheckpointError::SizeInvalid)?,
                root: root.parse().map_err(|_| CheckpointError::RootInvalid)?,
            },
            extensions: extensions.iter().map(|line| (*line).to_owned()).collect(),
        })
    }
}

impl SignedCheckpoint {
    /// Signs the head of the log that is named as the key is.
    pub fn sign(tree: TreeHead, key: &SigningKey) -> Self {
        let checkpoint = Checkpoint {
            origin: key.verifier_key().name().to_string(),
            tree,
            extensions: Vec::new(),
        };
        let note = Note::sign_checked(checkpoint.to_string(), key);
        Self { checkpoint, note }
    }

    /// Returns the checkpoint in a note that was signed by the log with this key.
    pub fn authenticate(note: Note, log: &VerifierKey) -> Result<Self, UnauthenticCheckpoint> {
        let checkpoint: Checkpoint = note.text().parse()?;
        let name = log.name();
        if checkpoint.origin != name.as_str() {
            return Err(UnauthenticCheckpoint::OtherLog {
                found: checkpoint.origin,
                expected: name.clone(),
            });
        }
        if note.signature_by(log)?.is_none() {
            return Err(UnauthenticCheckpoint::Unsigned(name.clone()));
        }
        Ok(Self { checkpoint, note })
    }

    /// Returns what the log stated.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Returns the log's size and root.
    pub fn tree(&self) -> TreeHead {
        self.checkpoint.tree
    }

    /// Returns the note, with all its signatures; its text is the checkpoint byte for byte as it came.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// Returns the cosignature of a witness that saw it at this time.
    pub fn cosign(
        &self,
        witness: &CosigningKey,
        at: Timestamp,
    ) -> Result<NoteSignature, BeforeEpoch> {
        witness.cosign(self.note.text(), at)
    }

    /// Adds the cosignature by `witness` that its answer holds, the latest of several, and returns its time. Nothing
    /// else is added: neither signatures by others nor more by one witness than leaves room for all.
    pub fn add_cosignature(
        &mut self,
        answer: &str,
        witness: &VerifierKey,
    ) -> Result<Timestamp, AnswerError> {
        let signatures = parse_signatures(answer)?;
        let (at, latest) = signatures_by(witness, self.note.text(), &signatures)?
            .into_iter()
            .filter_map(|signature| Some((split(signature.bytes())?.0, signature)))
            .max_by_key(|(at, _)| *at)
            .ok_or_else(|| AnswerError::NotCosigned(witness.name().clone()))?;
        self.note.add(latest.clone())?;
        Ok(at)
    }
}
