//! Gathering: what the entries of a log say of chosen users, as the projections would record it, in memory.

use std::collections::{BTreeMap, BTreeSet};

use state_machine::horizon::{AsOf, Horizon};
use state_machine::id::{SequenceNumber, UserTag, World};
use state_machine::time::ReceivedAt;

use super::replay::{ReplayError, SessionName, each_within, session_of, user_of};
use super::source::Source;
use crate::log::entry::Fact;
use crate::projections::policies::RecordedPolicy;
use crate::projections::record::{RecordedUser, SessionRecord};

/// A user, in one world.
pub type UserName = (World, UserTag);

/// What a log says of some users.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Every session that has ever named one of them, whomever it belongs to in the end.
    pub sessions: BTreeMap<SessionName, SessionRecord>,
    /// What was ever recorded of each.
    pub users: BTreeMap<UserName, RecordedUser>,
    /// The policies that were recorded.
    pub policies: Vec<RecordedPolicy>,
    /// How many entries there are.
    pub size: u64,
    /// When each of the entries was received that were asked for.
    received: BTreeMap<SequenceNumber, ReceivedAt>,
}

impl Gathered {
    /// Reads a log twice: for the sessions that name any of the users, and for what is recorded of both. Notes when the
    /// entries of the moments were received.
    pub fn of(
        source: &Source,
        users: &BTreeSet<UserTag>,
        moments: &[AsOf],
    ) -> Result<Self, ReplayError> {
        let named = named_by(source, users)?;
        let mut gathered = Self::default();
        each_within(source, &Horizon::default(), |leaf| {
            gathered.size = leaf.sequence.0.saturating_add(1);
            if moments.contains(&AsOf::Sequence(leaf.sequence)) {
                gathered.received.insert(leaf.sequence, leaf.received_at);
            }
            match &leaf.fact {
                Fact::Configuration(policy) => gathered.policies.push(RecordedPolicy {
                    policy: policy.clone(),
                    arrival: leaf.arrival(),
                }),
                Fact::Override(fact) if users.contains(&fact.user) => {
                    let user = (fact.world.clone(), fact.user);
                    let recorded = gathered.users.entry(user).or_default();
                    recorded.overrides.extend(leaf.made());
                }
                Fact::Event(_)
                | Fact::Conflict(_)
                | Fact::Unreadable(_)
                | Fact::Erasure(_)
                | Fact::ErasureDone(_)
                | Fact::Hold(_)
                | Fact::Release(_)
                | Fact::Override(_)
                | Fact::Access(_) => {
                    let name = session_of(&leaf.fact).filter(|name| named.contains_key(name));
                    if let Some(name) = name {
                        gathered.sessions.entry(name).or_default().take_in(leaf);
                    }
                }
            }
            Ok(())
        })?;
        for (name, tags) in &named {
            let Some(record) = gathered.sessions.get(name) else {
                continue;
            };
            for tag in tags {
                let (world, id) = name;
                let user = gathered.users.entry((world.clone(), *tag)).or_default();
                user.sessions.push((id.clone(), record.clone()));
            }
        }
        Ok(gathered)
    }

    /// Returns when an entry was received that was asked for.
    pub fn received_at(&self, sequence: SequenceNumber) -> Option<ReceivedAt> {
        self.received.get(&sequence).copied()
    }
}

/// Returns the sessions that any of the users was ever named by, and which.
fn named_by(
    source: &Source,
    users: &BTreeSet<UserTag>,
) -> Result<BTreeMap<SessionName, BTreeSet<UserTag>>, ReplayError> {
    let mut named: BTreeMap<SessionName, BTreeSet<UserTag>> = BTreeMap::new();
    each_within(source, &Horizon::default(), |leaf| {
        let tag = user_of(&leaf.fact).filter(|tag| users.contains(tag));
        if let Some((tag, name)) = tag.zip(session_of(&leaf.fact)) {
            named.entry(name).or_default().insert(tag);
        }
        Ok(())
    })?;
    Ok(named)
}
