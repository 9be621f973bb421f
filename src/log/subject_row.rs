//! The keys of the index's rows about subjects. Numbers are big-endian, so that order of bytes is order of number.

use state_machine::id::{AccountId, SequenceNumber};

use super::entry::SubjectName;
use super::vault::KeySlot;

pub(super) const UNFINISHED: &[u8] = b"w";
pub(super) const FINISHED: &[u8] = b"d";

/// From a subject to its slot.
pub(super) fn name(name: &SubjectName) -> Vec<u8> {
    match name {
        SubjectName::Session(world, session) => {
            let account = world.account.as_ref().map_or("", AccountId::as_str);
            let mut key = Vec::with_capacity(account.len() + session.as_str().len() + 4);
            key.extend_from_slice(&[b's', u8::from(world.livemode)]);
            key.push(u8::try_from(account.len()).unwrap_or(u8::MAX));
            key.extend_from_slice(account.as_bytes());
            key.extend_from_slice(session.as_str().as_bytes());
            key
        }
        SubjectName::Entry(sequence) => numbered(b"n", [sequence.0]),
    }
}

/// From a slot to its payloads.
pub(super) fn payloads(slot: KeySlot) -> Vec<u8> {
    numbered(b"p", [slot.0])
}

/// One payload of a slot.
pub(super) fn payload(slot: KeySlot, sequence: SequenceNumber) -> Vec<u8> {
    numbered(b"p", [slot.0, sequence.0])
}

/// From a slot to its custody.
pub(super) fn custody(slot: KeySlot) -> Vec<u8> {
    numbered(b"c", [slot.0])
}

/// A slot whose erasure is wanted and not done.
pub(super) fn unfinished(slot: KeySlot) -> Vec<u8> {
    numbered(UNFINISHED, [slot.0])
}

/// An entry that says that an erasure is done.
pub(super) fn finished(done: SequenceNumber) -> Vec<u8> {
    numbered(FINISHED, [done.0])
}

/// Returns the number that ends a key.
pub(super) fn last_number(key: &[u8]) -> Option<u64> {
    key.last_chunk().copied().map(u64::from_be_bytes)
}

fn numbered<const N: usize>(prefix: &[u8], numbers: [u64; N]) -> Vec<u8> {
    let numbers = numbers.into_iter().flat_map(u64::to_be_bytes);
    prefix.iter().copied().chain(numbers).collect()
}
