//! Limits: how often something may happen, for each of those who make it happen.
//!
//! The generic cell rate algorithm: one moment is kept for each of them, and no timer runs. Those who were idle longest are
//! forgotten first, so that memory is bounded; whoever is forgotten begins anew.

use std::hash::Hash;
use std::num::NonZero;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;

/// How often something may happen: evenly, and so many times at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The time that each takes of what there is.
    pub interval: Duration,
    /// How many may come at once.
    pub burst: NonZero<u32>,
}

impl Rate {
    /// Returns the rate of so many in a while, all of which may come at once; none for zero.
    pub fn of(count: u32, period: Duration) -> Option<Self> {
        let burst = NonZero::new(count)?;
        let interval = period / burst.get();
        Some(Self { interval, burst })
    }
}

/// Too often. The next one may come after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften(pub Duration);

/// Counts for each key by itself.
pub struct Limit<K> {
    rate: Option<Rate>,
    /// When what each has taken will be there again, since the limit began.
    taken_until: Mutex<LruCache<K, Duration>>,
}

impl<K: Hash + Eq> Limit<K> {
    /// Begins to count, for so many keys at once; without a rate nothing is too often.
    pub fn new(rate: Option<Rate>, keys_max: NonZero<usize>) -> Self {
        Self {
            rate,
            taken_until: Mutex::new(LruCache::new(keys_max)),
        }
    }

    /// Takes one, or says that it is too often. `now` is the time since the limit began, and never goes back.
    pub fn take(&self, key: K, now: Duration) -> Result<(), TooOften> {
        let Some(Rate { interval, burst }) = self.rate else {
            return Ok(());
        };
        let mut taken_until = self
            .taken_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let until = taken_until.get_or_insert_mut(key, || now);
        let after = now.max(*until) + interval;
        let ahead = after
            .saturating_sub(now)
            .saturating_sub(interval * burst.get());
        if ahead.is_zero() {
            *until = after;
            Ok(())
        } else {
            Err(TooOften(ahead))
        }
    }

    /// Returns how many keys are known.
    pub fn len(&self) -> usize {
        let taken_until = self.taken_until.lock();
        taken_until.unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Returns whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
