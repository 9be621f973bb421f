//! The difference of two moments: what was believed of sessions and users at either, and the entries that came between.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use state_machine::horizon::{AsOf, Horizon};
use state_machine::id::UserTag;
use state_machine::retry::policy::Policy;
use state_machine::session::project;
use state_machine::time::ReceivedAt;

use super::gathered::{Gathered, UserName};
use super::replay::{ReplayError, Selection, SessionName, each_within, session_of, user_of};
use super::source::Source;
use crate::log::entry::{Fact, Leaf};
use crate::projections::policies::in_force;
use crate::projections::record::{RecordedUser, SessionRecord};
use crate::service::asked::{Asked, HorizonError};
use crate::service::change::{Change, SessionFacts, changes, session_facts, user_facts};
use crate::service::policy::NamedPolicy;
use crate::service::users::{KnownUser, UserAnswer};

/// Two moments of our knowledge, the earlier first.
#[derive(Debug, Clone, Copy)]
pub struct Between {
    /// What was known then is compared
    pub from: AsOf,
    /// with what was known then.
    pub to: AsOf,
}

impl Between {
    /// Tells whether the second entry that is named comes before the first.
    fn is_backwards(&self) -> bool {
        match (self.from, self.to) {
            (AsOf::Sequence(from), AsOf::Sequence(to)) => to < from,
            (AsOf::Sequence(_) | AsOf::Time(_), _) => false,
        }
    }

    /// Tells whether an entry came to be known between the two.
    fn holds(&self, leaf: &Leaf) -> bool {
        self.to.knows(leaf.arrival()) && !self.from.knows(leaf.arrival())
    }
}

/// What changed between two moments.
#[derive(Debug, Default)]
pub struct Difference {
    /// The sessions of which an entry came.
    pub sessions: BTreeMap<SessionName, Changed>,
    /// The users whom such a session has ever named, or whom an override concerned, if they stand otherwise.
    pub users: BTreeMap<UserName, Changed>,
    /// The policies that came into force.
    pub policies: Vec<Leaf>,
}

/// What changed of a session or a user, and why.
#[derive(Debug, Default)]
pub struct Changed {
    /// Whether there was none before.
    pub is_new: bool,
    /// What is another.
    pub changes: Vec<Change>,
    /// The entries between, in the order of the log.
    pub why: Vec<Leaf>,
}

impl Difference {
    /// Tells whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.users.is_empty() && self.policies.is_empty()
    }
}

/// Why two moments cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DifferenceError {
    /// The log cannot be read.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// Nothing was known at such a moment.
    #[error(transparent)]
    Horizon(#[from] HorizonError),
    /// The moments are the wrong way round.
    #[error("the first moment lies behind the second")]
    Backwards,
}

/// Compares what was believed at two moments, of the sessions and users of a selection. Where the log records no policy,
/// decisions are made by `fallback`.
pub fn difference(
    source: &Source,
    between: Between,
    selection: &Selection,
    fallback: &Policy,
    now: ReceivedAt,
) -> Result<Difference, DifferenceError> {
    let entries = Entries::between(source, between, selection)?;
    let users = concerned(source, &entries)?;
    let gathered = Gathered::of(source, &users, &[between.from, between.to])?;
    let asked = |as_of| {
        let horizon = Horizon {
            as_of: Some(as_of),
            valid_at: None,
        };
        let received_at = |sequence| Ok(gathered.received_at(sequence));
        Asked::of(horizon, now, gathered.size, received_at)
    };
    let (from, to) = (asked(between.from)?, asked(between.to)?);
    if from.now > to.now || between.is_backwards() {
        return Err(DifferenceError::Backwards);
    }
    let mut difference = Difference {
        policies: entries.policies.clone(),
        ..Difference::default()
    };
    let mut unnamed = each_record(source, entries.sessions.keys(), &gathered)?;
    for (name, why) in &entries.sessions {
        let record = unnamed
            .remove(name)
            .or_else(|| gathered.sessions.get(name).cloned());
        let record = record.unwrap_or_default();
        difference.sessions.insert(
            name.clone(),
            Changed {
                is_new: record.within(&from.horizon).is_none(),
                changes: changes(&facts(&record, &from.horizon), &facts(&record, &to.horizon)),
                why: why.clone(),
            },
        );
    }
    for (name, recorded) in &gathered.users {
        let (_, tag) = name;
        let told = |asked: &Asked| {
            let policy = in_force(&gathered.policies, &asked.horizon).map(NamedPolicy::from);
            let policy = policy.unwrap_or_else(|| NamedPolicy::new(fallback.clone(), None));
            user(recorded, *tag, asked, &Arc::new(policy))
        };
        let (before, after) = (told(&from), told(&to));
        let changes = changes(&user_facts(before.as_ref()), &user_facts(after.as_ref()));
        if !changes.is_empty() {
            let stands_otherwise = Changed {
                is_new: before.is_none(),
                changes,
                why: entries.of_user(name, recorded),
            };
            difference.users.insert(name.clone(), stands_otherwise);
        }
    }
    Ok(difference)
}

/// The entries between two moments.
#[derive(Default)]
struct Entries {
    sessions: BTreeMap<SessionName, Vec<Leaf>>,
    overrides: BTreeMap<UserName, Vec<Leaf>>,
    policies: Vec<Leaf>,
}

impl Entries {
    fn between(
        source: &Source,
        between: Between,
        selection: &Selection,
    ) -> Result<Self, ReplayError> {
        let mut entries = Self::default();
        let chosen = match selection {
            Selection::User(tag) => Some(sessions_of(source, *tag)?),
            Selection::Session(_) | Selection::Range(_) => None,
        };
        each_within(source, &Horizon::default(), |leaf| {
            if !between.holds(leaf) {
                return Ok(());
            }
            let is_chosen = |name: &SessionName| match selection {
                Selection::Session(id) => name.1 == *id,
                Selection::User(_) => chosen.as_ref().is_some_and(|chosen| chosen.contains(name)),
                Selection::Range(_) => true,
            };
            match (&leaf.fact, selection) {
                (Fact::Configuration(_), _) => entries.policies.push(leaf.clone()),
                (Fact::Override(fact), Selection::User(tag)) if fact.user != *tag => {}
                (Fact::Override(_), Selection::Session(_)) => {}
                (Fact::Override(fact), _) => {
                    let user = (fact.world.clone(), fact.user);
                    entries
                        .overrides
                        .entry(user)
                        .or_default()
                        .push(leaf.clone());
                }
                (fact, _) => {
                    if let Some(name) = session_of(fact).filter(is_chosen) {
                        entries.sessions.entry(name).or_default().push(leaf.clone());
                    }
                }
            }
            Ok(())
        })?;
        Ok(entries)
    }

    fn of_user(&self, name: &UserName, recorded: &RecordedUser) -> Vec<Leaf> {
        let (world, _) = name;
        let sessions = recorded.sessions.iter();
        let of_sessions = sessions.filter_map(|(id, _)| {
            let name = (world.clone(), id.clone());
            self.sessions.get(&name)
        });
        let mut why: Vec<Leaf> = of_sessions.flatten().cloned().collect();
        why.extend(self.overrides.get(name).into_iter().flatten().cloned());
        why.sort_by_key(|leaf| leaf.sequence);
        why
    }
}

/// Returns the sessions that have ever named a user.
fn sessions_of(source: &Source, tag: UserTag) -> Result<BTreeSet<SessionName>, ReplayError> {
    let mut sessions = BTreeSet::new();
    each_within(source, &Horizon::default(), |leaf| {
        if user_of(&leaf.fact) == Some(tag) {
            sessions.extend(session_of(&leaf.fact));
        }
        Ok(())
    })?;
    Ok(sessions)
}

/// Returns the users whom the sessions have ever named, or whom an override concerns.
fn concerned(source: &Source, entries: &Entries) -> Result<BTreeSet<UserTag>, ReplayError> {
    let mut users: BTreeSet<_> = entries.overrides.keys().map(|(_, tag)| *tag).collect();
    each_within(source, &Horizon::default(), |leaf| {
        let name = session_of(&leaf.fact);
        if name.is_some_and(|name| entries.sessions.contains_key(&name)) {
            users.extend(user_of(&leaf.fact));
        }
        Ok(())
    })?;
    Ok(users)
}

/// Returns the records of those sessions that name nobody, which nothing else has gathered.
fn each_record<'name>(
    source: &Source,
    names: impl Iterator<Item = &'name SessionName>,
    gathered: &Gathered,
) -> Result<BTreeMap<SessionName, SessionRecord>, ReplayError> {
    let unnamed = names.filter(|name| !gathered.sessions.contains_key(name));
    let mut records: BTreeMap<_, SessionRecord> = unnamed
        .map(|name| (name.clone(), SessionRecord::default()))
        .collect();
    if records.is_empty() {
        return Ok(records);
    }
    each_within(source, &Horizon::default(), |leaf| {
        let name = session_of(&leaf.fact);
        if let Some(record) = name.and_then(|name| records.get_mut(&name)) {
            record.take_in(leaf);
        }
        Ok(())
    })?;
    Ok(records)
}

fn facts(record: &SessionRecord, horizon: &Horizon) -> SessionFacts {
    let within = record.within(horizon).unwrap_or_default();
    session_facts(&project(&within.history), within.custody())
}

fn user(
    recorded: &RecordedUser,
    tag: UserTag,
    asked: &Asked,
    policy: &Arc<NamedPolicy>,
) -> Option<UserAnswer> {
    let known = KnownUser::within(recorded.clone(), tag, &asked.horizon);
    UserAnswer::of(tag, Arc::new(known), policy, asked.now)
}
