//! The accesses of the last minute: what one entry stands for, so that nobody fills the disk by reading.
//!
//! An entry stands for every access of its kind, by the same accessor and on the same thing, that begins within a minute.
//! Whoever touches more things than a few in that minute gets one more entry, which stands for all of them.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use state_machine::time::ReceivedAt;

use crate::log::AppendError;
use crate::log::access::{Access, AccessFact, Accessed, Accessor};

/// For how long an entry stands.
const MINUTE_MILLISECONDS: i64 = 60_000;
/// How many things are named one by one within that time.
const NAMED_MAX: usize = 16;

/// Called once when an access is on record, or cannot be.
pub(super) type Reply = Box<dyn FnOnce(Result<(), NotRecorded>) + Send>;

/// An access is not on record, so it must not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotRecorded {
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// It could not be sealed.
    #[error("the access could not be sealed")]
    Seal,
}

/// The accesses of the last minute.
#[derive(Default)]
pub(super) struct RecentAccesses(Mutex<BTreeMap<(Accessor, Access), Window>>);

/// One kind of access by one accessor.
struct Window {
    since: ReceivedAt,
    /// What is on record, or will be; [`Accessed::Everything`] stands for all else.
    on: BTreeMap<Accessed, State>,
}

enum State {
    Recorded,
    /// Who waits until it is.
    Pending(Vec<Reply>),
}

/// What an access still needs.
pub(super) enum Need {
    /// Nothing: whoever waits is called, or has been.
    Nothing,
    /// An entry; afterwards [`RecentAccesses::settle`] is to be called with it.
    Entry(AccessFact),
}

impl RecentAccesses {
    /// Takes in an access that begins at `now`.
    pub(super) fn begin(&self, access: AccessFact, now: ReceivedAt, reply: Reply) -> Need {
        let mut windows = self.lock();
        windows.retain(|_, window| window.stands(now));
        let AccessFact { by, access, on } = access;
        let window = windows
            .entry((by.clone(), access))
            .or_insert_with(|| Window {
                since: now,
                on: BTreeMap::new(),
            });
        let on = window.standing_for(on);
        match window.on.get_mut(&on) {
            Some(State::Pending(waiting)) => waiting.push(reply),
            Some(State::Recorded) => {
                drop(windows);
                reply(Ok(()));
            }
            None => {
                window.on.insert(on.clone(), State::Pending(vec![reply]));
                return Need::Entry(AccessFact { by, access, on });
            }
        }
        Need::Nothing
    }

    /// Takes in what became of an entry, and calls whoever waits for it.
    pub(super) fn settle(&self, entry: &AccessFact, recorded: &Result<(), NotRecorded>) {
        let mut windows = self.lock();
        let window = windows.get_mut(&(entry.by.clone(), entry.access));
        let state = window.and_then(|window| match recorded {
            Ok(()) => window.on.insert(entry.on.clone(), State::Recorded),
            Err(_) => window.on.remove(&entry.on),
        });
        drop(windows);
        if let Some(State::Pending(waiting)) = state {
            for reply in waiting {
                reply(recorded.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Accessor, Access), Window>> {
        // No code that holds the lock can panic half-way through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    /// Tells whether its entries still stand for what begins now. While somebody waits for one, they do.
    fn stands(&self, now: ReceivedAt) -> bool {
        let age = now.0.saturating_sub(self.since.0);
        let is_pending = |state: &State| matches!(state, State::Pending(_));
        (0..MINUTE_MILLISECONDS).contains(&age) || self.on.values().any(is_pending)
    }

    /// Returns by what entry this would be told.
    fn standing_for(&self, on: Accessed) -> Accessed {
        let is_named = self.on.contains_key(&on) || self.on.len() < NAMED_MAX;
        if is_named { on } else { Accessed::Everything }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use state_machine::id::SequenceNumber;

    use super::*;

    const START: i64 = 1_760_000_000_000;

    /// Accesses, and how many of them were let through and refused.
    #[derive(Default)]
    struct Desk {
        recent: RecentAccesses,
        allowed: Arc<AtomicUsize>,
        refused: Arc<AtomicUsize>,
    }

    impl Desk {
        /// Begins an access of these entries, and returns the entry that it needs.
        fn begin(&self, access: Access, first: u64, at: i64) -> Option<AccessFact> {
            let (allowed, refused) = (Arc::clone(&self.allowed), Arc::clone(&self.refused));
            let fact = AccessFact {
                by: Accessor::Anonymous,
                access,
                on: Accessed::Entries {
                    first: SequenceNumber(first),
                    count: 1,
                },
            };
            let reply = Box::new(move |recorded: Result<(), NotRecorded>| {
                let count = if recorded.is_ok() { allowed } else { refused };
                count.fetch_add(1, Ordering::Relaxed);
            });
            match self.recent.begin(fact, ReceivedAt(at), reply) {
                Need::Nothing => None,
                Need::Entry(entry) => Some(entry),
            }
        }

        /// Begins an access, and records at once what it needs; returns whether that was an entry.
        fn record(&self, access: Access, first: u64, at: i64) -> bool {
            let entry = self.begin(access, first, at);
            if let Some(entry) = &entry {
                self.recent.settle(entry, &Ok(()));
            }
            entry.is_some()
        }

        fn told(&self) -> (usize, usize) {
            (
                self.allowed.load(Ordering::Relaxed),
                self.refused.load(Ordering::Relaxed),
            )
        }
    }

    #[test]
    fn one_entry_stands_for_a_minute_of_the_same() {
        let desk = Desk::default();
        #[rustfmt::skip]
        let rows = [
            (Access::Words,    7, 0,       true),
            (Access::Words,    7, 59_999,  false),
            (Access::Words,    8, 59_999,  true),  // another thing
            (Access::Payloads, 7, 59_999,  true),  // another kind
            (Access::Words,    7, 60_000,  true),  // another minute
            (Access::Words,    7, 59_000,  true),  // a clock that was set back
        ];
        for (access, first, at, needs_entry) in rows {
            assert_eq!(
                desk.record(access, first, START + at),
                needs_entry,
                "{access:?} {first} at {at}"
            );
        }
        assert_eq!(desk.told(), (6, 0));
    }

    #[test]
    fn nobody_passes_before_the_entry_is_durable_and_then_all_do() {
        let desk = Desk::default();

        let entry = desk.begin(Access::Words, 7, START).unwrap();
        assert!(desk.begin(Access::Words, 7, START).is_none());
        assert!(desk.begin(Access::Words, 7, START + 60_000).is_none()); // the disk is slow
        assert_eq!(desk.told(), (0, 0));
        desk.recent.settle(&entry, &Ok(()));

        assert_eq!(desk.told(), (3, 0));
    }

    #[test]
    fn whoever_waits_for_an_entry_that_is_lost_is_refused_and_the_next_one_tries_again() {
        let desk = Desk::default();

        let entry = desk.begin(Access::Words, 7, START).unwrap();
        assert!(desk.begin(Access::Words, 7, START).is_none());
        desk.recent.settle(&entry, &Err(NotRecorded::Seal));

        assert_eq!(desk.told(), (0, 2));
        assert!(desk.begin(Access::Words, 7, START).is_some());
    }

    #[test]
    fn however_much_is_read_in_a_minute_the_entries_are_few_and_stand_for_all_of_it() {
        let desk = Desk::default();

        let entries = (0..1_000).filter(|first| desk.record(Access::Words, *first, START));

        assert_eq!(entries.count(), NAMED_MAX + 1);
        assert_eq!(desk.told(), (1_000, 0));
        let windows = desk.recent.lock();
        let window = windows.values().next().unwrap();
        assert!(window.on.contains_key(&Accessed::Everything));
    }
}
