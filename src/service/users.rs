//! Users: the standing of one, and whether they may try again.

use std::sync::Arc;

use state_machine::id::{SequenceNumber, UserTag, World};
use state_machine::retry::{Decision, Outcome, decide};
use state_machine::time::Timestamp;
use state_machine::transition::StateName;
use state_machine::user::Standing;

use super::Service;
use super::read::{Page, ReadError};
use super::sessions::{SessionAnswer, UserName};
use crate::projections::view::{Position, View};
use crate::stripe::user_reference::UserReference;

/// How many users one page of a filtered list looks at before it ends early.
pub const USERS_SCANNED_MAX: usize = 1_000;

/// What is known of a user, and what follows now.
#[derive(Debug, Clone)]
pub struct UserAnswer {
    /// The tag under which the log knows the user: it tells nothing of them.
    pub tag: UserTag,
    /// The user's sessions, in order of id; at least one.
    pub sessions: Arc<[SessionAnswer]>,
    /// Whether the user may try again.
    pub decision: Decision,
}

impl UserAnswer {
    /// Returns the sessions seen together.
    pub fn standing(&self) -> Standing<'_> {
        standing(&self.sessions)
    }

    /// Returns the last entry that changed this user.
    pub fn last_sequence(&self) -> SequenceNumber {
        let sequences = self
            .sessions
            .iter()
            .map(|session| session.record.last_sequence());
        sequences.max().unwrap_or(SequenceNumber(0))
    }
}

fn standing(sessions: &[SessionAnswer]) -> Standing<'_> {
    Standing::of(sessions.iter().map(|known| (&known.id, &known.session)), [])
}

/// Which users to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Only those of this status.
    pub status: Option<StateName>,
    /// Only those whose decision has the outcome of this name.
    pub outcome: Option<String>,
    /// Only those who may try, but at most this often.
    pub remaining_max: Option<u32>,
}

impl UserFilter {
    fn admits(&self, user: &UserAnswer) -> bool {
        let outcome = &user.decision.outcome;
        let is_near_limit = self.remaining_max.is_none_or(
            |max| matches!(outcome, Outcome::Allowed { remaining, .. } if *remaining <= max),
        );
        is_near_limit
            && self
                .outcome
                .as_deref()
                .is_none_or(|name| name == outcome.as_str())
    }
}

/// A page of users.
#[derive(Debug, Clone)]
pub struct UserPage {
    /// The users, and how they are called.
    pub users: Page<(UserName, UserAnswer)>,
    /// The last user that was looked at, where the page ends early: the next page goes on from here.
    pub scanned_to: Option<UserTag>,
}

impl Service {
    /// Returns the tag under which the log knows a user.
    pub fn user_tag(&self, reference: &UserReference) -> UserTag {
        self.log.user_tag(reference)
    }

    /// Returns what is known of a user, or `None` if no session names them.
    pub fn user(
        &self,
        world: &World,
        tag: UserTag,
        now: Timestamp,
    ) -> Result<Option<UserAnswer>, ReadError> {
        self.ready()?;
        let key = (world.clone(), tag);
        let sessions = if let Some(sessions) = self.users.find(&key) {
            sessions
        } else {
            let moment = self.users.moment();
            let sessions = sessions_of(&self.projections.view(), world, tag)?;
            self.users.keep(key, &sessions, moment);
            sessions
        };
        Ok(self.answer(tag, sessions, now))
    }

    /// Returns a page of users, in an order that never changes.
    pub fn users(
        &self,
        world: &World,
        filter: &UserFilter,
        position: Option<Position<UserTag>>,
        limit: usize,
        now: Timestamp,
    ) -> Result<UserPage, ReadError> {
        let view = self.view()?;
        if let Some(position) = &position
            && !view.knows_user(world, *position.item())?
        {
            return Err(ReadError::PositionUnknown);
        }
        let is_backwards = matches!(position, Some(Position::Before(_)));
        let mut found = Vec::new();
        let mut scanned_to = None;
        for (scanned, tag) in (1..).zip(view.users(world, filter.status, position)) {
            let tag = tag?;
            let user = self.answer(tag, sessions_of(&view, world, tag)?, now);
            found.extend(user.filter(|user| filter.admits(user)));
            if found.len() > limit {
                break;
            }
            if scanned == USERS_SCANNED_MAX {
                scanned_to = Some(tag);
                break;
            }
        }
        let named = |user: UserAnswer| (self.user_name(&user.sessions, user.tag), user);
        let mut users = Page::of(found.into_iter().map(named).collect(), limit, is_backwards);
        users.has_more |= scanned_to.is_some();
        Ok(UserPage { users, scanned_to })
    }

    fn answer(
        &self,
        tag: UserTag,
        sessions: Arc<[SessionAnswer]>,
        now: Timestamp,
    ) -> Option<UserAnswer> {
        if sessions.is_empty() {
            return None;
        }
        let decision = decide(&standing(&sessions), &self.policy, now);
        Some(UserAnswer {
            tag,
            sessions,
            decision,
        })
    }
}

fn sessions_of(
    view: &View,
    world: &World,
    tag: UserTag,
) -> Result<Arc<[SessionAnswer]>, ReadError> {
    let records = view.sessions_of_user(world, tag)?;
    Ok(records
        .into_iter()
        .map(|(id, record)| SessionAnswer::new(id, record))
        .collect())
}
