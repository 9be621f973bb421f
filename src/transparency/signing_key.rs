//! The private keys behind [`VerifierKey`]s: one kind signs notes, the other cosigns checkpoints.

use std::fmt;

use ed25519_dalek::Signer;
use state_machine::time::Timestamp;

use super::cosignature;
use super::key::{KeyName, SignatureType, VerifierKey};
use super::note::NoteSignature;

/// A private key that signs notes. Wiped from memory when dropped; its `Debug` shows the public key.
pub struct SigningKey {
    public: VerifierKey,
    private: ed25519_dalek::SigningKey,
}

/// A private key that cosigns checkpoints. Wiped from memory when dropped; its `Debug` shows the public key.
pub struct CosigningKey {
    public: VerifierKey,
    private: ed25519_dalek::SigningKey,
}

/// A time before 1970, which no cosignature can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cosignature cannot name a time before 1970")]
pub struct BeforeEpoch;

impl SigningKey {
    /// Returns the key that 32 secret, random bytes determine.
    pub fn new(name: KeyName, seed: &[u8; 32]) -> Self {
        let private = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = VerifierKey::new(name, SignatureType::Ed25519, private.verifying_key());
        Self { public, private }
    }

    /// Returns the public key.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.public
    }

    pub(super) fn sign(&self, text: &str) -> NoteSignature {
        let signature = self.private.sign(text.as_bytes());
        NoteSignature::new(&self.public, signature.to_bytes().to_vec())
    }
}

impl CosigningKey {
    /// Returns the key that 32 secret, random bytes determine.
    pub fn new(name: KeyName, seed: &[u8; 32]) -> Self {
        let private = ed25519_dalek::SigningKey::from_bytes(seed);
        let public = VerifierKey::new(name, SignatureType::Cosignature, private.verifying_key());
        Self { public, private }
    }

    /// Returns the public key.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.public
    }

    /// Cosigns the text of a checkpoint, as seen at this time.
    pub(super) fn cosign(&self, text: &str, at: Timestamp) -> Result<NoteSignature, BeforeEpoch> {
        if at.0 < 0 {
            return Err(BeforeEpoch);
        }
        let signature = self.private.sign(cosignature::message(at, text).as_bytes());
        let signature = cosignature::join(at, &signature.to_bytes());
        Ok(NoteSignature::new(&self.public, signature))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.public)
    }
}

impl fmt::Debug for CosigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CosigningKey({})", self.public)
    }
}
