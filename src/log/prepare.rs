//! Preparing an entry on its caller's thread: everything about it that needs no sequence number.

use state_machine::event::{Event, RedactionStatus, Status};
use state_machine::id::SequenceNumber;

use super::binary::bounded;
use super::dedupe::{FactsDigest, Identification, facts_digest};
use super::entry::{Entry, Fact, Leaf, SessionFact, UnreadableFact};
use super::keys::Keys;
use super::payload;
use super::{Options, RandomError};
use crate::stripe::decode::{SessionEvent, Unreadable};
use crate::stripe::signature::AuthenticatedPayload;

/// An entry but for its place: sealed, hashed and ready for the sequencer.
pub struct Prepared {
    pub(super) identification: Identification,
    pub(super) facts: FactsDigest,
    entry: Entry,
    leaf_bytes: Vec<u8>,
}

impl Prepared {
    pub(super) fn of(
        (keys, options): (&Keys, &Options),
        payload: &AuthenticatedPayload<'_>,
        fact: Fact,
    ) -> Result<Self, RandomError> {
        let identification = Identification::of(&fact);
        let mut nonce = [0; 24];
        (options.random)(&mut nonce)?;
        let clear = (payload.signature_header(), payload.body());
        let (sealed, digest) = payload::seal(keys, nonce, &identification, clear);
        let leaf = Leaf {
            sequence: SequenceNumber(0),
            received_at: payload.received_at(),
            secret: payload.secret(),
            fact,
            payload: digest,
        };
        let facts = facts_digest(&leaf.fact);
        let leaf_bytes = leaf.encode();
        Ok(Self {
            identification,
            facts,
            entry: Entry { leaf, sealed },
            leaf_bytes,
        })
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

/// Returns the fact of an event: its user tagged, and its open words cut to what a leaf holds.
pub(super) fn session_fact(keys: &Keys, event: SessionEvent) -> Fact {
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
pub(super) fn unreadable_fact(keys: &Keys, body: &[u8], unreadable: Unreadable) -> Fact {
    Fact::Unreadable(UnreadableFact {
        unreadable,
        body_tag: keys.body_tag(body),
    })
}
