//! What a difference tells, as rows: a line of JSON each, or a few lines of text.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::difference::Changed;
use super::gathered::UserName;
use super::replay::{SessionName, Step};
use super::replay_end::{NameRow, name};
use super::replay_step::StepRow;
use crate::log::entry::{Fact, Leaf};
use crate::service::change::{Change, tag_text};
use crate::service::moment::moment;
use crate::service::policy::hash;

/// What changed of one session, of one user, or of the policy.
#[derive(Debug, Serialize)]
pub struct DifferenceRow<'difference> {
    object: &'static str,
    #[serde(flatten)]
    session: Option<NameRow<'difference>>,
    #[serde(flatten)]
    user: Option<UserNameRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    is_new: bool,
    changes: Vec<ChangeRow<'difference>>,
    /// The entries between.
    why: Vec<WhyRow>,
}

#[derive(Debug, Serialize)]
struct UserNameRow {
    user_tag: String,
    livemode: bool,
    account: Option<String>,
}

#[derive(Debug, Serialize)]
struct ChangeRow<'change> {
    what: &'static str,
    before: &'change str,
    after: &'change str,
}

/// An entry, in short.
#[derive(Debug, Serialize)]
struct WhyRow {
    sequence: u64,
    received_at: i64,
    kind: &'static str,
    event: Option<String>,
    r#type: Option<&'static str>,
    created: Option<i64>,
    session: Option<String>,
    r#override: Option<String>,
    action: Option<&'static str>,
}

impl<'difference> DifferenceRow<'difference> {
    /// Returns the row of a session.
    pub fn of_session(
        (world, id): &'difference SessionName,
        changed: &'difference Changed,
    ) -> Self {
        Self {
            session: Some(name(world, id)),
            ..Self::of("session_change", changed)
        }
    }

    /// Returns the row of a user.
    pub fn of_user((world, tag): &UserName, changed: &'difference Changed) -> Self {
        let user = UserNameRow {
            user_tag: tag_text(&tag.0),
            livemode: world.livemode,
            account: world.account.as_ref().map(ToString::to_string),
        };
        Self {
            user: Some(user),
            ..Self::of("user_change", changed)
        }
    }

    /// Returns the row of a policy that came into force.
    pub fn of_policy(leaf: &Leaf) -> Self {
        let policy = match &leaf.fact {
            Fact::Configuration(policy) => Some(hash(policy)),
            Fact::Event(_)
            | Fact::Access(_)
            | Fact::Conflict(_)
            | Fact::Unreadable(_)
            | Fact::Erasure(_)
            | Fact::ErasureDone(_)
            | Fact::Hold(_)
            | Fact::Release(_)
            | Fact::Override(_) => None,
        };
        Self {
            object: "policy_change",
            session: None,
            user: None,
            policy,
            is_new: true,
            changes: Vec::new(),
            why: vec![WhyRow::of(leaf)],
        }
    }

    fn of(object: &'static str, changed: &'difference Changed) -> Self {
        let Changed {
            is_new,
            changes,
            why,
        } = changed;
        let rows = changes.iter().map(|Change { what, from, to }| ChangeRow {
            what,
            before: from,
            after: to,
        });
        Self {
            object,
            session: None,
            user: None,
            policy: None,
            is_new: *is_new,
            changes: rows.collect(),
            why: why.iter().map(WhyRow::of).collect(),
        }
    }
}

impl WhyRow {
    fn of(leaf: &Leaf) -> Self {
        let step = Step {
            leaf,
            transition: None,
            changes: Vec::new(),
        };
        let kind = StepRow::of(&step).kind();
        let event = match &leaf.fact {
            Fact::Event(fact) | Fact::Conflict(fact) => Some(fact),
            Fact::Unreadable(_)
            | Fact::Erasure(_)
            | Fact::ErasureDone(_)
            | Fact::Hold(_)
            | Fact::Release(_)
            | Fact::Override(_)
            | Fact::Configuration(_)
            | Fact::Access(_) => None,
        };
        let made = leaf.override_fact();
        Self {
            sequence: leaf.sequence.0,
            received_at: leaf.received_at.second().0,
            kind,
            event: event.map(|fact| fact.event.id.to_string()),
            r#type: event.map(|fact| fact.event.event_type.as_str()),
            created: event.map(|fact| fact.event.created.0),
            session: event.map(|fact| fact.session.to_string()),
            r#override: made.map(|fact| fact.id.to_string()),
            action: made.map(|fact| fact.action.as_str()),
        }
    }
}

impl Display for DifferenceRow<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let names = [
            self.session.as_ref().map(|name| name.session),
            self.user.as_ref().map(|user| user.user_tag.as_str()),
        ];
        let mode = |livemode: bool| if livemode { "live" } else { "test" };
        for name in names.into_iter().flatten() {
            write!(to, "{name}")?;
        }
        match (&self.user, &self.policy) {
            (Some(user), _) => write!(to, ", in {} mode", mode(user.livemode))?,
            (None, Some(policy)) => write!(to, "policy {policy} decides")?,
            (None, None) => {}
        }
        writeln!(
            to,
            "{}",
            if self.is_new && self.policy.is_none() {
                ", new"
            } else {
                ""
            }
        )?;
        for ChangeRow {
            what,
            before,
            after,
        } in &self.changes
        {
            writeln!(to, "    {what}: {before} → {after}")?;
        }
        self.why
            .iter()
            .try_for_each(|why| write!(to, "    by {why}"))
    }
}

impl Display for WhyRow {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let received = moment(state_machine::time::Timestamp(self.received_at));
        write!(to, "{}  {received}  {}", self.sequence, self.kind)?;
        let words = [
            self.session.as_deref(),
            self.r#type,
            self.event.as_deref(),
            self.action,
            self.r#override.as_deref(),
        ];
        for word in words.into_iter().flatten() {
            write!(to, "  {word}")?;
        }
        writeln!(to)
    }
}
