//! Users: the standing of one, and whether they may try again.

use std::sync::Arc;

use state_machine::id::{SequenceNumber, UserTag, World};
use state_machine::overrides::Override;
use state_machine::retry::{Decision, Outcome, decide};
use state_machine::time::Timestamp;
use state_machine::transition::StateName;
use state_machine::user::Standing;

use super::Service;
use super::asked::Asked;
use super::earlier::earlier_user;
use super::policy::NamedPolicy;
use super::read::{Page, ReadError};
use super::sessions::{SessionAnswer, UserName};
use crate::projections::record::RecordedUser;
use crate::projections::view::Position;
use crate::stripe::user_reference::UserReference;

/// How many users one page of a filtered list looks at before it ends early.
pub const USERS_SCANNED_MAX: usize = 1_000;

/// What the log says of a user: never nothing at all.
#[derive(Debug, Clone, Default)]
pub struct KnownUser {
    /// The user's sessions, in order of id.
    pub sessions: Vec<SessionAnswer>,
    /// What operators decided about the user, in the order of the log.
    pub overrides: Vec<Override>,
}

impl KnownUser {
    fn of(
        RecordedUser {
            sessions,
            overrides,
        }: RecordedUser,
    ) -> Self {
        let sessions = sessions.into_iter();
        Self {
            sessions: sessions
                .map(|(id, record)| SessionAnswer::new(id, record))
                .collect(),
            overrides,
        }
    }

    /// Returns the sessions and overrides seen together.
    pub fn standing(&self) -> Standing<'_> {
        let sessions = self.sessions.iter();
        Standing::of(
            sessions.map(|known| (&known.id, &known.session)),
            &self.overrides,
        )
    }
}

/// What is known of a user, and what follows now.
#[derive(Debug, Clone)]
pub struct UserAnswer {
    /// The tag under which the log knows the user: it tells nothing of them.
    pub tag: UserTag,
    /// What the log says of the user.
    pub known: Arc<KnownUser>,
    /// Whether the user may try again.
    pub decision: Decision,
    /// The policy that decided it.
    pub policy: Arc<NamedPolicy>,
}

impl UserAnswer {
    /// Decides about a user, unless nothing is known of them.
    pub fn of(
        tag: UserTag,
        known: Arc<KnownUser>,
        policy: &Arc<NamedPolicy>,
        now: Timestamp,
    ) -> Option<Self> {
        if known.sessions.is_empty() && known.overrides.is_empty() {
            return None;
        }
        let decision = decide(&known.standing(), &policy.policy, now);
        Some(Self {
            tag,
            known,
            decision,
            policy: Arc::clone(policy),
        })
    }

    /// Returns the sessions and overrides seen together.
    pub fn standing(&self) -> Standing<'_> {
        self.known.standing()
    }

    /// Returns the last entry that changed this user.
    pub fn last_sequence(&self) -> SequenceNumber {
        let KnownUser {
            sessions,
            overrides,
        } = &*self.known;
        let sessions = sessions
            .iter()
            .map(|session| session.record.last_sequence());
        let overrides = overrides.iter().map(|made| made.arrival.sequence);
        sessions.chain(overrides).max().unwrap_or(SequenceNumber(0))
    }
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
                .status
                .is_none_or(|status| user.standing().status() == status)
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

    /// Returns what is known of a user, or `None` if nothing names them.
    pub fn user(
        &self,
        world: &World,
        tag: UserTag,
        asked: &Asked,
    ) -> Result<Option<UserAnswer>, ReadError> {
        if !asked.horizon.is_open() {
            let view = self.view()?;
            let policy = self.policy_within(&view, &asked.horizon)?;
            return earlier_user(&view, world, tag, asked, &policy);
        }
        self.ready()?;
        let key = (world.clone(), tag);
        let known = if let Some(known) = self.users.find(&key) {
            known
        } else {
            let moment = self.users.moment();
            let known = self.projections.view().recorded_user(world, tag)?;
            let known = Arc::new(KnownUser::of(known));
            self.users.keep(key, &known, moment);
            known
        };
        Ok(UserAnswer::of(tag, known, &self.policy(), asked.now))
    }

    /// Returns a page of users, in an order that never changes.
    pub fn users(
        &self,
        world: &World,
        filter: &UserFilter,
        position: Option<Position<UserTag>>,
        limit: usize,
        asked: &Asked,
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
        let is_now = asked.horizon.is_open();
        let policy = self.policy_within(&view, &asked.horizon)?;
        // Users are listed by the status that they have today.
        let status = filter.status.filter(|_| is_now);
        for (scanned, tag) in (1..).zip(view.users(world, status, position)) {
            let tag = tag?;
            let user = if is_now {
                let known = KnownUser::of(view.recorded_user(world, tag)?);
                UserAnswer::of(tag, Arc::new(known), &policy, asked.now)
            } else {
                earlier_user(&view, world, tag, asked, &policy)?
            };
            found.extend(user.filter(|user| filter.admits(user)));
            if found.len() > limit {
                break;
            }
            if scanned == USERS_SCANNED_MAX {
                scanned_to = Some(tag);
                break;
            }
        }
        let named = |user: UserAnswer| (self.user_name(&user.known.sessions, user.tag), user);
        let mut users = Page::of(found.into_iter().map(named).collect(), limit, is_backwards);
        users.has_more |= scanned_to.is_some();
        Ok(UserPage { users, scanned_to })
    }
}
