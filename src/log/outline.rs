//! The outline of a leaf: the little of it that tells where it belongs, read without taking the rest apart.

use state_machine::id::SequenceNumber;

use super::binary::Fields;
use super::leaf::{FLAGS_AT, KIND_CONFLICT, KIND_EVENT, VERSION, fact_at};
use super::session_fact::{SessionName, session_name};

/// To which session the event or conflict of a leaf belongs. Nothing else of the leaf has been looked at.
pub struct Outline<'leaf> {
    /// Its place.
    pub sequence: SequenceNumber,
    /// The session's world: its mode.
    pub livemode: bool,
    /// The session's world: its account.
    pub account: Option<&'leaf str>,
    /// The session's id.
    pub session: &'leaf str,
    head: &'leaf [u8],
    fact: &'leaf [u8],
}

impl<'leaf> Outline<'leaf> {
    /// Reads the outline of an event or a conflict; `None` of any other leaf, and of what is none.
    pub fn of(leaf: &'leaf [u8]) -> Option<Self> {
        let head = leaf.get(..FLAGS_AT)?;
        let mut fields = Fields::of(head);
        let (version, kind) = (fields.u8()?, fields.u8()?);
        if version != VERSION || ![KIND_EVENT, KIND_CONFLICT].contains(&kind) {
            return None;
        }
        let sequence = SequenceNumber(fields.u64()?);
        let fact = leaf.get(fact_at(*leaf.get(FLAGS_AT)?)..)?;
        let SessionName {
            livemode,
            account,
            session,
        } = session_name(fact)?;
        Some(Self {
            sequence,
            livemode,
            account,
            session,
            head,
            fact,
        })
    }

    /// Appends the bytes of the same leaf, as if it named neither a secret nor a payload: what a fold looks at.
    pub fn put_bare(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.head);
        bytes.push(0);
        bytes.extend_from_slice(self.fact);
    }
}
