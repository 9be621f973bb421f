//! What follows from a session's record: the rows by which it is listed, and what its users' records are to say of it.

use std::collections::BTreeSet;

use state_machine::id::{SessionId, UserTag, World};
use state_machine::session::project;
use state_machine::user::Outline;

use super::listing::{self, Rows};
use super::record::SessionRecord;

/// What follows from a session's record.
pub(super) struct Derived {
    pub(super) rows: Rows,
    /// Whose it is.
    pub(super) owner: Option<UserTag>,
    /// Everyone whom it has ever named: no row may depend on who owned it when a round ended.
    pub(super) named: BTreeSet<UserTag>,
    pub(super) outline: Outline,
}

impl Derived {
    pub(super) fn of(world: &World, id: &SessionId, record: &SessionRecord) -> Self {
        let session = project(&record.history);
        Self {
            rows: listing::rows_of_session(world, id, record, &session),
            owner: session.user.as_ref().map(|user| user.tag),
            named: (record.history.events())
                .filter_map(|event| event.user)
                .collect(),
            outline: session.outline(),
        }
    }
}
