//! Whether each event stands in the log once, and what conflicts with it behind it; each override and each request of
//! one likewise.

use std::io;

use sha2::{Digest, Sha256};

use super::finding::{Class, Findings};
use super::sorted::Sorter;
use crate::log::entry::{Fact, Leaf};

/// Name, sequence number, and whether it is a conflict.
const ROW_BYTES: usize = NAME_BYTES + 8 + 1;
const NAME_BYTES: usize = 16;

/// By what entries are known again. Equal names have equal hashes, so that no double is missed.
pub(super) type Name = [u8; NAME_BYTES];

/// Returns the first bytes of SHA-256 over parts that are told apart.
pub(super) fn name_of(parts: &[&[u8]]) -> Name {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}

/// The names of all entries that stand once.
pub(super) struct Identities(Sorter<ROW_BYTES>);

impl Identities {
    pub(super) fn new() -> Self {
        Self(Sorter::new())
    }

    pub(super) fn take(&mut self, sequence: u64, leaf: &Leaf) -> io::Result<()> {
        if let Fact::Override(fact) = &leaf.fact
            && let Some(request) = &fact.request
        {
            self.push(name_of(&[b"r", &request.key]), sequence, false)?;
        }
        let (name, conflicts) = match &leaf.fact {
            Fact::Event(fact) => (name_of(&[b"e", fact.event.id.as_str().as_bytes()]), false),
            Fact::Conflict(fact) => (name_of(&[b"e", fact.event.id.as_str().as_bytes()]), true),
            Fact::Unreadable(fact) => match &fact.unreadable.event {
                Some(event) => (name_of(&[b"u", event.as_str().as_bytes()]), false),
                None => (name_of(&[b"b", &fact.body_tag]), false),
            },
            // Sealed with a nonce of its own: what has the same payload is a copy.
            Fact::Access(_) => match &leaf.payload {
                Some(payload) => (name_of(&[b"a", &payload.sealed_sha256]), false),
                None => return Ok(()),
            },
            Fact::Override(fact) => (name_of(&[b"v", fact.id.as_str().as_bytes()]), false),
            Fact::Erasure(_)
            | Fact::ErasureDone(_)
            | Fact::Hold(_)
            | Fact::Release(_)
            | Fact::Configuration(_) => return Ok(()),
        };
        self.push(name, sequence, conflicts)
    }

    fn push(&mut self, name: Name, sequence: u64, conflicts: bool) -> io::Result<()> {
        let mut row = [0; ROW_BYTES];
        let fields = name.into_iter().chain(sequence.to_be_bytes());
        row.iter_mut()
            .zip(fields.chain([u8::from(conflicts)]))
            .for_each(|(to, from)| *to = from);
        self.0.push(row)
    }

    pub(super) fn check(self, findings: &mut Findings) -> io::Result<()> {
        let mut first: Option<(Name, u64)> = None;
        for row in self.0.into_sorted()? {
            let Some((name, sequence, conflicts)) = parts(&row?) else {
                continue;
            };
            let known = first.filter(|(known, _)| *known == name);
            match (known, conflicts) {
                (Some((_, earlier)), false) => findings.add_of(
                    Class::Tampered,
                    sequence,
                    format!("entry {earlier} is the same event, override, request or access"),
                ),
                (None, true) => findings.add_of(
                    Class::Tampered,
                    sequence,
                    "conflicts with an event that the log does not hold before it",
                ),
                (None, false) => first = Some((name, sequence)),
                (Some(_), true) => {}
            }
        }
        Ok(())
    }
}

fn parts(row: &[u8; ROW_BYTES]) -> Option<(Name, u64, bool)> {
    let (name, rest) = row.split_first_chunk()?;
    let (sequence, rest) = rest.split_first_chunk()?;
    Some((*name, u64::from_be_bytes(*sequence), rest == [1]))
}
