//! The cache of users: what was read of one, until an entry changes it. Bounded by count; a miss is only slower.

use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use state_machine::id::{UserTag, World};

use super::users::KnownUser;

/// How many parts lock apart from each other.
const SHARDS: usize = 16;
/// How many events and overrides a cached user may have, in all sessions: it bounds the memory of one entry.
const EVENTS_MAX: usize = 64;

type Key = (World, UserTag);
type Shard = Mutex<LruCache<Key, Arc<KnownUser>>>;

/// What is known of the users who were asked for last.
pub(super) struct UserCache {
    shards: [Shard; SHARDS],
    changes: AtomicU64,
}

/// A moment before a read; what was read may be kept only if nothing has changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(u64);

impl UserCache {
    pub(super) fn new(entries_max: usize) -> Self {
        let shard_max = NonZero::new(entries_max.div_ceil(SHARDS)).unwrap_or(NonZero::<usize>::MIN);
        Self {
            shards: std::array::from_fn(|_| Mutex::new(LruCache::new(shard_max))),
            changes: AtomicU64::new(0),
        }
    }

    /// Returns the moment from which a read may be kept; to be taken before the read.
    pub(super) fn moment(&self) -> Moment {
        Moment(self.changes.load(Ordering::SeqCst))
    }

    pub(super) fn find(&self, key: &Key) -> Option<Arc<KnownUser>> {
        self.shard(key)?.get(key).map(Arc::clone)
    }

    /// Keeps what was read since `moment`, unless something has changed in between: it may have been this user, and
    /// whoever forgot it has been here already.
    pub(super) fn keep(&self, key: Key, user: &Arc<KnownUser>, moment: Moment) {
        let KnownUser {
            sessions,
            overrides,
        } = &**user;
        let histories = sessions.iter().map(|known| &known.record.history);
        let events = histories.map(|history| history.records().len());
        if events.sum::<usize>() + overrides.len() > EVENTS_MAX {
            return;
        }
        if let Some(mut shard) = self.shard(&key)
            && self.moment() == moment
        {
            shard.put(key, Arc::clone(user));
        }
    }

    /// Forgets a user who has changed. The count moves before the lock is taken, so that a stale read is either seen
    /// by `keep`, or kept before and removed here.
    pub(super) fn forget(&self, key: &Key) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        if let Some(mut shard) = self.shard(key) {
            shard.pop(key);
        }
    }

    /// Forgets everyone, in the same order.
    pub(super) fn forget_all(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }

    fn shard(
        &self,
        (_, UserTag(tag)): &Key,
    ) -> Option<MutexGuard<'_, LruCache<Key, Arc<KnownUser>>>> {
        // A tag is a keyed hash: its bytes are spread already, and nobody can choose them.
        let [byte, ..] = tag;
        let shard = self.shards.get(usize::from(*byte) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: UserTag = UserTag([7; 16]);

    fn key(user: UserTag) -> Key {
        let world = World {
            livemode: false,
            account: None,
        };
        (world, user)
    }

    fn read() -> Arc<KnownUser> {
        Arc::default()
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let cache = UserCache::new(16);

        let moment = cache.moment();
        cache.forget(&key(USER));
        cache.keep(key(USER), &read(), moment);

        assert!(cache.find(&key(USER)).is_none());
    }

    #[test]
    fn what_was_kept_is_found_until_its_user_changes() {
        let cache = UserCache::new(16);
        cache.keep(key(USER), &read(), cache.moment());

        cache.forget(&key(UserTag([8; 16])));
        let after_another = cache.find(&key(USER));
        cache.forget(&key(USER));

        assert!(after_another.is_some());
        assert!(cache.find(&key(USER)).is_none());
    }

    #[test]
    fn no_more_users_are_kept_than_configured() {
        let cache = UserCache::new(16);
        for byte in 0..=u8::MAX {
            cache.keep(key(UserTag([byte; 16])), &read(), cache.moment());
        }

        let found = (0..=u8::MAX).filter(|byte| cache.find(&key(UserTag([*byte; 16]))).is_some());

        assert_eq!(found.count(), 16);
    }
}
