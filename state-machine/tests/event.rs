//! Events as a test writes them: `failed(15, "vr_1", "document_expired")` is the snapshot that Stripe would send.

use core::borrow::Borrow;
use core::fmt::Write as _;

use state_machine::event::{Event, EventType, LastError, RedactionStatus, Status};
use state_machine::history::{Arrival, History, Recorded};
use state_machine::id::{ErrorCode, EventId, ReportId, SequenceNumber, UserTag};
use state_machine::session::{Session, project};
use state_machine::time::{ReceivedAt, Timestamp};

/// An event of this type with the status that it announces, and nothing else.
pub(crate) fn event(event_type: EventType, at: i64) -> Event {
    let status = match event_type {
        EventType::Created | EventType::RequiresInput => Some(Status::RequiresInput),
        EventType::Processing => Some(Status::Processing),
        EventType::Verified | EventType::Redacted => Some(Status::Verified),
        EventType::Canceled => Some(Status::Canceled),
        EventType::Observed => None,
    };
    Event {
        id: EventId::parse("evt_unnamed").unwrap(),
        event_type,
        created: Timestamp(at),
        session_created: None,
        status,
        last_error: None,
        report: None,
        redaction: (event_type == EventType::Redacted).then_some(RedactionStatus::Redacted),
        user: None,
    }
}

pub(crate) fn created(at: i64) -> Event {
    event(EventType::Created, at)
}

pub(crate) fn processing(at: i64) -> Event {
    event(EventType::Processing, at)
}

pub(crate) fn requires_input(at: i64) -> Event {
    event(EventType::RequiresInput, at)
}

pub(crate) fn verified(at: i64, report: &str) -> Event {
    event(EventType::Verified, at).report(report)
}

pub(crate) fn failed(at: i64, report: &str, code: &str) -> Event {
    requires_input(at).report(report).error(code)
}

pub(crate) fn declined(at: i64, code: &str) -> Event {
    requires_input(at).error(code)
}

pub(crate) fn observed(at: i64, status: Status) -> Event {
    Event {
        status: Some(status),
        ..event(EventType::Observed, at)
    }
}

pub(crate) fn canceled(at: i64) -> Event {
    event(EventType::Canceled, at)
}

pub(crate) fn canceled_by_redaction(at: i64) -> Event {
    canceled(at).redaction(RedactionStatus::Processing)
}

pub(crate) fn redacted(at: i64) -> Event {
    event(EventType::Redacted, at)
}

/// What a snapshot can say beside its type and time.
pub(crate) trait Snapshot {
    fn id(self, id: &str) -> Self;
    fn status(self, status: Status) -> Self;
    fn report(self, report: &str) -> Self;
    fn error(self, code: &str) -> Self;
    fn error_without_code(self) -> Self;
    fn redaction(self, status: RedactionStatus) -> Self;
    fn session_created(self, at: i64) -> Self;
    fn user(self, user: u8) -> Self;
}

impl Snapshot for Event {
    fn id(self, id: &str) -> Self {
        Self {
            id: EventId::parse(id).unwrap(),
            ..self
        }
    }

    fn status(self, status: Status) -> Self {
        Self {
            status: Some(status),
            ..self
        }
    }

    fn report(self, report: &str) -> Self {
        Self {
            report: Some(ReportId::parse(report).unwrap()),
            ..self
        }
    }

    fn error(self, code: &str) -> Self {
        Self {
            last_error: Some(LastError {
                code: Some(ErrorCode::parse(code).unwrap()),
            }),
            ..self
        }
    }

    fn error_without_code(self) -> Self {
        Self {
            last_error: Some(LastError { code: None }),
            ..self
        }
    }

    fn redaction(self, status: RedactionStatus) -> Self {
        Self {
            redaction: Some(status),
            ..self
        }
    }

    fn session_created(self, at: i64) -> Self {
        Self {
            session_created: Some(Timestamp(at)),
            ..self
        }
    }

    fn user(self, user: u8) -> Self {
        Self {
            user: Some(UserTag([user; 16])),
            ..self
        }
    }
}

/// Gives each event an id of its own, by its place in the list.
pub(crate) fn named(events: impl IntoIterator<Item = Event>) -> Vec<Event> {
    (1..)
        .zip(events)
        .map(|(number, event)| event.id(&format!("evt_{number:02}")))
        .collect()
}

/// The event as the log's entry of that sequence number, received that many milliseconds after the epoch.
pub(crate) fn recorded(event: Event, sequence: u64) -> Recorded {
    let received_at = ReceivedAt(i64::try_from(sequence).unwrap());
    Recorded {
        event,
        arrival: Arrival {
            sequence: SequenceNumber(sequence),
            received_at,
        },
    }
}

/// The history of events that arrived in this order.
pub(crate) fn history(events: impl IntoIterator<Item = impl Borrow<Event>>) -> History {
    let records = (0..).zip(events);
    records
        .map(|(sequence, event)| recorded(event.borrow().clone(), sequence))
        .collect()
}

/// The projection of events that arrived in this order, each with an id by its place.
pub(crate) fn session(events: impl IntoIterator<Item = Event>) -> Session {
    project(&history(named(events)))
}

/// The events on one line each, for the message of a failed test.
pub(crate) fn lines(events: impl IntoIterator<Item = impl Borrow<Event>>) -> String {
    let mut lines = String::from("\n");
    for event in events {
        let event = event.borrow();
        let (at, event_type) = (event.created.0, event.event_type.as_str());
        let status = event.status.as_ref().map(|status| format!("{status:?}"));
        let error = event.last_error.as_ref().map(|error| {
            error
                .code
                .as_ref()
                .map_or_else(|| "null".to_owned(), ToString::to_string)
        });
        let redaction = event
            .redaction
            .as_ref()
            .map(|redaction| format!("redaction {redaction:?}"));
        let report = event.report.as_ref().map(ToString::to_string);
        let user = event.user.map(|tag| format!("user {}", tag.0[0]));
        let words = [status, report, error, redaction, user];
        let words = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
        writeln!(lines, "  {at} {event_type} {words} ({})", event.id).unwrap();
    }
    lines
}
