//! The public keys of signed notes, named and of Ed25519, and their C2SP text (vkey).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::cosignature;

/// The name that a key signs under: not empty, without spaces, `+` and control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

/// A text that is no name of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key's name is empty or holds a space, a plus sign or a control character")]
pub struct NotAKeyName;

/// What a key signs, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureType {
    /// The text of a note, as it is.
    Ed25519,
    /// The text of a checkpoint and the time at which a witness saw it.
    Cosignature,
}

/// Names a key briefly, and is no secure hash of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 4]);

/// A public key, by which signatures of its name and id are authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    signature_type: SignatureType,
    key: ed25519_dalek::VerifyingKey,
}

/// Why a text is no verifier key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifierKeyError {
    /// It is not made of three parts, each well spelled.
    #[error("the verifier key is not `<name>+<8 hexadecimal digits>+<base64>`")]
    Malformed,
    /// It is of a type other than Ed25519 (1) and cosignature/v1 (4).
    #[error("verifier keys of type {0} are not supported")]
    UnsupportedType(u8),
    /// Its bytes are no key, or one that anyone can sign for.
    #[error("the verifier key holds no sound Ed25519 public key")]
    NotAKey,
    /// Its id is that of another name or key.
    #[error("the id of the verifier key does not belong to its name and key")]
    WrongId,
}

impl KeyName {
    /// Returns its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = NotAKeyName;

    fn from_str(text: &str) -> Result<Self, NotAKeyName> {
        // The specification allows what lies beyond ASCII's control characters, and a name is shown in terminals.
        let is_forbidden = |character: char| {
            character.is_whitespace() || character == '+' || character.is_control()
        };
        if text.is_empty() || text.contains(is_forbidden) {
            Err(NotAKeyName)
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl SignatureType {
    fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
        }
    }

    fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Ed25519),
            4 => Some(Self::Cosignature),
            _ => None,
        }
    }
}

impl VerifierKey {
    pub(super) fn new(
        name: KeyName,
        signature_type: SignatureType,
        key: ed25519_dalek::VerifyingKey,
    ) -> Self {
        let hash: [u8; 32] = Sha256::new()
            .chain_update(name.as_str())
            .chain_update([b'\n', signature_type.byte()])
            .chain_update(key.as_bytes())
            .finalize()
            .into();
        let [first, second, third, fourth, ..] = hash;
        Self {
            name,
            id: KeyId([first, second, third, fourth]),
            signature_type,
            key,
        }
    }

    /// Returns the name that it signs under.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Returns the id of name, type and key.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Returns what it signs.
    pub fn signature_type(&self) -> SignatureType {
        self.signature_type
    }

    /// Returns the 32 bytes of the key itself, which may have other names and types elsewhere.
    pub fn public_key(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Returns whether `signature`, which is under its name and id, was made by it for a note with this text.
    pub(super) fn has_signed(&self, text: &str, signature: &[u8]) -> bool {
        match self.signature_type {
            SignatureType::Ed25519 => self.has_signed_bytes(text.as_bytes(), signature),
            SignatureType::Cosignature => {
                cosignature::split(signature).is_some_and(|(cosigned_at, signature)| {
                    self.has_signed_bytes(
                        cosignature::message(cosigned_at, text).as_bytes(),
                        signature,
                    )
                })
            }
        }
    }

    fn has_signed_bytes(&self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        let malformed = VerifierKeyError::Malformed;
        let (name, rest) = text.split_once('+').ok_or(malformed)?;
        let (id, key) = rest.split_once('+').ok_or(malformed)?;
        let name = name.parse().map_err(|_| malformed)?;
        let key = STANDARD.decode(key).map_err(|_| malformed)?;
        let (type_byte, key) = key.split_first().ok_or(malformed)?;
        let signature_type = SignatureType::of_byte(*type_byte)
            .ok_or(VerifierKeyError::UnsupportedType(*type_byte))?;
        let key = key
            .try_into()
            .ok()
            .and_then(|key| ed25519_dalek::VerifyingKey::from_bytes(key).ok())
            .filter(|key| !key.is_weak())
            .ok_or(VerifierKeyError::NotAKey)?;
        let key = Self::new(name, signature_type, key);
        if key.id.to_string() == id {
            Ok(key)
        } else if id.len() == 8
            && id
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            Err(VerifierKeyError::WrongId)
        } else {
            Err(malformed)
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.signature_type.byte()];
        key.extend(self.key.as_bytes());
        write!(
            formatter,
            "{}+{}+{}",
            self.name,
            self.id,
            STANDARD.encode(key)
        )
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}
