//! The master key, which wraps every other; and what is derived from the keys that it wraps (HKDF-SHA256): one key for
//! each purpose.

use std::collections::BTreeSet;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use state_machine::id::UserTag;
use zeroize::Zeroizing;

use super::vault::Secret;
use crate::stripe::user_reference::UserReference;

const KEY_BYTES: usize = 32;
/// A whole block of SHA-256, so that HMAC neither pads nor hashes it.
const HMAC_KEY_BYTES: usize = 64;
/// 32 random bytes have fewer distinct values than this less than once in 10¹⁴ keys.
const DISTINCT_BYTES_MIN: usize = 16;

/// The 32 bytes under which the vault wraps every other key; wiped from memory when dropped.
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

/// Why a text is no master key, without repeating the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// It does not spell 32 bytes.
    #[error("the master key is not 64 hexadecimal digits; `avow keys generate` makes one")]
    NotHexadecimal,
    /// It spells bytes that no random source makes.
    #[error("the master key is not random, so it could be guessed; `avow keys generate` makes one")]
    Weak,
}

impl MasterKey {
    /// Returns the key that 64 hexadecimal digits spell.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(text, key.as_mut_slice())
            .map_err(|_| MasterKeyError::NotHexadecimal)?;
        if is_weak(&key) {
            Err(MasterKeyError::Weak)
        } else {
            Ok(Self(key))
        }
    }

    /// Returns the key under which the vault wraps its secrets.
    pub(super) fn wrapping_key(&self) -> Zeroizing<[u8; KEY_BYTES]> {
        let hkdf = Hkdf::<Sha256>::new(Some(b"avow"), self.0.as_slice());
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let expanded = hkdf.expand(b"vault", key.as_mut_slice());
        assert!(
            expanded.is_ok(),
            "HKDF-SHA256 expands to 255 times 32 bytes"
        );
        key
    }
}

/// Tells keys that a person made up: few distinct bytes, or bytes in even steps (`000102…`).
pub(crate) fn is_weak(key: &[u8; KEY_BYTES]) -> bool {
    let steps = key
        .iter()
        .zip(key.iter().skip(1))
        .map(|(byte, next)| next.wrapping_sub(*byte));
    key.iter().collect::<BTreeSet<_>>().len() < DISTINCT_BYTES_MIN
        || steps.collect::<BTreeSet<_>>().len() == 1
}

/// The log's own keys, each as the keyed state of its HMAC-SHA256, which the `zeroize` feature of `hmac` wipes. They
/// outlive every session's: what they tag can be found as long as the log is kept.
pub(super) struct LogKeys {
    user_tag: Hmac<Sha256>,
    body_tag: Hmac<Sha256>,
    request_tag: Hmac<Sha256>,
    check: Hmac<Sha256>,
    /// The keys of what operators say.
    pub(super) words: PayloadKeys,
}

/// The keys of the payloads that are erased as one: those of a session.
#[derive(Clone)]
pub(super) struct PayloadKeys {
    payload: Hmac<Sha256>,
    commitment: Hmac<Sha256>,
}

impl PayloadKeys {
    pub(super) fn derive(secret: &Secret) -> Self {
        let hkdf = hkdf(secret);
        Self {
            payload: derived(&hkdf, "payload"),
            commitment: derived(&hkdf, "commitment"),
        }
    }

    /// Returns the key of one sealed payload.
    pub(super) fn of_payload(&self, nonce: &[u8]) -> Zeroizing<[u8; KEY_BYTES]> {
        Zeroizing::new(keyed_hash(&self.payload, nonce))
    }

    /// Returns the commitment to a plaintext, which nobody without the key can guess at.
    pub(super) fn commitment(&self, plaintext: &[u8]) -> [u8; 32] {
        keyed_hash(&self.commitment, plaintext)
    }
}

impl LogKeys {
    pub(super) fn derive(secret: &Secret) -> Self {
        let hkdf = hkdf(secret);
        Self {
            user_tag: derived(&hkdf, "user tag"),
            body_tag: derived(&hkdf, "body tag"),
            request_tag: derived(&hkdf, "request tag"),
            check: derived(&hkdf, "key check"),
            words: PayloadKeys::derive(secret),
        }
    }

    /// Returns the tag under which entries name a user.
    pub(super) fn user_tag(&self, reference: &UserReference) -> UserTag {
        UserTag(first_half(keyed_hash(
            &self.user_tag,
            reference.expose().as_bytes(),
        )))
    }

    /// Returns the tag by which an unreadable body is known again.
    pub(super) fn body_tag(&self, body: &[u8]) -> [u8; 16] {
        first_half(keyed_hash(&self.body_tag, body))
    }

    /// Returns the tag by which a request, or what it asks for, is known again.
    pub(super) fn request_tag(&self, of: &[u8]) -> [u8; 16] {
        first_half(keyed_hash(&self.request_tag, of))
    }

    /// Returns what tells, for one log, whether a vault is its own.
    pub(super) fn check(&self, log: &[u8; 16]) -> [u8; 16] {
        first_half(keyed_hash(&self.check, log))
    }
}

fn hkdf(secret: &Secret) -> Hkdf<Sha256> {
    Hkdf::new(Some(b"avow"), secret.expose())
}

fn derived(hkdf: &Hkdf<Sha256>, label: &str) -> Hmac<Sha256> {
    let mut key = Zeroizing::new([0; HMAC_KEY_BYTES]);
    let expanded = hkdf.expand(label.as_bytes(), key.as_mut_slice());
    assert!(
        expanded.is_ok(),
        "HKDF-SHA256 expands to 255 times 32 bytes"
    );
    Hmac::new(&(*key).into())
}

fn keyed_hash(keyed: &Hmac<Sha256>, bytes: &[u8]) -> [u8; 32] {
    keyed
        .clone()
        .chain_update(bytes)
        .finalize()
        .into_bytes()
        .into()
}

fn first_half(hash: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    half
}
