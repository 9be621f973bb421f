//! Earlier times: users and sessions as they stood within a horizon.

use std::sync::Arc;

use state_machine::horizon::Horizon;
use state_machine::id::{SessionId, UserTag, World};
use state_machine::session::project;
use state_machine::time::Timestamp;

use super::Service;
use super::asked::Asked;
use super::policy::NamedPolicy;
use super::read::{Page, ReadError};
use super::sessions::SessionAnswer;
use super::users::{KnownUser, UserAnswer};
use crate::projections::record::{RecordedUser, SessionRecord};
use crate::projections::view::{Position, SessionFilter, View};

/// How many sessions one page of an earlier time looks at before it ends early.
pub const SESSIONS_SCANNED_MAX: usize = 1_000;

/// A page of sessions.
#[derive(Debug, Clone)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Page<SessionAnswer>,
    /// The last session that was looked at, where the page ends early: the next page goes on from here.
    pub scanned_to: Option<SessionId>,
}

/// Returns what is known of a user within a horizon, or `None` if that is nothing.
pub(super) fn earlier_user(
    view: &View,
    world: &World,
    tag: UserTag,
    asked: &Asked,
    policy: &Arc<NamedPolicy>,
) -> Result<Option<UserAnswer>, ReadError> {
    let recorded = view.ever_recorded_user(world, tag)?;
    let known = KnownUser::within(recorded, tag, &asked.horizon);
    Ok(UserAnswer::of(tag, Arc::new(known), policy, asked.now))
}

impl Service {
    /// Returns a page of the sessions that there were, the most recently created first, whatever their states.
    pub fn earlier_sessions(
        &self,
        world: &World,
        filter: SessionFilter,
        position: Option<Position<SessionId>>,
        limit: usize,
        horizon: &Horizon,
    ) -> Result<SessionPage, ReadError> {
        let view = self.view()?;
        let is_backwards = matches!(position, Some(Position::Before(_)));
        let position = match position {
            None => None,
            Some(position) => {
                let record = view.session(world, position.item())?;
                let created = record
                    .ok_or(ReadError::PositionUnknown)?
                    .created_within(horizon);
                Some(position.map(|id| (created, id)))
            }
        };
        let mut found = Vec::new();
        let mut scanned_to = None;
        for (scanned, row) in (1..).zip(view.sessions_by_creation(world, position)) {
            let (created, id) = row?;
            let record = view.session(world, &id)?.unwrap_or_default();
            if record.created_within(horizon) != created {
                continue; // it stands elsewhere in this list
            }
            let session = SessionAnswer::within(id.clone(), &record, horizon);
            found.extend(session.filter(|known| filter.admits(&known.session)));
            if found.len() > limit {
                break;
            }
            if scanned >= SESSIONS_SCANNED_MAX {
                scanned_to = Some(id);
                break;
            }
        }
        let mut sessions = Page::of(found, limit, is_backwards);
        sessions.has_more |= scanned_to.is_some();
        Ok(SessionPage {
            sessions,
            scanned_to,
        })
    }
}

impl KnownUser {
    /// Returns what of all that was ever recorded of a user lies within a horizon, and concerned them there.
    pub fn within(ever: RecordedUser, tag: UserTag, horizon: &Horizon) -> Self {
        let belongs = |known: &SessionAnswer| {
            (known.session.user.as_ref()).is_some_and(|user| user.tag == tag)
        };
        let (sessions, overrides) = (ever.sessions.into_iter(), ever.overrides.into_iter());
        Self {
            sessions: sessions
                .filter_map(|(id, record)| SessionAnswer::within(id, &record, horizon))
                .filter(belongs)
                .collect(),
            overrides: overrides
                .filter(|made| horizon.admits_own(made.arrival))
                .collect(),
        }
    }
}

impl SessionRecord {
    /// Returns under which of its times a session stands in a list of that horizon; one that was not there yet stands
    /// where it does today.
    fn created_within(&self, horizon: &Horizon) -> Timestamp {
        let within = project(&self.history.within(horizon));
        if within.events > 0 {
            within.created
        } else {
            project(&self.history).created
        }
    }
}
