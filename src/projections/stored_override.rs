//! The stored form of an override, within the record of its user.

use serde::{Deserialize, Serialize};
use state_machine::id::OverrideId;
use state_machine::overrides::{Action, Override};
use state_machine::time::Timestamp;

use super::stored::{DamagedRecord, StoredArrival};

#[derive(Serialize, Deserialize)]
pub(super) struct StoredOverride<'a> {
    id: &'a str,
    action: StoredAction,
    expires: Option<i64>,
    arrival: StoredArrival,
}

#[derive(Serialize, Deserialize)]
enum StoredAction {
    Grant(u32),
    Reset,
    Block,
    Unblock,
}

impl<'a> From<&'a Override> for StoredOverride<'a> {
    fn from(made: &'a Override) -> Self {
        Self {
            id: made.id.as_str(),
            action: match made.action {
                Action::Grant { attempts } => StoredAction::Grant(attempts),
                Action::Reset => StoredAction::Reset,
                Action::Block => StoredAction::Block,
                Action::Unblock => StoredAction::Unblock,
            },
            expires: made.expires.map(|time| time.0),
            arrival: made.arrival.into(),
        }
    }
}

impl TryFrom<StoredOverride<'_>> for Override {
    type Error = DamagedRecord;

    fn try_from(stored: StoredOverride<'_>) -> Result<Self, DamagedRecord> {
        Ok(Self {
            id: OverrideId::parse(stored.id)?,
            action: match stored.action {
                StoredAction::Grant(attempts) => Action::Grant { attempts },
                StoredAction::Reset => Action::Reset,
                StoredAction::Block => Action::Block,
                StoredAction::Unblock => Action::Unblock,
            },
            expires: stored.expires.map(Timestamp),
            arrival: stored.arrival.into(),
        })
    }
}
