//! The bytes of a leaf: what the log keeps for good and what hashes are taken of. Fixed, versioned, by hand;
//! a golden test holds them.
//!
//! Version, kind and sequence stand first, at fixed places; the fact of that kind stands last.

use sha2::{Digest, Sha256};
use state_machine::id::{EventId, SequenceNumber};
use state_machine::time::ReceivedAt;

use super::access_fact::{access, put_access};
use super::binary::{Fields, put_text};
use super::configuration_fact::{policy, put_policy};
use super::entry::{Fact, Leaf, PayloadDigest, UnreadableFact};
use super::erasure_fact;
use super::override_fact::{override_fact, put_override};
use super::session_fact::{put_session_fact, session_fact};
use super::vault::KeySlot;
use crate::stripe::decode::{Unreadable, UnreadableReason};
use crate::stripe::secret::SecretFingerprint;

pub(super) const VERSION: u8 = 2;
/// Where the kind stands, with the sequence number behind it.
const KIND_AT: usize = 1;
/// Kinds 4, 6 and 10 are reserved: observation, reservation, attestation.
pub(super) const KIND_EVENT: u8 = 1;
pub(super) const KIND_CONFLICT: u8 = 2;
const KIND_UNREADABLE: u8 = 3;
const KIND_OVERRIDE: u8 = 5;
const KIND_ERASURE: u8 = 7;
const KIND_ERASURE_DONE: u8 = 8;
const KIND_CONFIGURATION: u8 = 9;
const KIND_HOLD: u8 = 11;
const KIND_RELEASE: u8 = 12;
const KIND_ACCESS: u8 = 13;

/// Where the flags stand, behind version, kind, sequence, time of receipt and key slot.
pub(super) const FLAGS_AT: usize = 2 + 8 + 8 + 8;
const HAS_SECRET: u8 = 1;
const HAS_PAYLOAD: u8 = 1 << 1;
/// How long the digest of a payload is.
const PAYLOAD_DIGEST_BYTES: usize = 4 + 32 + 32;

/// Why bytes are no leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// The version is not known.
    #[error("leaf version {0} was written by another avow; this one reads version 2")]
    UnknownVersion(u8),
    /// The kind is not known.
    #[error("entry kind {0} was written by a newer avow")]
    UnknownKind(u8),
    /// A field is cut short or holds what it cannot hold.
    #[error("the leaf's {0} is cut short or not valid")]
    Field(&'static str),
    /// Bytes are left over.
    #[error("bytes follow the leaf")]
    TrailingBytes,
}

impl Leaf {
    /// Returns the leaf's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(320);
        bytes.extend_from_slice(&[VERSION, kind(&self.fact)]);
        bytes.extend_from_slice(&self.sequence.0.to_le_bytes());
        bytes.extend_from_slice(&self.received_at.0.to_le_bytes());
        bytes.extend_from_slice(&self.key_slot.0.to_le_bytes());
        let secret = self.secret.map_or(0, |_| HAS_SECRET);
        bytes.push(secret | self.payload.as_ref().map_or(0, |_| HAS_PAYLOAD));
        if let Some(secret) = self.secret {
            bytes.extend_from_slice(&secret.0);
        }
        if let Some(payload) = &self.payload {
            bytes.extend_from_slice(&payload.plaintext_bytes.to_le_bytes());
            bytes.extend_from_slice(&payload.sealed_sha256);
            bytes.extend_from_slice(&payload.commitment);
        }
        match &self.fact {
            Fact::Event(fact) | Fact::Conflict(fact) => put_session_fact(&mut bytes, fact),
            Fact::Unreadable(fact) => put_unreadable(&mut bytes, fact),
            Fact::Erasure(fact) => erasure_fact::put_erasure(&mut bytes, fact),
            Fact::ErasureDone(fact) => erasure_fact::put_erasure_done(&mut bytes, fact),
            Fact::Hold(subject) | Fact::Release(subject) => {
                erasure_fact::put_subject(&mut bytes, subject);
            }
            Fact::Override(fact) => put_override(&mut bytes, fact),
            Fact::Configuration(policy) => put_policy(&mut bytes, policy),
            Fact::Access(fact) => put_access(&mut bytes, fact),
        }
        bytes
    }

    /// Returns a hash that tells this leaf from any other of its log.
    pub fn digest(&self) -> [u8; 32] {
        let of_leaf = || Sha256::digest(self.encode()).into();
        // The sealed payload holds a random nonce, so its hash is as good, and there already.
        (self.payload.as_ref()).map_or_else(of_leaf, |payload| payload.sealed_sha256)
    }

    /// Writes this leaf's kind and sequence over those in its bytes, which were made before it had its place.
    pub(super) fn encode_place(&self, bytes: &mut [u8]) {
        let place = std::iter::once(kind(&self.fact)).chain(self.sequence.0.to_le_bytes());
        bytes
            .iter_mut()
            .skip(KIND_AT)
            .zip(place)
            .for_each(|(to, from)| *to = from);
    }

    /// Returns the leaf that the bytes hold; all of them must belong to it.
    pub fn decode(bytes: &[u8]) -> Result<Self, LeafError> {
        let mut fields = Fields::of(bytes);
        let version = fields.u8().ok_or(LeafError::Field("version"))?;
        if version != VERSION {
            return Err(LeafError::UnknownVersion(version));
        }
        let kind = fields.u8().ok_or(LeafError::Field("kind"))?;
        let sequence = SequenceNumber(fields.u64().ok_or(LeafError::Field("sequence"))?);
        let received_at = ReceivedAt(fields.i64().ok_or(LeafError::Field("time of receipt"))?);
        let key_slot = KeySlot(fields.u64().ok_or(LeafError::Field("key slot"))?);
        let flags = fields
            .u8()
            .filter(|flags| flags & !(HAS_SECRET | HAS_PAYLOAD) == 0)
            .ok_or(LeafError::Field("flags"))?;
        let secret = (flags & HAS_SECRET != 0)
            .then(|| fields.array().ok_or(LeafError::Field("secret")))
            .transpose()?;
        let payload = (flags & HAS_PAYLOAD != 0)
            .then(|| payload_digest(&mut fields).ok_or(LeafError::Field("payload digest")))
            .transpose()?;
        let leaf = Self {
            sequence,
            received_at,
            secret: secret.map(SecretFingerprint),
            key_slot,
            payload,
            fact: fact(kind, &mut fields)?,
        };
        if fields.rest().is_empty() {
            Ok(leaf)
        } else {
            Err(LeafError::TrailingBytes)
        }
    }
}

/// Returns where the fact of a leaf with these flags begins.
pub(super) fn fact_at(flags: u8) -> usize {
    let secret = if flags & HAS_SECRET == 0 {
        0
    } else {
        size_of::<SecretFingerprint>()
    };
    let payload = if flags & HAS_PAYLOAD == 0 {
        0
    } else {
        PAYLOAD_DIGEST_BYTES
    };
    FLAGS_AT + 1 + secret + payload
}

fn kind(fact: &Fact) -> u8 {
    match fact {
        Fact::Event(_) => KIND_EVENT,
        Fact::Conflict(_) => KIND_CONFLICT,
        Fact::Unreadable(_) => KIND_UNREADABLE,
        Fact::Erasure(_) => KIND_ERASURE,
        Fact::ErasureDone(_) => KIND_ERASURE_DONE,
        Fact::Hold(_) => KIND_HOLD,
        Fact::Release(_) => KIND_RELEASE,
        Fact::Override(_) => KIND_OVERRIDE,
        Fact::Configuration(_) => KIND_CONFIGURATION,
        Fact::Access(_) => KIND_ACCESS,
    }
}

fn fact(kind: u8, fields: &mut Fields<'_>) -> Result<Fact, LeafError> {
    Ok(match kind {
        KIND_EVENT => Fact::Event(session_fact(fields)?),
        KIND_CONFLICT => Fact::Conflict(session_fact(fields)?),
        KIND_UNREADABLE => Fact::Unreadable(unreadable(fields)?),
        KIND_ERASURE => Fact::Erasure(erasure_fact::erasure(fields)?),
        KIND_ERASURE_DONE => Fact::ErasureDone(erasure_fact::erasure_done(fields)?),
        KIND_HOLD => Fact::Hold(erasure_fact::subject(fields)?),
        KIND_RELEASE => Fact::Release(erasure_fact::subject(fields)?),
        KIND_OVERRIDE => Fact::Override(override_fact(fields)?),
        KIND_CONFIGURATION => Fact::Configuration(policy(fields)?),
        KIND_ACCESS => Fact::Access(access(fields)?),
        unknown => return Err(LeafError::UnknownKind(unknown)),
    })
}

fn payload_digest(fields: &mut Fields<'_>) -> Option<PayloadDigest> {
    let plaintext_bytes = fields.u32()?;
    Some(PayloadDigest {
        plaintext_bytes,
        sealed_sha256: fields.array()?,
        commitment: fields.array()?,
    })
}

fn put_unreadable(bytes: &mut Vec<u8>, fact: &UnreadableFact) {
    bytes.push(fact.unreadable.reason.code());
    bytes.extend_from_slice(&fact.body_tag);
    put_text(
        bytes,
        fact.unreadable.event.as_ref().map_or("", EventId::as_str),
    );
}

fn unreadable(fields: &mut Fields<'_>) -> Result<UnreadableFact, LeafError> {
    let reason = fields
        .u8()
        .and_then(UnreadableReason::from_code)
        .ok_or(LeafError::Field("reason"))?;
    let body_tag = fields.array().ok_or(LeafError::Field("body tag"))?;
    let text = fields.text().ok_or(LeafError::Field("event id"))?;
    let event = match text {
        "" => None,
        text => Some(EventId::parse(text).map_err(|_| LeafError::Field("event id"))?),
    };
    Ok(UnreadableFact {
        unreadable: Unreadable { reason, event },
        body_tag,
    })
}
