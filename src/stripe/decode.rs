//! Decoding: an authenticated payload becomes an event, a foreign event, or an unreadable one.
//!
//! Total and tolerant: no field but the id, the type, the time and the session is required, and no word is
//! unknown. Of personal data, only the user reference leaves this file.

use chrono::DateTime;
use state_machine::event::{Event, EventType, LastError};
use state_machine::id::{AccountId, ErrorCode, EventId, ReportId, SessionId, World};
use state_machine::time::Timestamp;

use super::attribution::user_reference;
use super::json::Value;
use super::signature::AuthenticatedPayload;
use super::spelling;
use super::user_reference::{UserReference, UserReferenceSource};
use super::wire::{Envelope, Identified, Session};

/// What a payload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoded {
    /// An event of a verification session.
    Event(Box<SessionEvent>),
    /// An event of another kind, which Avow does not keep.
    Foreign {
        /// Its type, at most 255 visible ASCII characters.
        event_type: String,
    },
    /// Authentic bytes that this version cannot read; kept, and read again when decoding improves.
    Unreadable(Unreadable),
}

/// An event of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEvent {
    /// Its world.
    pub world: World,
    /// Its session.
    pub session: SessionId,
    /// Whether it holds a snapshot of the session.
    pub form: EventForm,
    /// Its facts; `user` is `None`, since only the log can tag a reference.
    pub event: Event,
    /// The API version that rendered it, at most 255 visible ASCII characters.
    pub api_version: Option<String>,
    /// Whom the snapshot names as its user.
    pub user_reference: Option<UserReference>,
}

/// Whether an event holds its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventForm {
    /// `object: event`, with a snapshot of the session.
    Snapshot,
    /// `object: v2.core.event`: it names its session and holds nothing of it.
    Thin,
}

/// Why an authentic body is unreadable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The first thing that was wrong.
    pub reason: UnreadableReason,
    /// The event's id, where that much can be read.
    pub event: Option<EventId>,
}

/// What was wrong with an unreadable body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnreadableReason {
    /// It is no UTF-8.
    NotUtf8,
    /// It is no JSON.
    NotJson,
    /// It is JSON, but no object.
    NotAnObject,
    /// It has no type.
    TypeMissing,
    /// It is about a verification session, but Stripe had no such event when this was written.
    TypeUnknown,
    /// It has no usable id.
    IdMissing,
    /// It has no time.
    CreatedMissing,
    /// It names no session.
    SessionMissing,
    /// It names an account that cannot be one. Without it, the event would move to the platform's own world.
    AccountInvalid,
}

impl UnreadableReason {
    /// Every reason.
    pub const ALL: [Self; 9] = [
        Self::NotUtf8,
        Self::NotJson,
        Self::NotAnObject,
        Self::TypeMissing,
        Self::TypeUnknown,
        Self::IdMissing,
        Self::CreatedMissing,
        Self::SessionMissing,
        Self::AccountInvalid,
    ];

    /// Returns its stable name.
    pub fn as_str(self) -> &'static str {
        self.code_and_name().1
    }

    /// Returns its stable number in the log.
    pub fn code(self) -> u8 {
        self.code_and_name().0
    }

    /// Returns the reason that has this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    fn code_and_name(self) -> (u8, &'static str) {
        match self {
            Self::NotUtf8 => (1, "not_utf8"),
            Self::NotJson => (2, "not_json"),
            Self::NotAnObject => (3, "not_an_object"),
            Self::TypeMissing => (4, "type_missing"),
            Self::TypeUnknown => (5, "type_unknown"),
            Self::IdMissing => (6, "id_missing"),
            Self::CreatedMissing => (7, "created_missing"),
            Self::SessionMissing => (8, "session_missing"),
            Self::AccountInvalid => (9, "account_invalid"),
        }
    }
}

/// Decodes a payload. Total: authentic bytes are never refused.
pub fn decode(payload: &AuthenticatedPayload<'_>, sources: &[UserReferenceSource]) -> Decoded {
    let envelope = match envelope(payload.body()) {
        Ok(envelope) => envelope,
        Err(reason) => {
            return Decoded::Unreadable(Unreadable {
                reason,
                event: None,
            });
        }
    };
    let id = envelope
        .id
        .text()
        .and_then(|text| EventId::parse(text).ok());
    let decoded = match kind(&envelope) {
        Ok(Kind::Foreign(event_type)) => {
            return Decoded::Foreign {
                event_type: spelling::visible(event_type),
            };
        }
        Ok(Kind::Session(form, event_type)) => {
            session_event(&envelope, id.clone(), form, event_type, sources)
        }
        Err(reason) => Err(reason),
    };
    match decoded {
        Ok(event) => Decoded::Event(Box::new(event)),
        Err(reason) => Decoded::Unreadable(Unreadable { reason, event: id }),
    }
}

pub(super) fn envelope(body: &[u8]) -> Result<Envelope<'_>, UnreadableReason> {
    let text = str::from_utf8(body).map_err(|_| UnreadableReason::NotUtf8)?;
    let value: Value<'_, Envelope<'_>> =
        serde_json::from_str(text).map_err(|_| UnreadableReason::NotJson)?;
    value.into_object().ok_or(UnreadableReason::NotAnObject)
}

enum Kind<'envelope> {
    Session(EventForm, EventType),
    Foreign(&'envelope str),
}

fn kind<'envelope>(envelope: &'envelope Envelope<'_>) -> Result<Kind<'envelope>, UnreadableReason> {
    let spelled = envelope
        .event_type
        .text()
        .filter(|text| !text.is_empty())
        .ok_or(UnreadableReason::TypeMissing)?;
    let (form, name) = match envelope.object.text() {
        Some("v2.core.event") => (EventForm::Thin, spelled.strip_prefix("v1.")),
        _ => (EventForm::Snapshot, Some(spelled)),
    };
    let name = name.and_then(|name| name.strip_prefix(spelling::SESSION_EVENT_PREFIX));
    match name.and_then(spelling::event_type) {
        Some(event_type) => Ok(Kind::Session(form, event_type)),
        // Whatever a type says of a session in words of its own is kept: nothing that Stripe says of one is lost.
        None if spelled.contains(spelling::SESSION_EVENT_PREFIX) => {
            Err(UnreadableReason::TypeUnknown)
        }
        None => Ok(Kind::Foreign(spelled)),
    }
}

fn session_event(
    envelope: &Envelope<'_>,
    id: Option<EventId>,
    form: EventForm,
    event_type: EventType,
    sources: &[UserReferenceSource],
) -> Result<SessionEvent, UnreadableReason> {
    let nothing = Session::default();
    let snapshot = match form {
        EventForm::Snapshot => envelope
            .data
            .object()
            .and_then(|data| data.object.object())
            .unwrap_or(&nothing),
        EventForm::Thin => &nothing,
    };
    let (session, account) = match form {
        EventForm::Snapshot => (snapshot.id.text(), &envelope.account),
        EventForm::Thin => (envelope.related_object.id(), &envelope.context),
    };
    let id = id.ok_or(UnreadableReason::IdMissing)?;
    let created = timestamp(&envelope.created).ok_or(UnreadableReason::CreatedMissing)?;
    let session = session
        .and_then(|text| SessionId::parse(text).ok())
        .ok_or(UnreadableReason::SessionMissing)?;
    // An event that does not say so is no live one: it can then verify nobody who is real.
    let livemode = envelope
        .livemode
        .boolean()
        .or(snapshot.livemode.boolean())
        .unwrap_or(false);
    Ok(SessionEvent {
        world: World {
            livemode,
            account: account_id(account)?,
        },
        session,
        form,
        event: facts(snapshot, id, event_type, created),
        api_version: envelope.api_version.text().map(spelling::visible),
        user_reference: user_reference(snapshot, sources),
    })
}

fn facts(snapshot: &Session<'_>, id: EventId, event_type: EventType, created: Timestamp) -> Event {
    Event {
        id,
        event_type,
        created,
        session_created: timestamp(&snapshot.created),
        status: snapshot.status.text().map(spelling::status),
        last_error: snapshot.last_error.object().map(|error| LastError {
            code: error
                .code
                .text()
                .and_then(|text| ErrorCode::parse(text).ok()),
        }),
        report: snapshot
            .last_verification_report
            .id()
            .and_then(|text| ReportId::parse(text).ok()),
        // That there is a redaction tells by itself: one without a readable status is kept, as an empty word.
        redaction: (snapshot.redaction.object()).map(|redaction| {
            spelling::redaction_status(redaction.status.text().unwrap_or_default())
        }),
        user: None,
    }
}

fn account_id(account: &Value<'_, Identified<'_>>) -> Result<Option<AccountId>, UnreadableReason> {
    if account.is_absent() {
        return Ok(None);
    }
    let account = account.id().and_then(|text| AccountId::parse(text).ok());
    account.map(Some).ok_or(UnreadableReason::AccountInvalid)
}

/// Returns a time in seconds: snapshot events give a number, thin ones a date (RFC 3339, the fraction dropped).
fn timestamp(value: &Value<'_>) -> Option<Timestamp> {
    let date = || DateTime::parse_from_rfc3339(value.text()?).ok();
    value
        .integer()
        .or_else(|| Some(date()?.timestamp()))
        .map(Timestamp)
}
