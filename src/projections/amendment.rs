//! An amendment: rows that take the place of what a store has of a part of the log, in one batch.

use std::collections::{BTreeMap, BTreeSet};

use state_machine::id::{SessionId, UserTag, World};

use super::catch_up::Round;
use super::comparison::Comparison;
use super::derived::Derived;
use super::description::{Described, describe};
use super::key;
use super::listing;
use super::record::{SessionRecord, UserRecord};
use super::store::{Projections, StoreError};
use super::view::View;

/// What is to be stored; `None` is nothing.
pub(super) struct Amendment {
    sessions: BTreeMap<(World, SessionId), Option<Vec<u8>>>,
    users: BTreeMap<(World, UserTag), Option<Vec<u8>>>,
    listings: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Amendment {
    pub(super) fn of(round: Round<'_>, found: Vec<Vec<u8>>) -> Result<Self, StoreError> {
        let mut listings: BTreeMap<_, _> = found.into_iter().map(|key| (key, None)).collect();
        let (mut sessions, mut users) = (BTreeMap::new(), BTreeMap::new());
        let mut named = BTreeSet::new();
        for ((world, id), record) in round.sessions {
            let is_known = record.after != SessionRecord::default();
            let before = Derived::of(&world, &id, &record.before).rows;
            let after = Derived::of(&world, &id, &record.after);
            named.extend(after.named.iter().map(|tag| (world.clone(), *tag)));
            listings.extend(before.into_keys().map(|key| (key, None)));
            listings.extend(after.rows.into_iter().map(|(key, row)| (key, Some(row))));
            let encoded = record.after.encode()?;
            sessions.insert((world, id), is_known.then_some(encoded));
        }
        for ((world, tag), user) in round.users {
            let before = listing::rows_of_user(&world, tag, user.before.listed_as);
            let after = listing::rows_of_user(&world, tag, user.after.listed_as);
            listings.extend(before.into_keys().map(|key| (key, None)));
            listings.extend(after.into_iter().map(|(key, row)| (key, Some(row))));
            let name = (world, tag);
            let is_known = user.after != UserRecord::default() || named.contains(&name);
            let encoded = user.after.encode()?;
            users.insert(name, is_known.then_some(encoded));
        }
        Ok(Self {
            sessions,
            users,
            listings,
        })
    }

    /// Returns whose records are among it.
    pub(super) fn users(&self) -> impl Iterator<Item = &(World, UserTag)> {
        self.users.keys()
    }

    /// Returns all rows, by the keyspace that they belong to.
    fn rows(&self) -> impl Iterator<Item = (&'static str, Vec<u8>, Option<&[u8]>)> {
        let sessions = self
            .sessions
            .iter()
            .map(|((world, id), row)| ("sessions", key::session(world, id), row.as_deref()));
        let users = (self.users.iter())
            .map(|((world, tag), row)| ("users", key::user(world, *tag), row.as_deref()));
        let listings =
            (self.listings.iter()).map(|(key, row)| ("listings", key.clone(), row.as_deref()));
        sessions.chain(users).chain(listings)
    }

    pub(super) fn compare(&self, view: &View) -> Result<Comparison, StoreError> {
        let mut comparison = Comparison::empty();
        for (name, key, after) in self.rows() {
            let keyspaces = view.projections.folded();
            let keyspace = keyspaces.iter().find(|(other, _)| *other == name);
            let stored = match keyspace {
                Some((_, keyspace)) => view.snapshot.get(keyspace, &key)?,
                None => None,
            };
            if stored.as_deref() != after {
                let rows = Described {
                    keyspace: name,
                    key: &key,
                    before: stored.as_deref(),
                    after,
                };
                comparison.add(describe(&rows));
            }
        }
        Ok(comparison)
    }

    pub(super) fn write(&self, store: &Projections) -> Result<(), StoreError> {
        let mut batch = store.database.batch();
        for (name, key, row) in self.rows() {
            let keyspaces = store.folded();
            let Some((_, keyspace)) = keyspaces.iter().find(|(other, _)| *other == name) else {
                continue;
            };
            match row {
                Some(row) => batch.insert(keyspace, key, row),
                None => batch.remove(keyspace, key),
            }
        }
        batch.commit()?;
        store.forget_digest();
        Ok(())
    }
}
