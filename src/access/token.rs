//! Tokens: the text that a client shows, and the hash by which it is known.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// What every token begins with, so that people and secret scanners know it at sight.
pub const PREFIX: &str = "avow_";
const SECRET_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 4;
/// `avow_[0-9a-f]{72}`
const HEX_DIGITS: usize = 2 * (SECRET_BYTES + CHECKSUM_BYTES);
const ID_PREFIX: &str = "tok_";
const ID_BYTES: usize = 8;

/// The text of a token: 32 random bytes and their CRC32C, in hexadecimal digits behind [`PREFIX`].
///
/// By the checksum a scanner can tell a token from a text that looks like one, and a client that cut one off is told
/// so without a look-up. It has no `Debug`, and is wiped from memory when dropped.
pub struct Token(Zeroizing<String>);

/// Why a text is no token, without repeating it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no token: a token is `avow_` and 72 hexadecimal digits, the last 8 of which are a checksum"
)]
pub struct NoToken;

impl Token {
    /// Returns the token of some random bytes.
    pub fn new(random: &Zeroizing<[u8; SECRET_BYTES]>) -> Self {
        let checksum = crc32c::crc32c(random.as_slice()).to_be_bytes();
        let secret = Zeroizing::new(hex::encode(random.as_slice()));
        Self(Zeroizing::new(format!(
            "{PREFIX}{}{}",
            *secret,
            hex::encode(checksum)
        )))
    }

    /// Returns the token that a text spells.
    pub fn parse(text: &str) -> Result<Self, NoToken> {
        let digits = text.strip_prefix(PREFIX).ok_or(NoToken)?;
        let is_lower = digits.bytes().all(|byte| !byte.is_ascii_uppercase());
        let mut bytes = Zeroizing::new([0; SECRET_BYTES + CHECKSUM_BYTES]);
        if digits.len() != HEX_DIGITS
            || !is_lower
            || hex::decode_to_slice(digits, bytes.as_mut_slice()).is_err()
        {
            return Err(NoToken);
        }
        let (secret, checksum) = bytes.split_at(SECRET_BYTES);
        if crc32c::crc32c(secret).to_be_bytes() != checksum {
            return Err(NoToken);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Returns the text, for whoever shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns its hash.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

/// The SHA-256 of a token's text.
///
/// A plain hash is enough, and a slow or salted one would only cost time: a token is 256 random bits, which nobody
/// guesses, however fast the hash; those are for passwords.
#[derive(Debug, Clone, Copy)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// Returns the id of the token: the first bytes of the hash, which tell nothing of the token.
    pub fn id(&self) -> TokenId {
        let bytes: Vec<u8> = self.0.iter().take(ID_BYTES).copied().collect();
        TokenId(format!("{ID_PREFIX}{}", hex::encode(bytes)))
    }

    /// Returns whether both are the same, in a time that does not tell where they differ.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// Names a token, in lists, in log lines and in the access record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(String);

impl TokenId {
    /// Returns the id that a text spells.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(ID_PREFIX)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_id = digits.len() == 2 * ID_BYTES && digits.bytes().all(is_digit);
        is_id.then(|| Self(text.to_owned()))
    }

    /// Returns the id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
