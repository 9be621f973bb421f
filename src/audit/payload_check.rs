//! Payloads: that each is the one its leaf names and, with the keys, that Stripe signed what the leaf says.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::finding::{Class, Findings};
use crate::log::entry::{Fact, Leaf};
use crate::log::unsealer::Unsealer;
use crate::log::{OpenedPayload, PayloadError};
use crate::stripe::decode::{Decoded, decode};
use crate::stripe::secret::{Secret, Secrets};
use crate::stripe::signature::{Delivery, authenticate};

/// What was seen of the payloads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PayloadCounts {
    /// Those that are there, and are what their leaves name.
    pub matching: u64,
    /// Those that were opened with their keys.
    pub opened: u64,
    /// Those whose signature by Stripe was authenticated again, and whose facts are those of their leaves.
    pub authenticated: u64,
    /// Those that were signed with a secret that the auditor was not given.
    pub of_other_secrets: u64,
}

/// The keys that an auditor may have.
#[derive(Default)]
pub struct Keys {
    /// Opens payloads.
    pub unsealer: Option<Unsealer>,
    /// Authenticates what they hold.
    pub secrets: Option<Secrets>,
}

/// The check of payloads.
pub(super) struct PayloadCheck {
    keys: Keys,
    pub(super) counts: PayloadCounts,
}

impl PayloadCheck {
    pub(super) fn new(keys: Keys) -> Self {
        Self {
            keys,
            counts: PayloadCounts::default(),
        }
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Checks the payload of an entry, which is there.
    pub(super) fn check(&mut self, leaf: &Leaf, sealed: &[u8], findings: &mut Findings) {
        let sequence = leaf.sequence.0;
        let mut tampered = |what: String| findings.add_of(Class::Tampered, sequence, what);
        let Some(digest) = &leaf.payload else {
            return tampered("has a payload that its leaf does not name".to_owned());
        };
        if digest.sealed_sha256 != *Sha256::digest(sealed) {
            return tampered("the payload is not the one that its leaf names".to_owned());
        }
        self.counts.matching += 1;
        let Some(unsealer) = &mut self.keys.unsealer else {
            return;
        };
        let opened = match unsealer.open(leaf, sealed) {
            Ok(opened) => opened,
            // Whether the key was to be destroyed is judged with its slot.
            Err(PayloadError::Erased) => return,
            Err(error) => return tampered(error.to_string()),
        };
        self.counts.opened += 1;
        let (Some(secrets), Some(fingerprint)) = (&self.keys.secrets, leaf.secret) else {
            return;
        };
        let secret = secrets
            .iter()
            .find(|secret| secret.fingerprint() == fingerprint);
        match secret {
            None => self.counts.of_other_secrets += 1,
            Some(secret) => match deliver_again(unsealer, leaf, &opened, secret) {
                Ok(()) => self.counts.authenticated += 1,
                Err(what) => tampered(what),
            },
        }
    }
}

/// Authenticates and decodes a delivery as when it was received, and compares the facts; says what differs.
fn deliver_again(
    unsealer: &Unsealer,
    leaf: &Leaf,
    opened: &OpenedPayload,
    secret: &Secret,
) -> Result<(), String> {
    let delivery = Delivery {
        signature_header: Some(opened.signature_header.as_bytes()),
        body: &opened.body,
        received_at: leaf.received_at,
    };
    // How old the signature was when it came was judged then, by a setting.
    let payload = authenticate(delivery, &Secrets::from(secret.clone()), u32::MAX)
        .map_err(|error| format!("the payload does not bear Stripe's signature: {error}"))?;
    let decoded = decode(&payload, &[]);
    let was_unreadable = matches!(leaf.fact, Fact::Unreadable(_));
    if was_unreadable && !matches!(decoded, Decoded::Unreadable(_)) {
        return Ok(()); // an older version could not read it
    }
    let fact = unsealer.fact(leaf, payload.body(), decoded);
    let same = Leaf {
        fact: fact.ok_or("the payload is not an event that the log keeps")?,
        ..leaf.clone()
    };
    if same.encode() == leaf.encode() {
        Ok(())
    } else {
        Err("the leaf says something else than the payload that Stripe signed".to_owned())
    }
}
