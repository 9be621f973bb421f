//! The access record: who has had to do with personal data or with what is kept, and what operators decided. Read from the
//! leaves; with the keys, in the words of those who did.

use std::fmt::{self, Display, Formatter};
use std::io;
use std::ops::RangeInclusive;

use serde::Serialize;
use state_machine::id::{AccountId, OverrideId, SessionId, UserTag, World};
use state_machine::time::Timestamp;

use super::replay::ReplayError;
use super::source::Source;
use crate::access::token::TokenId;
use crate::log::Words;
use crate::log::access::Accessed;
use crate::log::entry::{ErasureCause, Fact, Leaf, Subject, SubjectName};
use crate::log::unsealer::Unsealer;
use crate::service::change::tag_text;
use crate::service::moment::moment;

/// An entry of the record.
#[derive(Debug, Default, Serialize)]
pub struct AccessRow {
    object: &'static str,
    sequence: u64,
    at: i64,
    /// `token`, `local` or `anonymous`; of what is stated `operator`; of what Stripe wants `stripe`.
    by: &'static str,
    token: Option<String>,
    what: &'static str,
    r#override: Option<String>,
    livemode: Option<bool>,
    account: Option<String>,
    user_tag: Option<String>,
    session: Option<String>,
    first_entry: Option<u64>,
    entries: Option<u64>,
    /// Who, in their own words, and why; of a read, by what. Only with the keys.
    actor: Option<String>,
    reason: Option<String>,
}

/// Tells each entry of the record among those with these numbers, in the order of the log.
pub fn access_record(
    source: &Source,
    mut unsealer: Option<Unsealer>,
    range: &RangeInclusive<u64>,
    mut tell: impl FnMut(&AccessRow) -> io::Result<()>,
) -> Result<(), ReplayError> {
    for chunk in source.chunks(unsealer.is_some()) {
        let chunk = chunk?;
        for (sequence, entry) in (chunk.first..).zip(&chunk.entries) {
            if sequence > *range.end() {
                return Ok(());
            }
            let cause = |cause| ReplayError::Leaf { sequence, cause };
            let leaf = Leaf::decode(&entry.leaf).map_err(cause)?;
            let row = AccessRow::of(&leaf).filter(|_| range.contains(&sequence));
            let Some(row) = row else { continue };
            let words = unsealer
                .as_mut()
                .and_then(|keys| words(keys, &leaf, &entry.sealed));
            tell(&row.told(words)).map_err(ReplayError::Tell)?;
        }
    }
    Ok(())
}

fn words(keys: &mut Unsealer, leaf: &Leaf, sealed: &[u8]) -> Option<Words> {
    serde_json::from_slice(&keys.open(leaf, sealed).ok()?.body).ok()
}

impl AccessRow {
    /// Returns the row of an entry, if it belongs to the record.
    fn of(leaf: &Leaf) -> Option<Self> {
        let row = Self {
            object: "access",
            sequence: leaf.sequence.0,
            at: leaf.received_at.second().0,
            by: "operator",
            ..Self::default()
        };
        Some(match &leaf.fact {
            Fact::Access(fact) => Self {
                by: fact.by.as_str(),
                token: fact.by.token().map(TokenId::to_string),
                what: fact.access.as_str(),
                ..row.on(&fact.on)
            },
            Fact::Override(fact) => Self {
                what: fact.action.as_str(),
                r#override: Some(OverrideId::to_string(&fact.id)),
                ..row.on_user(&fact.world, fact.user)
            },
            Fact::Erasure(fact) => Self {
                by: match fact.cause {
                    ErasureCause::Redacted(_) => "stripe",
                    ErasureCause::Operator => "operator",
                },
                what: "erasure",
                ..row.on_subject(&fact.subject)
            },
            Fact::Hold(subject) => Self {
                what: "hold",
                ..row.on_subject(subject)
            },
            Fact::Release(subject) => Self {
                what: "release",
                ..row.on_subject(subject)
            },
            Fact::Event(_)
            | Fact::Conflict(_)
            | Fact::Unreadable(_)
            | Fact::ErasureDone(_)
            | Fact::Configuration(_) => {
                return None;
            }
        })
    }

    fn on(self, on: &Accessed) -> Self {
        match on {
            Accessed::Everything => self,
            Accessed::World(world) => self.in_world(world),
            Accessed::User(world, tag) => self.on_user(world, *tag),
            Accessed::Session(world, session) => self.on_session(world, session),
            Accessed::Entries { first, count } => Self {
                first_entry: Some(first.0),
                entries: Some(*count),
                ..self
            },
        }
    }

    fn on_subject(self, subject: &Subject) -> Self {
        match &subject.name {
            SubjectName::Session(world, session) => self.on_session(world, session),
            SubjectName::Entry(sequence) => Self {
                first_entry: Some(sequence.0),
                entries: Some(1),
                ..self
            },
        }
    }

    fn on_user(self, world: &World, tag: UserTag) -> Self {
        Self {
            user_tag: Some(tag_text(&tag.0)),
            ..self.in_world(world)
        }
    }

    fn on_session(self, world: &World, session: &SessionId) -> Self {
        Self {
            session: Some(session.to_string()),
            ..self.in_world(world)
        }
    }

    fn in_world(self, world: &World) -> Self {
        Self {
            livemode: Some(world.livemode),
            account: world.account.as_ref().map(AccountId::to_string),
            ..self
        }
    }

    fn told(self, words: Option<Words>) -> Self {
        let Some(Words {
            actor,
            reason,
            token,
        }) = words
        else {
            return self;
        };
        Self {
            actor: Some(actor),
            reason: Some(reason),
            token: self.token.or(token),
            ..self
        }
    }
}

impl Display for AccessRow {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let at = moment(Timestamp(self.at));
        write!(to, "{}  {at}  {}  {}", self.sequence, self.by, self.what)?;
        let names = [&self.token, &self.r#override, &self.user_tag, &self.session];
        for name in names.into_iter().flatten() {
            write!(to, "  {name}")?;
        }
        if let (Some(first), Some(count)) = (self.first_entry, self.entries) {
            write!(to, "  {count} entries from {first}")?;
        }
        match self.livemode {
            Some(true) => write!(to, "  in live mode")?,
            Some(false) => write!(to, "  in test mode")?,
            None => {}
        }
        writeln!(to)?;
        match self.actor.as_ref().zip(self.reason.as_ref()) {
            // What people said is told in one line, whatever they said.
            Some((actor, reason)) => writeln!(to, "    {actor:?}: {reason:?}"),
            None => Ok(()),
        }
    }
}
