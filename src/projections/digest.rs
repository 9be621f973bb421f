//! The digest: one hash over every row, the same for every fold of the same entries.
//!
//! What two equal folds may differ in is left out: by what the cursor knows its log again, and marks of damage.

use std::fmt;
use std::sync::{Arc, PoisonError};

use sha2::{Digest, Sha256};
use state_machine::id::SequenceNumber;

use super::store::{Projections, REDUCER_VERSION, StoreError};
use super::view::View;
use crate::log::rows::keyspace::Keyspace;

const DOMAIN: &[u8] = b"avow projections v1\n";

/// What the projections come to. Displayed as `sha256:` and hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectionsDigest {
    /// The first entry that is not folded.
    pub sequence: SequenceNumber,
    /// SHA-256 over the reducer's version, that number, and all rows.
    pub digest: [u8; 32],
}

impl fmt::Display for ProjectionsDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", hex::encode(self.digest))
    }
}

/// A digest that rows are added to, in their order.
pub(super) struct Digesting {
    sequence: SequenceNumber,
    hash: Sha256,
}

impl Digesting {
    /// Begins one of projections that stood there.
    pub(super) fn at(sequence: SequenceNumber) -> Self {
        let hash = Sha256::new()
            .chain_update(DOMAIN)
            .chain_update(REDUCER_VERSION.to_be_bytes())
            .chain_update(sequence.0.to_be_bytes());
        Self { sequence, hash }
    }

    pub(super) fn add(&mut self, keyspace: &str, key: &[u8], value: &[u8]) {
        for part in [keyspace.as_bytes(), key, value] {
            // With its length before it, so that no two lists of rows are hashed alike.
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            self.hash.update(length.to_be_bytes());
            self.hash.update(part);
        }
    }

    pub(super) fn finish(self) -> ProjectionsDigest {
        ProjectionsDigest {
            sequence: self.sequence,
            digest: self.hash.finalize().into(),
        }
    }
}

impl View {
    /// Returns the digest of the projections as they stood at the view's moment. Reads all of them.
    pub fn digest(&self) -> Result<ProjectionsDigest, StoreError> {
        let mut digest = Digesting::at(self.cursor()?.next);
        for (name, keyspace) in self.projections.folded() {
            for row in self.snapshot.iter(keyspace) {
                let (key, value) = self.noting_damage(row)?;
                digest.add(name, &key, &value);
            }
        }
        Ok(digest.finish())
    }
}

impl Projections {
    /// Returns the digest of the projections as they stood at some moment since the call. Reads all of them, unless
    /// nothing was folded since it did so last.
    pub fn digest(self: &Arc<Self>) -> Result<ProjectionsDigest, StoreError> {
        let asked_at = self.cursor()?.next;
        let latest = self.latest_digest.lock();
        let mut latest = latest.unwrap_or_else(PoisonError::into_inner);
        // Whoever waited here while another was at it takes what that came to.
        if let Some(latest) = latest.filter(|latest| latest.sequence >= asked_at) {
            return Ok(latest);
        }
        let digest = self.view().digest()?;
        *latest = Some(digest);
        Ok(digest)
    }

    /// Forgets the digest that was asked for last: something was written that no entry has changed.
    pub(super) fn forget_digest(&self) {
        let latest = self.latest_digest.lock();
        *latest.unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns what is folded from the log, and nothing but that, by name.
    pub(super) fn folded(&self) -> [(&'static str, &Keyspace); 3] {
        [
            ("sessions", &self.sessions),
            ("users", &self.users),
            ("listings", &self.listings),
        ]
    }
}
