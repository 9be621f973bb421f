//! The standing of a user in one world: all their sessions seen together.

use alloc::vec::Vec;

use crate::id::SessionId;
use crate::overrides::Override;
use crate::session::Session;
use crate::time::Timestamp;
use crate::transition::{LastErrorAt, StateName};

/// What of a session decides whether it speaks for its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// Its state.
    pub state: StateName,
    /// Since when.
    pub since: Option<Timestamp>,
    /// When it was created.
    pub created: Timestamp,
}

impl Session {
    /// Returns what decides whether this session speaks for its user.
    pub fn outline(&self) -> Outline {
        Outline {
            state: self.state.name(),
            since: self.state.since(),
            created: self.created,
        }
    }
}

/// Returns which of a user's sessions speaks for the user: the latest verified one, else the latest in processing, else
/// the most recently created. One that has no state never does.
pub fn current_of<'sessions>(
    sessions: impl IntoIterator<Item = (&'sessions SessionId, Outline)>,
) -> Option<(&'sessions SessionId, Outline)> {
    let precedence = |outline: &Outline| match outline.state {
        StateName::Verified => (2, outline.since),
        StateName::Processing => (1, outline.since),
        StateName::RequiresInput | StateName::Canceled | StateName::Redacted => (0, None),
        StateName::Unseen => (0, None),
    };
    sessions
        .into_iter()
        .filter(|(_, outline)| outline.state != StateName::Unseen)
        .max_by_key(|(id, outline)| (precedence(outline), outline.created, *id))
}

/// A user's sessions and overrides, and which session speaks for them.
#[derive(Debug, Clone)]
pub struct Standing<'sessions> {
    /// Every session of the user that has a state, the most recently created first.
    pub sessions: Vec<(&'sessions SessionId, &'sessions Session)>,
    /// The overrides, in the order in which they were made: that of the log.
    pub overrides: Vec<&'sessions Override>,
}

impl<'sessions> Standing<'sessions> {
    /// Returns the standing of a user who has these sessions and overrides, in whatever order they come.
    pub fn of(
        sessions: impl IntoIterator<Item = (&'sessions SessionId, &'sessions Session)>,
        overrides: impl IntoIterator<Item = &'sessions Override>,
    ) -> Self {
        let mut sessions: Vec<_> = sessions
            .into_iter()
            .filter(|(_, session)| session.state.name() != StateName::Unseen)
            .collect();
        sessions.sort_by_key(|(id, session)| core::cmp::Reverse((session.created, *id)));
        let mut overrides: Vec<_> = overrides.into_iter().collect();
        overrides.sort_by_key(|made| (made.arrival.sequence, &made.id));
        Self {
            sessions,
            overrides,
        }
    }

    /// Returns the session that speaks for the user. `None` only for a user without sessions.
    pub fn current(&self) -> Option<(&'sessions SessionId, &'sessions Session)> {
        let outlines = (self.sessions.iter()).map(|(id, session)| (*id, session.outline()));
        let (current, _) = current_of(outlines)?;
        let is_current = |(id, _): &&(&SessionId, &Session)| *id == current;
        self.sessions.iter().find(is_current).copied()
    }

    /// Returns the user's status, which is that of the current session.
    pub fn status(&self) -> StateName {
        self.current()
            .map_or(StateName::Unseen, |(_, session)| session.state.name())
    }

    /// Returns since when the user has had this status.
    pub fn since(&self) -> Option<Timestamp> {
        self.current()
            .and_then(|(_, session)| session.state.since())
    }

    /// Returns the failure of the current session that the user has to act upon.
    pub fn last_error(&self) -> Option<&'sessions LastErrorAt> {
        self.current()
            .and_then(|(_, session)| session.state.last_error())
    }

    /// Returns how many attempts there are in all sessions.
    pub fn attempts_total(&self) -> u32 {
        self.count(|session| session.attempts.len())
    }

    /// Returns how many anomalies there are in all sessions.
    pub fn anomalies_total(&self) -> u32 {
        self.count(|session| session.anomalies.len())
    }

    /// Returns whether a verification was taken back and none has replaced it.
    pub fn is_reversed(&self) -> bool {
        self.status() != StateName::Verified
            && self.sessions.iter().any(|(_, session)| session.reversed)
    }

    fn count(&self, of: impl Fn(&Session) -> usize) -> u32 {
        let total = self
            .sessions
            .iter()
            .map(|(_, session)| of(session))
            .sum::<usize>();
        u32::try_from(total).unwrap_or(u32::MAX)
    }
}
