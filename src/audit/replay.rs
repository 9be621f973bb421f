//! Replay: the log read again, entry by entry, with what each changed in what was known when it came.
//!
//! Read-only, and by the fold itself: what is told here is what the service would have answered at that moment.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::RangeInclusive;

use state_machine::horizon::{AsOf, Horizon};
use state_machine::id::{SessionId, UserTag, World};
use state_machine::overrides::Override;
use state_machine::session::Session;
use state_machine::transition::Transition;

use super::replayed_session::ReplayedSession;
use super::source::{Source, SourceError};
use crate::log::Custody;
use crate::log::entry::{ErasureDoneFact, ErasureFact, Fact, Leaf, OverrideFact, SubjectName};
use crate::log::leaf::LeafError;
use crate::service::change::Change;

/// A session, in its world.
pub type SessionName = (World, SessionId);

/// What is asked of a log.
#[derive(Debug, Clone)]
pub struct Question {
    /// Which entries are told.
    pub selection: Selection,
    /// What is left out.
    pub horizon: Horizon,
}

/// Which entries are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Those of one session.
    Session(SessionId),
    /// Those of every session that ever named this user.
    User(UserTag),
    /// Those with these numbers.
    Range(RangeInclusive<u64>),
}

/// An entry, and what it changed.
#[derive(Debug)]
pub struct Step<'step> {
    /// The entry.
    pub leaf: &'step Leaf,
    /// The row of the transition table that its event meets, among the events known then.
    pub transition: Option<Transition>,
    /// What it changed in its session.
    pub changes: Vec<Change>,
}

/// How the sessions stand that were told of.
#[derive(Debug, Default)]
pub struct Ended {
    /// Each session, and what is decided about its payloads.
    pub sessions: BTreeMap<SessionName, (Session, Custody)>,
    /// The overrides that were told of, by user, in the order of the log.
    pub overrides: BTreeMap<(World, UserTag), Vec<Override>>,
}

/// Why a log cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A leaf cannot be read.
    #[error("entry {sequence}: {cause}")]
    Leaf {
        /// Which.
        sequence: u64,
        /// Why.
        cause: LeafError,
    },
    /// What was told could not be written.
    #[error("the replay cannot be written: {0}")]
    Tell(#[source] io::Error),
}

/// Replays a log: tells each step in the order of the log, and returns how the sessions stand at the end.
pub fn replay(
    source: &Source,
    question: &Question,
    mut tell: impl FnMut(&Step<'_>) -> io::Result<()>,
) -> Result<Ended, ReplayError> {
    let chosen = chosen_sessions(source, question)?;
    let mut sessions: BTreeMap<SessionName, ReplayedSession> = BTreeMap::new();
    let mut overrides: BTreeMap<(World, UserTag), Vec<Override>> = BTreeMap::new();
    each_within(source, &question.horizon, |leaf| {
        let name = session_of(&leaf.fact).filter(|name| chosen.contains(name));
        let is_told = match &question.selection {
            Selection::Session(_) => name.is_some(),
            Selection::User(tag) => {
                let overrides = |fact: &OverrideFact| fact.user == *tag;
                name.is_some() || leaf.override_fact().is_some_and(overrides)
            }
            Selection::Range(range) => range.contains(&leaf.sequence.0),
        };
        let (transition, changes) = match name {
            Some(name) => sessions.entry(name).or_default().take_in(leaf),
            None => (None, Vec::new()),
        };
        if is_told && let (Some(fact), Some(made)) = (leaf.override_fact(), leaf.made()) {
            let user = (fact.world.clone(), fact.user);
            overrides.entry(user).or_default().push(made);
        }
        if is_told {
            let step = Step {
                leaf,
                transition,
                changes,
            };
            tell(&step).map_err(ReplayError::Tell)?;
        }
        Ok(())
    })?;
    let ended = sessions
        .into_iter()
        .map(|(name, session)| (name, session.into_end()));
    Ok(Ended {
        sessions: ended.collect(),
        overrides,
    })
}

/// Returns the sessions that have to be folded: those that entries of the selection belong to.
fn chosen_sessions(
    source: &Source,
    question: &Question,
) -> Result<BTreeSet<SessionName>, ReplayError> {
    let mut chosen = BTreeSet::new();
    each_within(source, &question.horizon, |leaf| {
        let name = session_of(&leaf.fact).filter(|(_, id)| match &question.selection {
            Selection::Session(session) => id == session,
            Selection::User(tag) => user_of(&leaf.fact) == Some(*tag),
            Selection::Range(range) => range.contains(&leaf.sequence.0),
        });
        chosen.extend(name);
        Ok(())
    })?;
    Ok(chosen)
}

/// Calls `take` with each entry within a horizon.
pub(super) fn each_within(
    source: &Source,
    horizon: &Horizon,
    mut take: impl FnMut(&Leaf) -> Result<(), ReplayError>,
) -> Result<(), ReplayError> {
    for chunk in source.chunks(false) {
        let chunk = chunk?;
        for (sequence, entry) in (chunk.first..).zip(&chunk.entries) {
            let cause = |cause| ReplayError::Leaf { sequence, cause };
            let leaf = Leaf::decode(&entry.leaf).map_err(cause)?;
            if let Some(AsOf::Sequence(last)) = horizon.as_of
                && leaf.sequence > last
            {
                return Ok(());
            }
            if leaf.is_within(horizon) {
                take(&leaf)?;
            }
        }
    }
    Ok(())
}

/// Returns the user whom an event names.
pub(super) fn user_of(fact: &Fact) -> Option<UserTag> {
    match fact {
        Fact::Event(fact) => fact.event.user,
        Fact::Conflict(_)
        | Fact::Unreadable(_)
        | Fact::Erasure(_)
        | Fact::ErasureDone(_)
        | Fact::Hold(_)
        | Fact::Release(_)
        | Fact::Override(_)
        | Fact::Configuration(_)
        | Fact::Access(_) => None,
    }
}

/// Returns the session that an entry belongs to.
pub(super) fn session_of(fact: &Fact) -> Option<SessionName> {
    let subject = match fact {
        Fact::Event(fact) | Fact::Conflict(fact) => {
            return Some((fact.world.clone(), fact.session.clone()));
        }
        Fact::Unreadable(_) | Fact::Override(_) | Fact::Configuration(_) | Fact::Access(_) => {
            return None;
        }
        Fact::Erasure(ErasureFact { subject, .. })
        | Fact::ErasureDone(ErasureDoneFact { subject, .. })
        | Fact::Hold(subject)
        | Fact::Release(subject) => subject,
    };
    match &subject.name {
        SubjectName::Session(world, id) => Some((world.clone(), id.clone())),
        SubjectName::Entry(_) => None,
    }
}
