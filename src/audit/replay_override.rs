//! What a replay tells of an override: a line of JSON, or a few words.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use state_machine::id::{OverrideId, UserTag};
use state_machine::overrides::{Action, Override};
use state_machine::time::Timestamp;

use crate::log::entry::Leaf;
use crate::service::change::tag_text;
use crate::service::moment::moment;

/// An override.
#[derive(Debug, Serialize)]
pub(super) struct OverrideRow<'made> {
    r#override: &'made str,
    /// Whom it concerns, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_tag: Option<String>,
    action: &'static str,
    attempts: Option<u32>,
    expires: Option<i64>,
}

impl<'made> OverrideRow<'made> {
    /// Returns the row of an entry, if it is an override.
    pub(super) fn of_entry(leaf: &'made Leaf) -> Option<Self> {
        let fact = leaf.override_fact()?;
        let (id, action) = (&fact.id, fact.action);
        Some(Self::new(id, action, fact.expires, Some(fact.user)))
    }

    /// Returns the row of an override of a user who is named beside it.
    pub(super) fn of(made: &'made Override) -> Self {
        Self::new(&made.id, made.action, made.expires, None)
    }

    fn new(
        id: &'made OverrideId,
        action: Action,
        expires: Option<Timestamp>,
        user: Option<UserTag>,
    ) -> Self {
        Self {
            r#override: id.as_str(),
            user_tag: user.map(|tag| tag_text(&tag.0)),
            action: action.as_str(),
            attempts: action.attempts(),
            expires: expires.map(|expires| expires.0),
        }
    }
}

impl Display for OverrideRow<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        if let Some(tag) = &self.user_tag {
            write!(to, "{tag}  ")?;
        }
        write!(to, "{}", self.action)?;
        if let Some(attempts) = self.attempts {
            write!(to, " of {attempts} attempts")?;
        }
        write!(to, " {}", self.r#override)?;
        match self.expires {
            Some(expires) => write!(to, " until {}", moment(Timestamp(expires))),
            None => Ok(()),
        }
    }
}
