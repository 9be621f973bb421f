//! Catch-up: the only loop that writes projections. Live, start-up, rebuild and audit are this loop.
//!
//! It reads the log from the cursor, folds in rounds, and writes each round and the new cursor in one batch. If we stop
//! before a batch, its entries are read again; no entry is ever folded into a record twice, since a history is a set.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use state_machine::id::{SequenceNumber, SessionId, UserTag, World};
use state_machine::session::project;
use state_machine::transition::StateName;
use state_machine::user::current_of;

use super::derived::Derived;
use super::key;
use super::listing::{self, ListedAnomaly, Rows};
use super::policies;
use super::record::{SessionRecord, UserRecord};
use super::store::{Projections, StoreError};
use super::take_in::{Concern, concern, damaged};
use super::view::View;
use crate::log::ReadError;
use crate::log::entry::{Entry as LogEntry, Leaf};
use crate::log::rows::batch::Batch;

/// How many entries one batch may cover: it bounds the memory of a rebuild.
const ROUND_ENTRIES_MAX: usize = 1024;

/// Folds the entries from the cursor on, which `entries_from` returns, and returns the new cursor. `touched` is told of
/// every user whose standing may have changed, once that is written.
///
/// Of a log, these are the entries up to where it ended at the call. What is appended meanwhile is left to the next call:
/// whoever waits for this one must not wait for those who come later, however fast they come.
pub fn catch_up<Entries: Iterator<Item = Result<Arc<LogEntry>, ReadError>>>(
    projections: &Arc<Projections>,
    entries_from: impl FnOnce(SequenceNumber) -> Entries,
    mut touched: impl FnMut(&World, UserTag),
) -> Result<SequenceNumber, StoreError> {
    let mut cursor = projections.cursor()?;
    let mut entries = entries_from(cursor.next).peekable();
    while entries.peek().is_some() {
        let view = projections.view();
        let mut round = Round {
            view: &view,
            sessions: BTreeMap::new(),
            users: BTreeMap::new(),
            strays: Rows::new(),
        };
        for entry in entries.by_ref().take(ROUND_ENTRIES_MAX) {
            cursor.last = match &entry {
                Ok(entry) => entry.leaf.digest(),
                Err(_) => [0; 32],
            };
            match entry {
                Ok(entry) => round.take_in(&entry.leaf)?,
                Err(error) => round.take_in_damaged(&error),
            }
            cursor.next = SequenceNumber(cursor.next.0.saturating_add(1));
        }
        let mut batch = projections.database.batch();
        let users = round.write(projections, &mut batch)?;
        projections.move_cursor(&mut batch, cursor);
        let committed = batch.commit();
        committed.map_err(|error| projections.note_damage(error.into()))?;
        for (world, tag) in &users {
            touched(world, *tag);
        }
    }
    Ok(cursor.next)
}

/// The records that one batch changes.
pub(super) struct Round<'view> {
    pub(super) view: &'view View,
    pub(super) sessions: BTreeMap<(World, SessionId), Changed<SessionRecord>>,
    pub(super) users: BTreeMap<(World, UserTag), Changed<UserRecord>>,
    pub(super) strays: Rows, // of entries that belong to no session and no user
}

/// A record before and after a round.
pub(super) struct Changed<R> {
    pub(super) before: R,
    pub(super) after: R,
}

impl Round<'_> {
    fn take_in(&mut self, leaf: &Leaf) -> Result<(), StoreError> {
        match concern(leaf) {
            Concern::Session(world, id) => self.session(world, id)?.take_in(leaf),
            Concern::User(world, tag) => self.user(world, tag)?.take_in(leaf),
            Concern::Stray(anomaly) => self.take_in_stray(&anomaly),
            Concern::Policy(policy) => {
                let (key, value) = policies::row(policy, leaf.arrival());
                self.strays.insert(key, value);
            }
            Concern::Nothing => {}
        }
        Ok(())
    }

    fn take_in_damaged(&mut self, error: &ReadError) {
        tracing::error!(entry.sequence = error.sequence.0, %error, "an entry is not folded");
        self.take_in_stray(&damaged(error.sequence));
    }

    fn take_in_stray(&mut self, anomaly: &ListedAnomaly) {
        let (key, value) = listing::anomaly_row(None, anomaly);
        self.strays.insert(key, value);
    }

    fn session(&mut self, world: &World, id: &SessionId) -> Result<&mut SessionRecord, StoreError> {
        touch(&mut self.sessions, (world.clone(), id.clone()), || {
            self.view.session(world, id)
        })
    }

    fn user(&mut self, world: &World, tag: UserTag) -> Result<&mut UserRecord, StoreError> {
        touch(&mut self.users, (world.clone(), tag), || {
            self.view.user(world, tag)
        })
    }

    /// Has the users' records follow from those of the sessions.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        for ((world, id), record) in &self.sessions {
            let derived = Derived::of(world, id, &record.after);
            for tag in derived.named {
                let user = touch(&mut self.users, (world.clone(), tag), || {
                    self.view.user(world, tag)
                })?;
                user.set_owns(id, derived.owner == Some(tag));
            }
        }
        let mut users = std::mem::take(&mut self.users);
        for ((world, _), user) in &mut users {
            user.after.listed_as = self.status_of(world, &user.after)?;
        }
        self.users = users;
        Ok(())
    }

    /// Puts every change into the batch, and returns whose standing it may change.
    fn write(
        mut self,
        projections: &Projections,
        batch: &mut Batch,
    ) -> Result<Vec<(World, UserTag)>, StoreError> {
        self.settle()?;
        for ((world, id), record) in &self.sessions {
            let before = Derived::of(world, id, &record.before);
            let after = Derived::of(world, id, &record.after);
            write_difference(projections, batch, &before.rows, after.rows);
            batch.insert(
                &projections.sessions,
                key::session(world, id),
                record.after.encode()?,
            );
        }
        for ((world, tag), user) in &self.users {
            let before = listing::rows_of_user(world, *tag, user.before.listed_as);
            let after = listing::rows_of_user(world, *tag, user.after.listed_as);
            write_difference(projections, batch, &before, after);
            if user.after != user.before || user.after == UserRecord::default() {
                batch.insert(
                    &projections.users,
                    key::user(world, *tag),
                    user.after.encode()?,
                );
            }
        }
        write_difference(projections, batch, &Rows::new(), self.strays);
        Ok(self.users.into_keys().collect())
    }

    /// Returns the status of a user's standing, or `None` for one who has lost every session to other users.
    fn status_of(&self, world: &World, user: &UserRecord) -> Result<Option<StateName>, StoreError> {
        let mut outlines = Vec::with_capacity(user.sessions.len());
        for id in &user.sessions {
            let session = match self.sessions.get(&(world.clone(), id.clone())) {
                Some(record) => project(&record.after.history),
                None => project(&self.view.session(world, id)?.unwrap_or_default().history),
            };
            outlines.push((id, session.outline()));
        }
        Ok(current_of(outlines).map(|(_, current)| current.state))
    }
}

/// Returns the record to change, read only when a round first touches it.
fn touch<K: Ord, R: Clone + Default>(
    records: &mut BTreeMap<K, Changed<R>>,
    key: K,
    read: impl FnOnce() -> Result<Option<R>, StoreError>,
) -> Result<&mut R, StoreError> {
    let record = match records.entry(key) {
        Entry::Occupied(occupied) => occupied.into_mut(),
        Entry::Vacant(vacant) => {
            let before = read()?.unwrap_or_default();
            vacant.insert(Changed {
                after: before.clone(),
                before,
            })
        }
    };
    Ok(&mut record.after)
}

/// Writes the rows that are new or changed, and removes those that are gone.
fn write_difference(projections: &Projections, batch: &mut Batch, before: &Rows, after: Rows) {
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        batch.remove(&projections.listings, key.as_slice());
    }
    for (key, value) in after {
        if before.get(&key) != Some(&value) {
            batch.insert(&projections.listings, key, value);
        }
    }
}
