//! The unsealer: opens payloads with a vault and its master key, and without the log, for whoever audits it.

use std::io;
use std::num::NonZero;

use lru::LruCache;
use state_machine::id::UserTag;

use super::dedupe::Identification;
use super::entry::{Fact, Leaf};
use super::identity::Identity;
use super::inspection::Inspection;
use super::keys::{LogKeys, MasterKey, PayloadKeys};
use super::payload::{self, OpenedPayload, PayloadError};
use super::prepare;
use super::vault::reader::{VaultReader, VaultWrapping};
use super::vault::{KeySlot, SlotState, VaultError};
use crate::stripe::attribution::user_references;
use crate::stripe::decode::Decoded;
use crate::stripe::user_reference::UserReference;
use crate::transparency::key::{KeyName, VerifierKey};
use crate::transparency::signing_key::SigningKey;

const CACHED_MAX: NonZero<usize> = NonZero::new(4_096).unwrap();

/// The keys of a log, read from its vault.
pub struct Unsealer {
    vault: VaultReader,
    wrapping: VaultWrapping,
    log_keys: LogKeys,
    cached: LruCache<KeySlot, PayloadKeys>,
}

impl Unsealer {
    /// Opens a vault with its master key.
    pub fn new(vault: VaultReader, master: &MasterKey) -> Result<Self, VaultError> {
        let wrapping = vault.wrapping(master);
        let SlotState::Key(secret) = vault.secret(&wrapping, KeySlot::LOG)? else {
            return Err(VaultError::OtherMasterKey);
        };
        Ok(Self {
            log_keys: LogKeys::derive(&secret),
            vault,
            wrapping,
            cached: LruCache::new(CACHED_MAX),
        })
    }

    /// Tells whether the vault is that of a log whose identity file is whole.
    pub fn is_of(&self, log: &Inspection) -> io::Result<bool> {
        Ok(log.identity()? == Some(self.identity()))
    }

    pub(super) fn identity(&self) -> Identity {
        Identity::new(self.vault.log(), &self.log_keys)
    }

    pub(super) fn vault(&self) -> &VaultReader {
        &self.vault
    }

    /// Returns the tag under which entries name this user.
    pub fn user_tag(&self, reference: &UserReference) -> UserTag {
        self.log_keys.user_tag(reference)
    }

    /// Returns the key with which the log signs under this name.
    pub fn verifier_key(&self, origin: KeyName) -> Result<VerifierKey, VaultError> {
        match self.vault.secret(&self.wrapping, KeySlot::SIGNING)? {
            SlotState::Key(seed) => Ok(SigningKey::new(origin, seed.expose())
                .verifier_key()
                .clone()),
            SlotState::Destroyed | SlotState::Damaged => Err(VaultError::DamagedSlot {
                slot: KeySlot::SIGNING,
            }),
        }
    }

    /// Tells whether a slot holds a key or nothing.
    pub fn is_whole(&self, slot: KeySlot) -> io::Result<bool> {
        let state = self.vault.secret(&self.wrapping, slot)?;
        Ok(match state {
            SlotState::Key(_) | SlotState::Destroyed => true,
            SlotState::Damaged => false,
        })
    }

    /// Opens a sealed payload and checks it against its leaf.
    pub fn open(&mut self, leaf: &Leaf, sealed: &[u8]) -> Result<OpenedPayload, PayloadError> {
        let digest = leaf.payload.as_ref().filter(|_| !sealed.is_empty());
        let digest = digest.ok_or(PayloadError::Erased)?;
        let keys = if leaf.key_slot == KeySlot::LOG {
            &self.log_keys.words
        } else {
            let Self {
                vault, wrapping, ..
            } = self;
            (self.cached).try_get_or_insert(leaf.key_slot, || {
                match vault.secret(wrapping, leaf.key_slot) {
                    Ok(SlotState::Key(secret)) => Ok(PayloadKeys::derive(&secret)),
                    Ok(SlotState::Destroyed) => Err(PayloadError::Erased),
                    Ok(SlotState::Damaged) | Err(_) => Err(PayloadError::KeyUnreadable),
                }
            })?
        };
        payload::open(keys, sealed, digest, &Identification::of(&leaf.fact))
    }

    /// Returns the fact that the log would keep of a body that reads so, for the user that `leaf` tags if the body names
    /// that user: which text names the user was a setting. Of what is not kept, none.
    pub fn fact(&self, leaf: &Leaf, body: &[u8], decoded: Decoded) -> Option<Fact> {
        match decoded {
            Decoded::Event(event) => {
                let mut fact = prepare::session_fact(&self.log_keys, *event);
                let tagged = user_of(&leaf.fact).filter(|tag| self.names(body, *tag));
                if let Fact::Event(fact) = &mut fact {
                    fact.event.user = tagged;
                }
                Some(match (fact, &leaf.fact) {
                    (Fact::Event(fact), Fact::Conflict(_)) => Fact::Conflict(fact),
                    (fact, _) => fact,
                })
            }
            Decoded::Unreadable(unreadable) => {
                Some(prepare::unreadable_fact(&self.log_keys, body, unreadable))
            }
            Decoded::Foreign { .. } => None,
        }
    }

    fn names(&self, body: &[u8], tag: UserTag) -> bool {
        let references = user_references(body);
        references
            .iter()
            .any(|reference| self.log_keys.user_tag(reference) == tag)
    }
}

fn user_of(fact: &Fact) -> Option<UserTag> {
    match fact {
        Fact::Event(fact) | Fact::Conflict(fact) => fact.event.user,
        Fact::Unreadable(_)
        | Fact::Erasure(_)
        | Fact::ErasureDone(_)
        | Fact::Hold(_)
        | Fact::Release(_)
        | Fact::Override(_)
        | Fact::Configuration(_)
        | Fact::Access(_) => None,
    }
}
