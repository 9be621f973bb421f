//! Overriding: preparing what an operator decides about a user, and knowing a request again that is made twice. And
//! preparing the record of who has had to do with what.

use state_machine::history::Arrival;
use state_machine::id::{OverrideId, UserTag, World};
use state_machine::overrides::{Action, Override};
use state_machine::time::Timestamp;

use super::Log;
use super::access::AccessFact;
use super::entry::{Fact, Leaf, OverrideFact, RequestTag};
use super::override_fact::put_decision;
use super::prepare::{PrepareError, Prepared, Words};
use super::shared::Shared;

/// An override that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedOverride {
    /// Its own id, which nothing had before.
    pub id: OverrideId,
    /// The world in which it holds.
    pub world: World,
    /// Whom it concerns.
    pub user: UserTag,
    /// What is decided.
    pub action: Action,
    /// When it ends by itself.
    pub expires: Option<Timestamp>,
    /// By what the request is known again.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// What a client names a request by, so that it has an effect once, however often it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// The longest key, in bytes.
    pub const BYTES_MAX: usize = 255;

    /// Returns the key that a text is, if it is neither empty nor too long.
    pub fn new(text: &str) -> Option<Self> {
        let is_key = !text.is_empty() && text.len() <= Self::BYTES_MAX;
        is_key.then(|| Self(text.into()))
    }
}

impl Log {
    /// Seals and hashes an override, on the caller's thread.
    pub fn prepare_override(
        &self,
        wanted: &WantedOverride,
        words: &Words,
    ) -> Result<Prepared, PrepareError> {
        let Shared {
            log_keys, options, ..
        } = &*self.shared;
        let mut fact = OverrideFact {
            world: wanted.world.clone(),
            user: wanted.user,
            id: wanted.id.clone(),
            action: wanted.action,
            expires: wanted.expires,
            request: None,
        };
        fact.request = wanted.idempotency_key.as_ref().map(|key| RequestTag {
            key: log_keys.request_tag(key.0.as_bytes()),
            content: log_keys.request_tag(&content(&fact, words)),
        });
        Ok(Prepared::of_override((log_keys, options), fact, words)?)
    }

    /// Seals and hashes the record of an access, on the caller's thread.
    pub fn prepare_access(
        &self,
        fact: AccessFact,
        words: &Words,
    ) -> Result<Prepared, PrepareError> {
        let Shared {
            log_keys, options, ..
        } = &*self.shared;
        Ok(Prepared::of_access((log_keys, options), fact, words)?)
    }
}

/// Returns what two requests under one key must have in common. The id is left out: each request brings another.
fn content(fact: &OverrideFact, words: &Words) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    put_decision(&mut bytes, fact);
    let Words {
        actor,
        reason,
        token: _,
    } = words;
    for text in [actor, reason] {
        bytes.extend(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

impl Leaf {
    /// Returns what the entry says, if it is an override.
    pub fn override_fact(&self) -> Option<&OverrideFact> {
        match &self.fact {
            Fact::Override(fact) => Some(fact),
            Fact::Event(_)
            | Fact::Conflict(_)
            | Fact::Unreadable(_)
            | Fact::Erasure(_)
            | Fact::ErasureDone(_)
            | Fact::Hold(_)
            | Fact::Release(_)
            | Fact::Configuration(_)
            | Fact::Access(_) => None,
        }
    }

    /// Returns the override that the entry is, if it is one.
    pub fn made(&self) -> Option<Override> {
        let fact = self.override_fact()?;
        let arrival = Arrival {
            sequence: self.sequence,
            received_at: self.received_at,
        };
        Some(Override {
            id: fact.id.clone(),
            action: fact.action,
            expires: fact.expires,
            arrival,
        })
    }
}
