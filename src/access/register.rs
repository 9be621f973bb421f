//! The register: every token that was made, as it is kept in a file.
//!
//! One JSON object, so that a file that is cut off anywhere is no register at all, and never one in which the last
//! revocation is missing.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};
use state_machine::time::Timestamp;

use super::scope::{Scope, Scopes};
use super::token::{TokenDigest, TokenId};

/// The version of the format.
const VERSION: u32 = 1;
/// How many tokens a register may hold: each look-up compares with all of them.
pub const TOKENS_MAX: usize = 1_000;
const NAME_BYTES_MAX: usize = 100;

/// What is kept of a token.
#[derive(Debug, Clone)]
pub struct TokenRecord {
    /// Its id.
    pub id: TokenId,
    /// What its owner calls it.
    pub name: TokenName,
    /// What it is good for.
    pub scopes: Scopes,
    /// Its hash.
    pub digest: TokenDigest,
    /// When it was made.
    pub created: Timestamp,
    /// From when on it is good for nothing.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl TokenRecord {
    /// Returns what has become of it by this time.
    pub fn status(&self, now: Timestamp) -> TokenStatus {
        match (self.revoked, self.expires) {
            (Some(_), _) => TokenStatus::Revoked,
            (None, Some(expires)) if expires <= now => TokenStatus::Expired,
            (None, _) => TokenStatus::Active,
        }
    }
}

/// What has become of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenStatus {
    /// It is good.
    Active,
    /// Its time is over.
    Expired,
    /// It was taken back.
    Revoked,
}

impl TokenStatus {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// What somebody calls a token: one line, not blank, not long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenName(String);

impl TokenName {
    /// Returns the name that a text is.
    pub fn parse(text: &str) -> Option<Self> {
        let is_name = !text.trim().is_empty()
            && text.len() <= NAME_BYTES_MAX
            && !text.contains(char::is_control);
        is_name.then(|| Self(text.to_owned()))
    }

    /// Returns the name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Every token that was made.
#[derive(Debug, Clone, Default)]
pub struct Register(Vec<Arc<TokenRecord>>);

/// Why a text is no register. No message repeats any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// It is no JSON of this form: cut off, damaged, or something else.
    #[error("it is no list of tokens: damaged or cut off at line {line}, or something else")]
    Malformed {
        /// Where reading stopped.
        line: usize,
    },
    /// It was written by another version.
    #[error("it is in a format of version {0}, which this version of avow does not know")]
    Version(u32),
    /// One of its tokens cannot be.
    #[error("token {position} in it is damaged: its {field} cannot be")]
    Token {
        /// Which, counted from 1.
        position: usize,
        /// The field.
        field: &'static str,
    },
    /// There are too many.
    #[error(
        "it would hold more than {TOKENS_MAX} tokens; take out those that are revoked or expired"
    )]
    TooMany,
}

/// Why a token cannot be revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such token; `avow tokens list` shows them")]
pub struct UnknownToken;

impl Register {
    /// Reads the text of a file.
    pub fn parse(text: &[u8]) -> Result<Self, RegisterError> {
        let malformed = |error: serde_json::Error| RegisterError::Malformed { line: error.line() };
        let file: FileJson = serde_json::from_slice(text).map_err(malformed)?;
        if file.avow_tokens != VERSION {
            return Err(RegisterError::Version(file.avow_tokens));
        }
        let mut register = Self::default();
        for (position, token) in (1..).zip(file.tokens) {
            let damaged = |field| RegisterError::Token { position, field };
            register.add(token.record().map_err(damaged)?)?;
        }
        Ok(register)
    }

    /// Returns the text of a file.
    pub fn text(&self) -> Result<String, serde_json::Error> {
        let file = FileJson {
            avow_tokens: VERSION,
            tokens: self.iter().map(TokenJson::of).collect(),
        };
        Ok(serde_json::to_string_pretty(&file)? + "\n")
    }

    /// Adds a token.
    pub fn add(&mut self, token: TokenRecord) -> Result<(), RegisterError> {
        if self.0.len() >= TOKENS_MAX {
            return Err(RegisterError::TooMany);
        }
        let position = self.0.len() + 1;
        if self.iter().any(|known| known.id == token.id) {
            return Err(RegisterError::Token {
                position,
                field: "id",
            });
        }
        self.0.push(Arc::new(token));
        Ok(())
    }

    /// Takes a token back, once and for good; returns what is then kept of it.
    pub fn revoke(&mut self, id: &str, now: Timestamp) -> Result<&TokenRecord, UnknownToken> {
        let mut tokens = self.0.iter_mut();
        let token = tokens.find(|token| token.id.as_str() == id);
        let token = Arc::make_mut(token.ok_or(UnknownToken)?);
        token.revoked.get_or_insert(now);
        Ok(token)
    }

    /// Returns the token of a hash, whatever has become of it. The time that it takes depends on their number alone.
    pub(super) fn find(&self, digest: &TokenDigest) -> Option<&Arc<TokenRecord>> {
        let mut found = None;
        for token in &self.0 {
            if token.digest.is(digest) {
                found = Some(token);
            }
        }
        found
    }

    /// Says which tokens are good by this register and were not by another, and the other way round; `None` if there is
    /// no such token.
    pub(super) fn changes_since(&self, before: &Self, now: Timestamp) -> Option<String> {
        let lost = |from: &Self, to: &Self| {
            let (from, to) = (from.active(now), to.active(now));
            from.difference(&to).cloned().collect::<Vec<_>>().join(", ")
        };
        let (added, taken) = (lost(self, before), lost(before, self));
        match (added.is_empty(), taken.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("{added} admitted")),
            (true, false) => Some(format!("{taken} not admitted any more")),
            (false, false) => Some(format!("{added} admitted, {taken} not any more")),
        }
    }

    /// Names the tokens that are good, with their scopes and their end.
    fn active(&self, now: Timestamp) -> BTreeSet<String> {
        let active = self
            .iter()
            .filter(|token| token.status(now) == TokenStatus::Active);
        active
            .map(|token| match token.expires {
                None => format!("{} ({})", token.id, token.scopes),
                Some(end) => format!("{} ({}, until {})", token.id, token.scopes, end.0),
            })
            .collect()
    }

    /// Returns every token, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &TokenRecord> {
        self.0.iter().map(AsRef::as_ref)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileJson {
    avow_tokens: u32,
    tokens: Vec<TokenJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenJson {
    id: String,
    name: String,
    scopes: Vec<String>,
    sha256: String,
    created: i64,
    // A field that is not there is damage, not "never".
    #[serde(deserialize_with = "present")]
    expires: Option<i64>,
    #[serde(deserialize_with = "present")]
    revoked: Option<i64>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    Option::deserialize(deserializer)
}

impl TokenJson {
    fn of(token: &TokenRecord) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name.to_string(),
            scopes: token
                .scopes
                .iter()
                .map(|scope| scope.as_str().to_owned())
                .collect(),
            sha256: hex::encode(token.digest.0),
            created: token.created.0,
            expires: token.expires.map(|time| time.0),
            revoked: token.revoked.map(|time| time.0),
        }
    }

    /// Returns the token, or the field that cannot be.
    fn record(self) -> Result<TokenRecord, &'static str> {
        let mut digest = [0; 32];
        hex::decode_to_slice(&self.sha256, &mut digest).map_err(|_| "sha256")?;
        let digest = TokenDigest(digest);
        let id = Some(digest.id()).filter(|id| id.as_str() == self.id);
        let scopes: Option<Vec<Scope>> =
            self.scopes.iter().map(|name| Scope::parse(name)).collect();
        Ok(TokenRecord {
            id: id.ok_or("id")?,
            name: TokenName::parse(&self.name).ok_or("name")?,
            scopes: scopes.and_then(Scopes::of).ok_or("scopes")?,
            digest,
            created: Timestamp(self.created),
            expires: self.expires.map(Timestamp),
            revoked: self.revoked.map(Timestamp),
        })
    }
}
