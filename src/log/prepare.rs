//! Preparing an entry on its caller's thread: everything about it that needs no sequence number.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use state_machine::event::{Event, RedactionStatus, Status};
use state_machine::id::SequenceNumber;
use state_machine::time::ReceivedAt;

use super::access::AccessFact;
use super::append::AppendError;
use super::binary::bounded;
use super::dedupe::{FactsDigest, Identification, facts_digest};
use super::entry::{Entry, Fact, Leaf, OverrideFact, PayloadDigest, SessionFact, UnreadableFact};
use super::key_ring::{KeyError, KeyRing};
use super::keys::{LogKeys, PayloadKeys};
use super::payload;
use super::subject_key::SubjectKey;
use super::vault::KeySlot;
use super::{Options, RandomError};
use crate::stripe::decode::{SessionEvent, Unreadable};
use crate::stripe::signature::AuthenticatedPayload;

/// An entry but for its place: sealed, hashed and ready for the sequencer.
pub struct Prepared {
    /// By what its delivery, or its request, is known again; none for what nobody sends twice.
    pub(super) delivery: Option<Delivered>,
    /// The key of the subject that it belongs to.
    pub(super) key: Arc<SubjectKey>,
    entry: Entry,
    leaf_bytes: Vec<u8>,
}

/// By what a delivery, or a request, is known again.
pub(super) struct Delivered {
    pub(super) identification: Identification,
    pub(super) facts: FactsDigest,
    /// Whether it is answered only if it came before, and else refused.
    pub(super) is_repeat_only: bool,
}

/// Why an entry could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// No nonce could be had.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No key could be had.
    #[error("no key to seal the payload with: {0}")]
    Key(String),
}

impl From<KeyError> for PrepareError {
    fn from(error: KeyError) -> Self {
        Self::Key(error.to_string())
    }
}

/// Who wants something of the log, and why: kept sealed beside the entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    /// Who.
    pub actor: String,
    /// Why; of an access, by what.
    pub reason: String,
    /// The id of the token that was shown, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Prepared {
    /// Prepares what was delivered. What comes late for an erased subject is kept without its payload.
    pub(super) fn of_delivery(
        options: &Options,
        key: Arc<SubjectKey>,
        payload: &AuthenticatedPayload<'_>,
        fact: Fact,
    ) -> Result<Self, RandomError> {
        let identification = Identification::of(&fact);
        let clear = (payload.signature_header(), payload.body());
        let keys = key.state().sealing_keys().cloned();
        let (sealed, digest) = if options.keeps_evidence() {
            let sealed = keys.map(|keys| seal(options, &keys, &identification, clear));
            sealed.transpose()?.unzip()
        } else {
            Some(payload::pack(clear)).unzip()
        };
        let delivery = Delivered {
            facts: facts_digest(&fact),
            identification,
            is_repeat_only: false,
        };
        let leaf = Leaf {
            sequence: SequenceNumber(0),
            received_at: payload.received_at(),
            secret: Some(payload.secret()),
            key_slot: key.slot,
            fact,
            payload: digest,
        };
        Ok(Self::new(
            Some(delivery),
            key,
            leaf,
            sealed.unwrap_or_default(),
        ))
    }

    /// Prepares what an operator states about a subject.
    pub(super) fn of_statement(
        (keys, options): (&LogKeys, &Options),
        key: Arc<SubjectKey>,
        fact: Fact,
        words: &Words,
    ) -> Result<Self, RandomError> {
        let words = serde_json::to_vec(words).unwrap_or_default();
        let identification = Identification::of(&fact);
        let (sealed, digest) = seal(options, &keys.words, &identification, ("", &words))?;
        let leaf = statement((options.clock)(), fact, Some(digest));
        Ok(Self::new(None, key, leaf, sealed))
    }

    /// Prepares what an operator decides about a user.
    pub(super) fn of_override(
        (keys, options): (&LogKeys, &Options),
        fact: OverrideFact,
        words: &Words,
    ) -> Result<Self, RandomError> {
        let request = fact.request.map(|request| Delivered {
            identification: Identification::of_request(&request.key),
            facts: request.content,
            is_repeat_only: false,
        });
        let fact = Fact::Override(fact);
        let prepared = Self::of_statement((keys, options), KeyRing::of_log(), fact, words)?;
        Ok(Self {
            delivery: request,
            ..prepared
        })
    }

    /// Prepares the record of an access.
    pub(super) fn of_access(
        (keys, options): (&LogKeys, &Options),
        fact: AccessFact,
        words: &Words,
    ) -> Result<Self, RandomError> {
        let fact = Fact::Access(fact);
        Self::of_statement((keys, options), KeyRing::of_log(), fact, words)
    }

    /// Prepares what the log states by itself, of a time.
    pub(super) fn of_own(key: Arc<SubjectKey>, at: ReceivedAt, fact: Fact) -> Self {
        Self::new(None, key, statement(at, fact, None), Vec::new())
    }

    fn new(delivery: Option<Delivered>, key: Arc<SubjectKey>, leaf: Leaf, sealed: Vec<u8>) -> Self {
        Self {
            delivery,
            key,
            leaf_bytes: leaf.encode(),
            entry: Entry { leaf, sealed },
        }
    }

    /// Has what is over already refused, unless the same request was taken before: it gets the first answer again. What has
    /// nothing by which a request is known again is refused at once.
    pub fn only_as_repeat(mut self) -> Result<Self, AppendError> {
        let request = self.delivery.as_mut().ok_or(AppendError::Expired)?;
        request.is_repeat_only = true;
        Ok(self)
    }

    pub(super) fn fact(&self) -> &Fact {
        &self.entry.leaf.fact
    }

    pub(super) fn received_at(&self) -> ReceivedAt {
        self.entry.leaf.received_at
    }

    /// Removes the payload, of a subject that was erased since it was sealed.
    pub(super) fn without_payload(mut self) -> Self {
        self.entry.leaf.payload = None;
        self.entry.sealed = Vec::new();
        self.leaf_bytes = self.entry.leaf.encode();
        self
    }

    /// Returns the entry in its place, and its leaf's bytes; as a conflict, if the event's id already stands
    /// for other facts.
    pub(super) fn into_entry(self, sequence: SequenceNumber, conflicts: bool) -> (Entry, Vec<u8>) {
        let Self {
            entry: Entry { mut leaf, sealed },
            mut leaf_bytes,
            ..
        } = self;
        leaf.sequence = sequence;
        if conflicts && let Fact::Event(fact) = leaf.fact {
            leaf.fact = Fact::Conflict(fact);
        }
        leaf.encode_place(&mut leaf_bytes);
        (Entry { leaf, sealed }, leaf_bytes)
    }

    /// Returns about how many bytes the entry takes.
    pub(super) fn bytes(&self) -> usize {
        self.entry.sealed.len() + 512
    }
}

fn seal(
    options: &Options,
    keys: &PayloadKeys,
    identification: &Identification,
    clear: (&str, &[u8]),
) -> Result<(Vec<u8>, PayloadDigest), RandomError> {
    let mut nonce = [0; 24];
    (options.random)(&mut nonce)?;
    Ok(payload::seal(keys, nonce, identification, clear))
}

/// Returns the leaf of what nobody delivered.
fn statement(at: ReceivedAt, fact: Fact, payload: Option<PayloadDigest>) -> Leaf {
    Leaf {
        sequence: SequenceNumber(0),
        received_at: at,
        secret: None,
        key_slot: KeySlot::LOG,
        fact,
        payload,
    }
}

/// Returns the fact of an event: its user tagged, and its open words cut to what a leaf holds.
pub(super) fn session_fact(keys: &LogKeys, event: SessionEvent) -> Fact {
    let SessionEvent {
        world,
        session,
        form,
        event,
        api_version,
        user_reference,
    } = event;
    let event = Event {
        user: user_reference.map(|reference| keys.user_tag(&reference)),
        status: event.status.map(|status| match status {
            Status::Other(word) => Status::Other(bounded(&word).into()),
            Status::RequiresInput | Status::Processing | Status::Verified | Status::Canceled => {
                status
            }
        }),
        redaction: event.redaction.map(|redaction| match redaction {
            RedactionStatus::Other(word) => RedactionStatus::Other(bounded(&word).into()),
            RedactionStatus::Processing | RedactionStatus::Redacted => redaction,
        }),
        ..event
    };
    let api_version = api_version.map(|version| bounded(&version).to_owned());
    Fact::Event(SessionFact {
        world,
        session,
        form,
        event,
        api_version,
    })
}

/// Returns the fact of a body that could not be read.
pub(super) fn unreadable_fact(keys: &LogKeys, body: &[u8], unreadable: Unreadable) -> Fact {
    Fact::Unreadable(UnreadableFact {
        unreadable,
        body_tag: keys.body_tag(body),
    })
}
