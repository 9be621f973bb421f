//! A part of the projections, folded anew and put in the place of what is stored: a session, or a user with every session
//! that has named them.
//!
//! The log is read whole for it, since nothing that is derived may be believed; the rest of the store stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use state_machine::id::{SequenceNumber, SessionId, UserTag, World};

use super::amendment::Amendment;
use super::bulk::FoldError;
use super::bulk::watch::Watch;
use super::catch_up::{Changed, Round};
use super::comparison::{Comparison, Subject};
use super::key;
use super::listing::{self, Rows};
use super::record::{SessionRecord, UserRecord};
use super::store::{Projections, StoreError};
use super::take_in::{Concern, concern};
use super::view::View;
use crate::log::Log;
use crate::log::entry::{Fact, Leaf};

/// How many entries are read between two looks whether somebody wants an end.
const ENTRIES_AT_ONCE: u64 = 10_000;

/// A part of the projections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A session.
    Session(World, SessionId),
    /// A user, and every session that has named them.
    User(World, UserTag),
}

type SessionName = (World, SessionId);

/// A part, as far as it is folded.
pub struct FoldedPart {
    user: Option<(World, UserTag)>,
    sessions: BTreeMap<SessionName, SessionRecord>,
    overrides: UserRecord,
    /// Rows of listings, and users, that name what the part is of, rightly or not.
    rows: Vec<Vec<u8>>,
    owners: BTreeSet<(World, UserTag)>,
    end: u64,
}

/// Folds a part of the log, and looks for everything that a store says of it.
pub fn fold_part(
    log: &Log,
    view: &View,
    part: &Part,
    watch: &Watch,
) -> Result<FoldedPart, FoldError> {
    let (user, mut names) = match part {
        Part::Session(world, id) => (None, BTreeSet::from([(world.clone(), id.clone())])),
        Part::User(world, tag) => (Some((world.clone(), *tag)), BTreeSet::new()),
    };
    let end = log.size();
    watch.begin(end);
    if let Some((world, tag)) = &user {
        each(log, 0..end, watch, |leaf| {
            if let Fact::Event(fact) = &leaf.fact
                && (fact.event.user, &fact.world) == (Some(*tag), world)
            {
                names.insert((fact.world.clone(), fact.session.clone()));
            }
        })?;
        let stored = view.user(world, *tag).ok().flatten().unwrap_or_default();
        let theirs = stored.sessions.into_iter().chain(stored.lost_sessions);
        names.extend(theirs.map(|id| (world.clone(), id)));
    }
    let records = names
        .into_iter()
        .map(|name| (name, SessionRecord::default()));
    let mut folded = FoldedPart {
        user,
        sessions: records.collect(),
        overrides: UserRecord::default(),
        rows: Vec::new(),
        owners: BTreeSet::new(),
        end: 0,
    };
    folded.read_on(log, end, watch)?;
    folded.look_through(view, watch)?;
    watch.finish();
    Ok(folded)
}

impl FoldedPart {
    /// Takes in what the log has up to `end`.
    fn read_on(&mut self, log: &Log, end: u64, watch: &Watch) -> Result<(), FoldError> {
        let Self {
            user,
            sessions,
            overrides,
            ..
        } = self;
        each(log, self.end..end, watch, |leaf| match concern(leaf) {
            Concern::Session(world, id) => {
                if let Some(record) = sessions.get_mut(&(world.clone(), id.clone())) {
                    record.take_in(leaf);
                }
            }
            Concern::User(world, tag) => {
                if user.as_ref() == Some(&(world.clone(), tag)) {
                    overrides.take_in(leaf);
                }
            }
            Concern::Stray(_) | Concern::Policy(_) | Concern::Nothing => {}
        })?;
        self.end = self.end.max(end);
        Ok(())
    }

    /// Finds the rows and users of a store that name a session of this part.
    fn look_through(&mut self, view: &View, watch: &Watch) -> Result<(), FoldError> {
        for row in view.snapshot.iter(&view.projections.listings) {
            let (key, value) = view.noting_damage(row)?;
            if self.is_named_by(&key, &value) {
                self.rows.push(key.to_vec());
            }
        }
        watch.check()?;
        for row in view.snapshot.iter(&view.projections.users) {
            let (key, value) = view.noting_damage(row)?;
            let (Ok((world, tag)), Ok(user)) = (key::user_of(&key), UserRecord::decode(&value))
            else {
                continue;
            };
            let theirs = user.sessions.into_iter().chain(user.lost_sessions);
            let mut theirs = theirs.map(|id| (world.clone(), id));
            if theirs.any(|name| self.sessions.contains_key(&name)) {
                self.owners.insert((world, tag));
            }
        }
        Ok(())
    }

    fn is_named_by(&self, key: &[u8], value: &[u8]) -> bool {
        match listing::subject_of(key) {
            Some((Subject::Session(world, id), _)) => self.sessions.contains_key(&(world, id)),
            Some((Subject::User(world, tag), _)) => self.user == Some((world, tag)),
            Some((Subject::Entry(_), _)) => {
                let named = listing::session_of_anomaly(key, value);
                named.is_some_and(|name| self.sessions.contains_key(&name))
            }
            Some((Subject::Nobody, _)) | None => false,
        }
    }

    /// Compares the part with a store that stands where the log ends, and unless that is all that is wanted, puts it there.
    /// Nothing may be folded meanwhile. Returns whose standing it may change, too.
    pub fn put(
        mut self,
        log: &Log,
        store: &Arc<Projections>,
        is_dry_run: bool,
    ) -> Result<(Comparison, Vec<(World, UserTag)>), FoldError> {
        let view = store.view();
        self.read_on(log, view.cursor()?.next.0, &Watch::default())?;
        let amendment = self.amendment(&view)?;
        let comparison = amendment.compare(&view)?;
        let users = amendment.users().cloned().collect();
        if !is_dry_run {
            amendment.write(store)?;
        }
        Ok((comparison, users))
    }

    fn amendment(self, view: &View) -> Result<Amendment, StoreError> {
        let mut round = Round {
            view,
            sessions: BTreeMap::new(),
            users: BTreeMap::new(),
            strays: Rows::new(),
        };
        for owner in self.owners.into_iter().chain(self.user.clone()) {
            // One that cannot be read is of no use, and is written anew.
            let stored = view.user(&owner.0, owner.1).ok().flatten();
            let before = stored.unwrap_or_default();
            let mut after = before.clone();
            let of_world = self.sessions.keys().filter(|(world, _)| *world == owner.0);
            of_world.for_each(|(_, id)| after.forget(id));
            if Some(&owner) == self.user.as_ref() {
                after = self.overrides.clone();
                // What has named them since the fold began is right: it was folded by catch-up.
                let is_later = |id: &&SessionId| {
                    let name = (owner.0.clone(), SessionId::clone(id));
                    !self.sessions.contains_key(&name)
                };
                let owned = before.sessions.iter().filter(is_later);
                owned.for_each(|id| after.set_owns(id, true));
                let lost = before.lost_sessions.iter().filter(is_later);
                lost.for_each(|id| after.set_owns(id, false));
            }
            round.users.insert(owner, Changed { before, after });
        }
        for (name, after) in self.sessions {
            let before = view.session(&name.0, &name.1).ok().flatten();
            let before = before.unwrap_or_default();
            round.sessions.insert(name, Changed { before, after });
        }
        round.settle()?;
        Amendment::of(round, self.rows)
    }
}

/// Shows every leaf that can be read.
fn each(
    log: &Log,
    entries: std::ops::Range<u64>,
    watch: &Watch,
    mut show: impl FnMut(&Leaf),
) -> Result<(), FoldError> {
    let mut leaves = log.leaves(SequenceNumber(entries.start)..SequenceNumber(entries.end));
    for number in 1_u64.. {
        match leaves.next_leaf() {
            None => break,
            // What cannot be read is in no session's record, and is listed already.
            Some(Err(_)) => {}
            Some(Ok(bytes)) => {
                if let Ok(leaf) = Leaf::decode(bytes) {
                    show(&leaf);
                }
            }
        }
        if number.is_multiple_of(ENTRIES_AT_ONCE) {
            watch.count(ENTRIES_AT_ONCE)?;
        }
    }
    Ok(())
}
