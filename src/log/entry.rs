//! An entry: the leaf (clear, immutable, versioned binary) and the sealed payload beside it.

use state_machine::event::Event;
use state_machine::history::Arrival;
use state_machine::horizon::Horizon;
use state_machine::id::{OverrideId, SequenceNumber, SessionId, UserTag, World};
use state_machine::overrides::Action;
use state_machine::retry::policy::Policy;
use state_machine::time::{ReceivedAt, Timestamp};

use super::access::AccessFact;
use super::vault::KeySlot;
use crate::stripe::decode::{EventForm, Unreadable};
use crate::stripe::secret::SecretFingerprint;

/// A record in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What an auditor may see.
    pub leaf: Leaf,
    /// The encrypted payload: of a delivery its raw body and signature header, of an operator's entry their words.
    /// Empty if the leaf names none, or if it was removed.
    pub sealed: Vec<u8>,
}

/// The immutable clear part of an entry: no user reference, no metadata, no free text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its place.
    pub sequence: SequenceNumber,
    /// When its delivery was received; of an entry without a delivery, when it was made.
    pub received_at: ReceivedAt,
    /// Which secret authenticated its delivery, if there was one.
    pub secret: Option<SecretFingerprint>,
    /// Where the key lies that its payload is sealed with, or would be: a session's for good.
    pub key_slot: KeySlot,
    /// What it says.
    pub fact: Fact,
    /// What binds the payload to it; none if it was recorded without one.
    pub payload: Option<PayloadDigest>,
}

impl Leaf {
    /// Returns when we knew what it says.
    pub fn arrival(&self) -> Arrival {
        Arrival {
            sequence: self.sequence,
            received_at: self.received_at,
        }
    }

    /// Returns whether what it says lies within a horizon.
    pub fn is_within(&self, horizon: &Horizon) -> bool {
        match &self.fact {
            Fact::Event(fact) | Fact::Conflict(fact) => {
                horizon.admits(fact.event.created, self.arrival())
            }
            Fact::Unreadable(_)
            | Fact::Erasure(_)
            | Fact::ErasureDone(_)
            | Fact::Hold(_)
            | Fact::Release(_)
            | Fact::Override(_)
            | Fact::Configuration(_)
            | Fact::Access(_) => horizon.admits_own(self.arrival()),
        }
    }
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
    /// Payloads are to be erased: the durable intent.
    Erasure(ErasureFact),
    /// They have been.
    ErasureDone(ErasureDoneFact),
    /// Payloads must not be erased: a legal hold.
    Hold(Subject),
    /// The hold is over.
    Release(Subject),
    /// This retry policy decides from here on.
    Configuration(Policy),
    /// What an operator decided about a user; the payload says who and why.
    Override(OverrideFact),
    /// Somebody has had to do with personal data, or with what is kept; the payload says in words who and by what.
    Access(AccessFact),
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

/// What shares one key, and is erased or held as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Where its key lies, or lay.
    pub key_slot: KeySlot,
    /// What it is.
    pub name: SubjectName,
}

/// What a key was made for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectName {
    /// The payloads of a session.
    Session(World, SessionId),
    /// The payload of one entry of no session.
    Entry(SequenceNumber),
}

/// That payloads are to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureFact {
    /// Whose.
    pub subject: Subject,
    /// Why.
    pub cause: ErasureCause,
}

/// Why payloads are erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErasureCause {
    /// Stripe has redacted the session: this entry says so.
    Redacted(SequenceNumber),
    /// An operator wants it; the payload says who and why.
    Operator,
}

/// That payloads have been erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErasureDoneFact {
    /// Whose.
    pub subject: Subject,
    /// The entry that wanted it.
    pub erasure: SequenceNumber,
    /// How many payloads there were.
    pub payloads: u64,
}

/// What an operator decided about a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverrideFact {
    /// The world in which it holds.
    pub world: World,
    /// Whom it concerns.
    pub user: UserTag,
    /// Its own id.
    pub id: OverrideId,
    /// What was decided.
    pub action: Action,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// By what its request is known again, if it can be.
    pub request: Option<RequestTag>,
}

/// Keyed hashes by which a request is known again when it is made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestTag {
    /// Of the idempotency key.
    pub key: [u8; 16],
    /// Of what was asked for, by whom and why.
    pub content: [u8; 16],
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
