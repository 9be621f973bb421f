//! Webhook secrets: the whole `whsec_…` string is the key.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::digest::consts::U8;
use sha2::{Digest, Sha256};
use state_machine::time::Timestamp;

/// How many secrets may stand side by side; rolling one needs two for each endpoint.
pub const SECRETS_MAX: usize = 16;

/// Keeps a fingerprint from being the hash of the secret in any other use.
const FINGERPRINT_DOMAIN: &[u8] = b"avow webhook secret fingerprint v1\0";

/// Names a secret without telling it: the first bytes of a hash of it.
///
/// It stands in clear in the log and must not help to guess the secret: Stripe's are random, which is enough.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretFingerprint(pub [u8; 8]);

impl fmt::Display for SecretFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for SecretFingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretFingerprint({self})")
    }
}

/// One webhook secret. Its `Debug` shows the fingerprint only.
///
/// Only the keyed state of the MAC is kept, not the text: a delivery then costs no key set-up. The state is as
/// secret as the text, and is wiped from memory when dropped (`zeroize` of the `hmac` and `sha2` crates).
#[derive(Clone)]
pub struct Secret {
    keyed: Hmac<Sha256>,
    fingerprint: SecretFingerprint,
}

/// Why a text is no secret, without repeating the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is empty, or nothing but whitespace.
    #[error("it is blank")]
    Blank,
    /// It holds whitespace: two secrets run together, or a line break that came with a copy.
    #[error("it holds whitespace")]
    Whitespace,
    /// It holds something that no secret of Stripe's holds, such as a byte order mark.
    #[error("it holds other than visible ASCII characters")]
    NotVisibleAscii,
}

impl Secret {
    /// Returns the secret that `text` spells, from its first character to its last.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        if text.trim().is_empty() {
            return Err(SecretError::Blank);
        }
        if text.contains(char::is_whitespace) {
            return Err(SecretError::Whitespace);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretError::NotVisibleAscii);
        }
        let hash = Sha256::new()
            .chain_update(FINGERPRINT_DOMAIN)
            .chain_update(text)
            .finalize();
        let (fingerprint, _) = hash.split::<U8>();
        Ok(Self {
            // HMAC takes keys of every length, but the trait it shares with other MACs cannot say so.
            keyed: Hmac::new_from_slice(text.as_bytes()).map_err(|_| SecretError::Blank)?,
            fingerprint: SecretFingerprint(fingerprint.into()),
        })
    }

    /// Returns its name in logs and entries.
    pub fn fingerprint(&self) -> SecretFingerprint {
        self.fingerprint
    }

    /// Returns the signature of `body` at `signed_at` as Stripe spells it: 64 lower-case hex digits.
    pub(super) fn signature(&self, signed_at: Timestamp, body: &[u8]) -> String {
        let mac = self
            .keyed
            .clone()
            .chain_update(signed_at.0.to_string())
            .chain_update(b".")
            .chain_update(body);
        hex::encode(mac.finalize().into_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({})", self.fingerprint)
    }
}

/// Every secret that a signature may match; never empty.
#[derive(Debug, Clone)]
pub struct Secrets(Vec<Secret>);

/// Why a list holds no usable secrets, without repeating any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretsError {
    /// There is none in it.
    #[error("there is no webhook secret in the list")]
    Empty,
    /// There are more than [`SECRETS_MAX`].
    #[error("there are more than {SECRETS_MAX} webhook secrets in the list")]
    TooMany,
    /// One of them is no secret.
    #[error("webhook secret {position} of the list cannot be used")]
    Unusable {
        /// Which, counted from 1.
        position: usize,
        /// What is wrong with it.
        source: SecretError,
    },
}

impl Secrets {
    /// Returns the secrets in `list`: separated by commas or line breaks, each once, blank elements ignored.
    pub fn parse(list: &str) -> Result<Self, SecretsError> {
        let mut secrets: Vec<Secret> = Vec::new();
        for (position, element) in (1..).zip(elements(list)) {
            let secret = Secret::new(element)
                .map_err(|source| SecretsError::Unusable { position, source })?;
            if secrets
                .iter()
                .all(|known| known.fingerprint != secret.fingerprint)
            {
                secrets.push(secret);
            }
            if secrets.len() > SECRETS_MAX {
                return Err(SecretsError::TooMany);
            }
        }
        if secrets.is_empty() {
            Err(SecretsError::Empty)
        } else {
            Ok(Self(secrets))
        }
    }

    /// Returns the secrets in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }
}

/// Returns the texts of a list: separated by commas or line breaks, blank ones left out.
pub fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', '\n'])
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

impl From<Secret> for Secrets {
    fn from(secret: Secret) -> Self {
        Self(vec![secret])
    }
}
