//! An entry: the leaf (clear, immutable, versioned binary) and the sealed payload beside it.

use state_machine::event::Event;
use state_machine::id::{SequenceNumber, SessionId, World};
use state_machine::time::ReceivedAt;

use crate::stripe::decode::{EventForm, Unreadable};
use crate::stripe::secret::SecretFingerprint;

/// A record in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What an auditor may see.
    pub leaf: Leaf,
    /// The encrypted raw body and signature header.
    pub sealed: Vec<u8>,
}

/// The immutable clear part of an entry: no user reference, no metadata, no free text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its place.
    pub sequence: SequenceNumber,
    /// When its delivery was received.
    pub received_at: ReceivedAt,
    /// Which secret authenticated it.
    pub secret: SecretFingerprint,
    /// What it says.
    pub fact: Fact,
    /// What binds the payload to it.
    pub payload: PayloadDigest,
}

/// What an entry says, by kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// An event of a session.
    Event(SessionFact),
    /// The same event id with other facts: kept, shown, never folded.
    Conflict(SessionFact),
    /// An authentic body that could not be read.
    Unreadable(UnreadableFact),
}

/// The closed, non-personal part of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFact {
    /// Its world.
    pub world: World,
    /// Its session.
    pub session: SessionId,
    /// Whether it held a snapshot.
    pub form: EventForm,
    /// Its facts, its user tagged.
    pub event: Event,
    /// The API version that rendered it.
    pub api_version: Option<String>,
}

/// What is known of a body that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableFact {
    /// Why it could not be read, and its event's id where that much could.
    pub unreadable: Unreadable,
    /// A keyed hash of the body, by which it is known again.
    pub body_tag: [u8; 16],
}

/// What binds a sealed payload to its leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadDigest {
    /// SHA-256 of the sealed payload.
    pub sealed_sha256: [u8; 32],
    /// Keyed commitment to the plaintext.
    pub commitment: [u8; 32],
    /// Length of the plaintext.
    pub plaintext_bytes: u32,
}
