//! Sessions: what is known of one, and to whom it belongs.

use state_machine::history::Recorded;
use state_machine::horizon::Horizon;
use state_machine::id::{SessionId, UserTag, World};
use state_machine::session::{Session, explain, project};
use state_machine::transition::Transition;

use super::Service;
use super::read::{Page, ReadError};
use crate::projections::listing::{ListedAnomaly, anomalies_of};
use crate::projections::record::SessionRecord;
use crate::projections::view::{Position, SessionFilter};
use crate::stripe::attribution::user_references;
use crate::stripe::user_reference::UserReference;

/// A user's name, as far as it can still be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserName {
    /// In the company's own words: personal data.
    Reference(UserReference),
    /// The payload that named the user cannot be opened any more.
    Redacted,
    /// No session names the user: only overrides concern them, and those name nobody.
    Unnamed,
}

/// What is known of a session.
#[derive(Debug, Clone)]
pub struct SessionAnswer {
    /// Its id.
    pub id: SessionId,
    /// The entries behind it.
    pub record: SessionRecord,
    /// Its fold.
    pub session: Session,
    /// Its anomalies: those of the fold, and the entries that are kept without being folded.
    pub anomalies: Vec<ListedAnomaly>,
    /// Whether its payloads may still be read, whatever was decided at the time that is asked about.
    pub(super) keeps_payloads: bool,
}

impl SessionAnswer {
    pub(super) fn new(id: SessionId, record: SessionRecord) -> Self {
        let keeps_payloads = record.custody().keeps_payloads();
        Self::of(id, record, keeps_payloads)
    }

    /// Returns what is known of a session within a horizon. An erasure reaches every earlier time.
    pub(super) fn within(id: SessionId, record: &SessionRecord, horizon: &Horizon) -> Option<Self> {
        let keeps_payloads = record.custody().keeps_payloads();
        let within = record.within(horizon)?;
        Some(Self::of(id, within, keeps_payloads))
    }

    fn of(id: SessionId, record: SessionRecord, keeps_payloads: bool) -> Self {
        let session = project(&record.history);
        let anomalies = anomalies_of(&id, &record, &session).collect();
        Self {
            id,
            record,
            session,
            anomalies,
            keeps_payloads,
        }
    }

    /// Returns the steps of its fold, in canonical order.
    pub fn steps(&self) -> impl Iterator<Item = (&Recorded, Transition)> {
        self.record
            .history
            .records()
            .iter()
            .zip(explain(&self.record.history))
    }
}

impl Service {
    /// Returns what is known of a session within a horizon.
    pub fn session(
        &self,
        world: &World,
        id: &SessionId,
        horizon: &Horizon,
    ) -> Result<Option<SessionAnswer>, ReadError> {
        let record = self.view()?.session(world, id)?;
        Ok(record.and_then(|record| {
            if horizon.is_open() {
                Some(SessionAnswer::new(id.clone(), record))
            } else {
                SessionAnswer::within(id.clone(), &record, horizon)
            }
        }))
    }

    /// Returns a page of sessions: the most recently created first or, of one state, the latest to enter it first.
    pub fn sessions(
        &self,
        world: &World,
        filter: SessionFilter,
        position: Option<Position<SessionId>>,
        limit: usize,
    ) -> Result<Page<SessionAnswer>, ReadError> {
        let view = self.view()?;
        if let Some(position) = &position
            && view.session(world, position.item())?.is_none()
        {
            return Err(ReadError::PositionUnknown);
        }
        let is_backwards = matches!(position, Some(Position::Before(_)));
        let mut sessions = Vec::new();
        for id in view
            .sessions(world, filter, position)?
            .take(limit.saturating_add(1))
        {
            let id = id?;
            let record = view.session(world, &id)?.unwrap_or_default();
            sessions.push(SessionAnswer::new(id, record));
        }
        Ok(Page::of(sessions, limit, is_backwards))
    }

    /// Returns what the owner of a session is called, or `None` if no event names one.
    pub fn owner(&self, session: &SessionAnswer) -> Option<UserName> {
        let user = session.session.user.as_ref()?;
        Some(self.user_name(std::slice::from_ref(session), user.tag))
    }

    /// Opens the payloads of the events that name a user until one tells the reference behind the tag.
    pub(super) fn user_name(&self, sessions: &[SessionAnswer], tag: UserTag) -> UserName {
        // Once a session is to be erased its payloads are not read, even where they still could be.
        let readable = |known: &&SessionAnswer| known.keeps_payloads;
        let reference = sessions.iter().filter(readable).find_map(|known| {
            let named_by = &known.session.user.as_ref()?.named_by;
            let sequence = known.record.history.find(named_by)?.arrival.sequence;
            let entry = self.log.entry(sequence).ok()??;
            let payload = self.log.open_payload(&entry).ok()?;
            let mut references = user_references(&payload.body).into_iter();
            references.find(|reference| self.log.user_tag(reference) == tag)
        });
        match reference {
            Some(reference) => UserName::Reference(reference),
            None if sessions.is_empty() => UserName::Unnamed,
            None => UserName::Redacted,
        }
    }
}
