//! The key ring: the keys in use, found by the name of their subject. A subject that is new gets a key that the vault
//! has made durable before.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use lru::LruCache;

use super::custody::Custody;
use super::entry::SubjectName;
use super::index::Index;
use super::index_error::IndexError;
use super::keys::PayloadKeys;
use super::subject_key::SubjectKey;
use super::vault::minting::Minter;
use super::vault::{KeySlot, SlotState, Vault, VaultError};

/// How many parts the ring has: a look for one subject's key holds up those of few others.
const PARTS: usize = 16;
/// How many keys of a part stay in memory although nothing uses them, below a kilobyte each.
const CACHED_MAX: NonZero<usize> = NonZero::new(1_024).unwrap();

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    /// The vault could not be read or written.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The index could not be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// The keys in use.
pub(super) struct KeyRing {
    pub(super) vault: Arc<Vault>,
    minter: Minter,
    parts: [Mutex<Keys>; PARTS],
}

struct Keys {
    cached: LruCache<SubjectName, Arc<SubjectKey>>,
    /// Every key that somebody has, cached or not: two for one subject would seal under different secrets, and an
    /// erasure would miss one. A key is let go only when the index has its entries.
    in_use: HashMap<SubjectName, Weak<SubjectKey>>,
}

impl KeyRing {
    pub(super) fn new(vault: Vault) -> io::Result<Self> {
        let vault = Arc::new(vault);
        Ok(Self {
            minter: Minter::start(&vault)?,
            vault,
            parts: std::array::from_fn(|_| Mutex::new(Keys::new())),
        })
    }

    /// Returns the key of a subject, a fresh one if it has none.
    pub(super) fn key(
        &self,
        name: &SubjectName,
        index: &Index,
    ) -> Result<Arc<SubjectKey>, KeyError> {
        self.find_or(name, || match index.slot_of(name)? {
            Some(slot) => self.load(name, slot, index),
            None => self.fresh(Some(name.clone())),
        })
    }

    /// Returns the key of a subject, if it has one.
    pub(super) fn find(
        &self,
        name: &SubjectName,
        index: &Index,
    ) -> Result<Option<Arc<SubjectKey>>, KeyError> {
        if let Some(key) = self.lock(name).find(name) {
            return Ok(Some(key));
        }
        let slot = index.slot_of(name)?;
        slot.map(|slot| self.key_in(name, slot, index)).transpose()
    }

    /// Returns the key of a subject whose slot is known.
    pub(super) fn key_in(
        &self,
        name: &SubjectName,
        slot: KeySlot,
        index: &Index,
    ) -> Result<Arc<SubjectKey>, KeyError> {
        self.find_or(name, || self.load(name, slot, index))
    }

    /// Makes a key for a subject that nobody else can know of yet.
    pub(super) fn fresh(&self, name: Option<SubjectName>) -> Result<Arc<SubjectKey>, KeyError> {
        let (slot, secret) = self.vault.take()?;
        self.minter.look_after(&self.vault);
        let keys = Some(PayloadKeys::derive(&secret));
        let unused = (Custody::default(), false);
        Ok(Arc::new(SubjectKey::new(name, slot, keys, unused)))
    }

    /// Returns what stands for a key where an entry has no subject.
    pub(super) fn of_log() -> Arc<SubjectKey> {
        let bound = (Custody::default(), true);
        Arc::new(SubjectKey::new(None, KeySlot::LOG, None, bound))
    }

    /// Returns a key that is none: what keys cost is measured against this.
    pub(super) fn none(name: SubjectName) -> Arc<SubjectKey> {
        let bound = (Custody::default(), true);
        Arc::new(SubjectKey::new(Some(name), KeySlot::LOG, None, bound))
    }

    fn find_or(
        &self,
        name: &SubjectName,
        make: impl FnOnce() -> Result<Arc<SubjectKey>, KeyError>,
    ) -> Result<Arc<SubjectKey>, KeyError> {
        // Held while a key is made, so that a subject never gets two.
        let mut keys = self.lock(name);
        let key = keys.find(name).map_or_else(make, Ok)?;
        keys.keep(name, &key);
        Ok(key)
    }

    /// Locks the part that this name belongs to.
    fn lock(&self, name: &SubjectName) -> MutexGuard<'_, Keys> {
        let [first, ..] = &self.parts;
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let [byte, ..] = hasher.finish().to_le_bytes();
        let part = self.parts.get(usize::from(byte) % PARTS).unwrap_or(first);
        part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load(
        &self,
        name: &SubjectName,
        slot: KeySlot,
        index: &Index,
    ) -> Result<Arc<SubjectKey>, KeyError> {
        let custody = index.custody(slot)?;
        let keys = match self.vault.secret(slot)? {
            SlotState::Key(secret) => Some(PayloadKeys::derive(&secret)),
            SlotState::Destroyed | SlotState::Damaged => None,
        };
        if keys.is_none() && custody.erasure.is_none() {
            tracing::error!(
                key.slot = slot.0,
                "a key is lost that no erasure has destroyed: its payloads cannot be opened, and further ones are not \
                 kept"
            );
        }
        let known = (custody, true);
        Ok(Arc::new(SubjectKey::new(
            Some(name.clone()),
            slot,
            keys,
            known,
        )))
    }
}

impl Keys {
    fn new() -> Self {
        Self {
            cached: LruCache::new(CACHED_MAX),
            in_use: HashMap::new(),
        }
    }

    fn find(&mut self, name: &SubjectName) -> Option<Arc<SubjectKey>> {
        let cached = self.cached.get(name).map(Arc::clone);
        cached.or_else(|| self.in_use.get(name)?.upgrade())
    }

    fn keep(&mut self, name: &SubjectName, key: &Arc<SubjectKey>) {
        if self.cached.get(name).is_some() {
            return;
        }
        if self.in_use.len() >= 2 * CACHED_MAX.get() {
            self.in_use.retain(|_, key| key.strong_count() > 0);
        }
        self.in_use.insert(name.clone(), Arc::downgrade(key));
        self.cached.put(name.clone(), Arc::clone(key));
    }
}
