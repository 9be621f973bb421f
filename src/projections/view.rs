//! Reading: records and pages, in a view in which nothing moves while it is read. Never waits for the writer.

use std::ops::Bound;
use std::sync::Arc;

use state_machine::id::{SequenceNumber, SessionId, UserTag, World};
use state_machine::session::project;
use state_machine::time::Timestamp;
use state_machine::transition::StateName;

use super::key;
use super::listing::{self, ListedAnomaly};
use super::record::{RecordedUser, SessionRecord, UserRecord};
use super::store::{CURSOR, Cursor, Projections, StoreError};
use super::stored::DamagedRecord;
use crate::log::rows::keyspace::Keyspace;
use crate::log::rows::snapshot::{Row, Snapshot};

/// The projections as they stood at one moment.
pub struct View {
    pub(super) snapshot: Snapshot,
    /// Held, so that they are there for as long as they are read, whatever has taken their place.
    pub(super) projections: Arc<Projections>,
}

/// Where a page begins or ends, exclusively. What lies before a position is read backwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position<T> {
    /// The items that follow this one.
    After(T),
    /// The items that precede this one, the nearest first.
    Before(T),
}

impl<T> Position<T> {
    /// Returns the item at which the page begins or ends.
    pub fn item(&self) -> &T {
        match self {
            Self::After(item) | Self::Before(item) => item,
        }
    }

    /// Returns the same position of another item.
    #[must_use]
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Position<U> {
        match self {
            Self::After(item) => Position::After(make(item)),
            Self::Before(item) => Position::Before(make(item)),
        }
    }
}

/// Which sessions to list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionFilter {
    /// Only those in this state, the latest to enter it first; else all, the most recently created first.
    pub state: Option<StateName>,
    /// Only those that entered their state at or before this time; needs `state`.
    pub since_max: Option<Timestamp>,
}

/// The items of a listing, in order, read as they are asked for.
pub type Items<'view, T> = Box<dyn Iterator<Item = Result<T, StoreError>> + 'view>;

impl View {
    pub(super) fn new(projections: Arc<Projections>) -> Self {
        Self {
            snapshot: projections.database.snapshot(),
            projections,
        }
    }

    /// Returns how far the log was folded.
    pub fn cursor(&self) -> Result<Cursor, StoreError> {
        match self.snapshot.get(&self.projections.meta, CURSOR)? {
            None => Ok(Cursor::START),
            Some(bytes) => Ok(Cursor::of_stored(&bytes).ok_or(DamagedRecord::Key)?),
        }
    }

    /// Returns the record of a session.
    pub fn session(
        &self,
        world: &World,
        id: &SessionId,
    ) -> Result<Option<SessionRecord>, StoreError> {
        let key = key::session(world, id);
        self.record(&self.projections.sessions, &key, SessionRecord::decode)
    }

    pub(super) fn user(
        &self,
        world: &World,
        tag: UserTag,
    ) -> Result<Option<UserRecord>, StoreError> {
        let key = key::user(world, tag);
        self.record(&self.projections.users, &key, UserRecord::decode)
    }

    /// Returns whether any session has ever named this user, or any override concerns them.
    pub fn knows_user(&self, world: &World, tag: UserTag) -> Result<bool, StoreError> {
        Ok(self.user(world, tag)?.is_some())
    }

    fn record<R>(
        &self,
        keyspace: &Keyspace,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<R, DamagedRecord>,
    ) -> Result<Option<R>, StoreError> {
        let bytes = self.noting_damage(self.snapshot.get(keyspace, key))?;
        self.noting_damage(bytes.map(|bytes| decode(&bytes)).transpose())
    }

    /// Every read passes here: what is damaged is noted, so that the next start folds afresh.
    pub(super) fn noting_damage<T>(
        &self,
        read: Result<T, impl Into<StoreError>>,
    ) -> Result<T, StoreError> {
        read.map_err(|error| self.projections.note_damage(error.into()))
    }

    /// Returns what is recorded of a user; nothing for one whom nobody named.
    pub fn recorded_user(&self, world: &World, tag: UserTag) -> Result<RecordedUser, StoreError> {
        let user = self.user(world, tag)?.unwrap_or_default();
        let mut sessions = Vec::with_capacity(user.sessions.len());
        for id in user.sessions {
            if let Some(record) = self.session(world, &id)? {
                sessions.push((id, record));
            }
        }
        Ok(RecordedUser {
            sessions,
            overrides: user.overrides,
        })
    }

    /// Returns the sessions of a world that a filter admits.
    pub fn sessions(
        &self,
        world: &World,
        filter: SessionFilter,
        position: Option<Position<SessionId>>,
    ) -> Result<Items<'_, SessionId>, StoreError> {
        let prefix = match filter.state {
            None => listing::sessions_by_created(world),
            Some(state) => listing::sessions_by_state(world, state),
        };
        let position = match position {
            None => None,
            Some(position) => {
                let place = self.place_of_session(world, filter.state, position.item())?;
                Some(position.map(|_| place))
            }
        };
        let from = filter.since_max.map(key::latest_first);
        let rows = self.rows(&self.projections.listings, &prefix, position, from);
        let is_current = |row: &Result<(Vec<u8>, Vec<u8>), _>| {
            row.as_ref()
                .map_or(true, |(_, value)| value != listing::BY_ANOTHER_TIME)
        };
        Ok(Box::new(rows.filter(is_current).map(|row| {
            let (place, _) = row?;
            let id = place.get(8..).and_then(|bytes| str::from_utf8(bytes).ok());
            let id = SessionId::parse(id.unwrap_or_default());
            self.noting_damage(id.map_err(DamagedRecord::from))
        })))
    }

    /// Returns where a session stands in its listing; one that is not there stands where it would.
    fn place_of_session(
        &self,
        world: &World,
        listed_by: Option<StateName>,
        id: &SessionId,
    ) -> Result<Vec<u8>, StoreError> {
        let session = project(&self.session(world, id)?.unwrap_or_default().history);
        let time = match listed_by {
            None => session.created,
            Some(_) => session.state.since().unwrap_or(session.created),
        };
        Ok([&key::latest_first(time), id.as_str().as_bytes()].concat())
    }

    /// Returns the users of a world, or those of one status, in an order that never changes.
    pub fn users(
        &self,
        world: &World,
        state: Option<StateName>,
        position: Option<Position<UserTag>>,
    ) -> Items<'_, UserTag> {
        let (keyspace, prefix) = match state {
            None => (&self.projections.users, key::world(world)),
            Some(state) => (
                &self.projections.listings,
                listing::users_by_state(world, state),
            ),
        };
        let position = position.map(|position| position.map(|tag| tag.0.to_vec()));
        let rows = self.rows(keyspace, &prefix, position, None);
        Box::new(rows.map(|row| {
            let (place, _) = row?;
            let tag = place.as_slice().try_into().map(UserTag);
            self.noting_damage(tag.map_err(|_| DamagedRecord::Key))
        }))
    }

    /// Returns at most `count` anomalies, the latest entry first: those of the world, and those of entries that belong
    /// to no world. A position is an entry and the name of a rule.
    pub fn anomalies(
        &self,
        world: &World,
        position: Option<Position<(SequenceNumber, String)>>,
        count: usize,
    ) -> Result<Vec<ListedAnomaly>, StoreError> {
        let is_backwards = matches!(position, Some(Position::Before(_)));
        let position =
            position.map(|at| at.map(|(sequence, rule)| listing::anomaly_place(sequence, &rule)));
        let mut rows = Vec::new();
        for prefix in [listing::anomalies(world), listing::anomalies_of_no_world()] {
            let page = self.rows(&self.projections.listings, &prefix, position.clone(), None);
            rows.extend(page.take(count).collect::<Result<Vec<_>, _>>()?);
        }
        rows.sort();
        if is_backwards {
            rows.reverse();
        }
        rows.truncate(count);
        let anomalies = rows
            .iter()
            .map(|(place, value)| listing::anomaly_of_row(place, value));
        self.noting_damage(anomalies.collect::<Result<_, _>>())
    }

    /// Returns the entries that could not be read when they were to be folded.
    pub(super) fn damaged_entries(&self) -> Result<Vec<SequenceNumber>, StoreError> {
        let prefix = listing::anomalies_of_no_world();
        let rows = self.rows(&self.projections.listings, &prefix, None, None);
        let mut damaged = Vec::new();
        for row in rows {
            let (place, value) = row?;
            let anomaly = listing::anomaly_of_row(&place, &value)?;
            if anomaly.rule == listing::rule::DAMAGED_ENTRY {
                damaged.push(anomaly.sequence);
            }
        }
        Ok(damaged)
    }

    /// Returns the rows under a prefix, by their keys without it, from a position or from the key `from` on.
    pub(super) fn rows(
        &self,
        keyspace: &Keyspace,
        prefix: &[u8],
        position: Option<Position<Vec<u8>>>,
        from: Option<[u8; 8]>,
    ) -> Items<'_, (Vec<u8>, Vec<u8>)> {
        let under = |place: &[u8]| [prefix, place].concat();
        let first = from.map_or_else(|| prefix.to_vec(), |from| under(&from));
        let start = prefix.len();
        let own = move |row: lsm_tree::Result<Row>| {
            let (key, value) = self.noting_damage(row)?;
            Ok((
                key.get(start..).unwrap_or_default().to_vec(),
                value.to_vec(),
            ))
        };
        let range = |low, high| self.snapshot.range(keyspace, (low, high));
        match position {
            None => Box::new(range(Bound::Included(first), key::end_of(prefix)).map(own)),
            Some(Position::After(place)) => {
                let after = under(&place);
                let low = if after < first {
                    Bound::Included(first)
                } else {
                    Bound::Excluded(after)
                };
                Box::new(range(low, key::end_of(prefix)).map(own))
            }
            Some(Position::Before(place)) => {
                let high = under(&place);
                if high <= first {
                    return Box::new(std::iter::empty());
                }
                Box::new(
                    range(Bound::Included(first), Bound::Excluded(high))
                        .rev()
                        .map(own),
                )
            }
        }
    }
}
