//! Reading what stood at an earlier time: by the rows of today, which also lead to what has since gone elsewhere.

use state_machine::id::{SessionId, UserTag, World};
use state_machine::session::Session;
use state_machine::time::Timestamp;

use super::key;
use super::listing;
use super::record::RecordedUser;
use super::store::StoreError;
use super::stored::DamagedRecord;
use super::view::{Items, Position, SessionFilter, View};

impl View {
    /// Returns every user of every world.
    pub fn everyone(&self) -> Items<'_, (World, UserTag)> {
        let rows = self.rows(&self.projections.users, &[], None, None);
        Box::new(rows.map(|row| {
            let (key, _) = row?;
            self.noting_damage(key::user_of(&key))
        }))
    }

    /// Returns what was ever recorded of a user: every session that has named them, whomever it belongs to today.
    pub fn ever_recorded_user(
        &self,
        world: &World,
        tag: UserTag,
    ) -> Result<RecordedUser, StoreError> {
        let user = self.user(world, tag)?.unwrap_or_default();
        let mut ids = [user.sessions, user.lost_sessions].concat();
        ids.sort();
        let mut sessions = Vec::with_capacity(ids.len());
        for id in ids {
            if let Some(record) = self.session(world, &id)? {
                sessions.push((id, record));
            }
        }
        Ok(RecordedUser {
            sessions,
            overrides: user.overrides,
        })
    }

    /// Returns the sessions of a world under every time at which one was created by any of its events, the latest first.
    pub fn sessions_by_creation(
        &self,
        world: &World,
        position: Option<Position<(Timestamp, SessionId)>>,
    ) -> Items<'_, (Timestamp, SessionId)> {
        let prefix = listing::sessions_by_created(world);
        let place = |(created, id): (Timestamp, SessionId)| {
            [&key::latest_first(created), id.as_str().as_bytes()].concat()
        };
        let position = position.map(|position| position.map(place));
        let rows = self.rows(&self.projections.listings, &prefix, position, None);
        Box::new(rows.map(|row| {
            let (place, _) = row?;
            let read = place.split_first_chunk().ok_or(DamagedRecord::Key);
            let read = read.and_then(|(created, id)| {
                let id = str::from_utf8(id).map_err(|_| DamagedRecord::Key)?;
                Ok((key::time_of(*created), SessionId::parse(id)?))
            });
            self.noting_damage(read)
        }))
    }
}

impl SessionFilter {
    /// Returns whether a session is to be listed. One without a state never is.
    pub fn admits(&self, session: &Session) -> bool {
        let since = session.state.since();
        since.is_some_and(|since| self.since_max.is_none_or(|max| since <= max))
            && self.state.is_none_or(|state| session.state.name() == state)
    }
}
