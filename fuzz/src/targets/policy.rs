//! A policy of witnesses is read or refused, and one that is read judges any note.
//!
//! The bytes: a policy; behind a line of a single `@`, a note.

use avow::transparency::note::Note;
use avow::transparency::policy::Policy;

/// Reads the bytes as a policy.
pub(crate) fn holds(bytes: &[u8]) {
    let divider = b"\n@\n";
    let at = bytes
        .windows(divider.len())
        .position(|part| part == divider);
    let (policy, note) = match at {
        Some(at) => (&bytes[..=at], &bytes[at + divider.len()..]),
        None => (bytes, &[][..]),
    };
    if let Ok(policy) = Policy::parse(policy)
        && let Ok(note) = Note::parse(note)
        && let Ok(checkpoint) = policy.authenticate(&note)
    {
        assert_eq!(checkpoint.checkpoint().to_string(), note.text());
    }
}
