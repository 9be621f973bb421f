//! The stored form of the records: postcard, private twins of the domain's types with explicit conversions.
//!
//! A change of it is a change of `REDUCER_VERSION`: the projections are folded again rather than migrated.

use serde::{Deserialize, Serialize};
use state_machine::event::{Event, EventType, LastError, RedactionStatus, Status};
use state_machine::history::{Arrival, Recorded};
use state_machine::id::{
    ErrorCode, EventId, InvalidIdentifier, ReportId, SequenceNumber, SessionId, UserTag,
};
use state_machine::overrides::Override;
use state_machine::time::{ReceivedAt, Timestamp};

use super::key;
use super::record::{SessionRecord, Unfolded, UserRecord, WhyUnfolded};
use super::stored_custody::StoredCustodyStep;
use super::stored_override::StoredOverride;
use crate::log::leaf::LeafError;

/// A stored record does not decode.
#[derive(Debug, thiserror::Error)]
pub enum DamagedRecord {
    /// Its bytes have another shape.
    #[error(transparent)]
    Shape(#[from] postcard::Error),
    /// It holds an identifier that cannot be one.
    #[error(transparent)]
    Identifier(#[from] InvalidIdentifier),
    /// Its key has another shape.
    #[error("the key has another shape")]
    Key,
    /// It holds no retry policy.
    #[error("the policy: {0}")]
    Policy(#[from] LeafError),
    /// It holds a number that stands for nothing.
    #[error("the code {0} stands for nothing")]
    Code(u8),
}

impl SessionRecord {
    pub(super) fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&StoredSession {
            events: self
                .history
                .records()
                .iter()
                .map(StoredEvent::from)
                .collect(),
            unfolded: self.unfolded.iter().map(StoredUnfolded::from).collect(),
            custody: (self.custody_steps.iter())
                .map(StoredCustodyStep::from)
                .collect(),
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DamagedRecord> {
        let stored: StoredSession<'_> = postcard::from_bytes(bytes)?;
        let mut record = Self::default();
        for event in stored.events {
            record.history.insert(event.try_into()?);
        }
        for unfolded in stored.unfolded {
            record.unfolded.push(unfolded.try_into()?);
        }
        for step in stored.custody {
            record.custody_steps.push(step.try_into()?);
        }
        Ok(record)
    }
}

impl UserRecord {
    pub(super) fn encode(&self) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_stdvec(&StoredUser {
            sessions: self.sessions.iter().map(SessionId::as_str).collect(),
            lost_sessions: self.lost_sessions.iter().map(SessionId::as_str).collect(),
            overrides: self.overrides.iter().map(StoredOverride::from).collect(),
            listed_as: self.listed_as.map(key::state),
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DamagedRecord> {
        let stored: StoredUser<'_> = postcard::from_bytes(bytes)?;
        let sessions = stored.sessions.into_iter().map(SessionId::parse);
        let lost_sessions = stored.lost_sessions.into_iter().map(SessionId::parse);
        let overrides = stored.overrides.into_iter().map(Override::try_from);
        Ok(Self {
            sessions: sessions.collect::<Result<_, _>>()?,
            lost_sessions: lost_sessions.collect::<Result<_, _>>()?,
            overrides: overrides.collect::<Result<_, _>>()?,
            listed_as: stored.listed_as.map(key::state_of_byte).transpose()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct StoredUser<'a> {
    #[serde(borrow)]
    sessions: Vec<&'a str>,
    #[serde(borrow)]
    lost_sessions: Vec<&'a str>,
    #[serde(borrow)]
    overrides: Vec<StoredOverride<'a>>,
    listed_as: Option<u8>,
}

#[derive(Serialize, Deserialize)]
struct StoredSession<'a> {
    #[serde(borrow)]
    events: Vec<StoredEvent<'a>>,
    #[serde(borrow)]
    unfolded: Vec<StoredUnfolded<'a>>,
    custody: Vec<StoredCustodyStep>,
}

#[derive(Serialize, Deserialize)]
struct StoredEvent<'a> {
    id: &'a str,
    event_type: u8,
    created: i64,
    session_created: Option<i64>,
    status: Option<&'a str>,
    #[serde(borrow)]
    last_error: Option<StoredError<'a>>,
    report: Option<&'a str>,
    redaction: Option<&'a str>,
    user: Option<[u8; 16]>,
    arrival: StoredArrival,
}

#[derive(Serialize, Deserialize)]
struct StoredError<'a> {
    code: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct StoredUnfolded<'a> {
    why: u8,
    event: &'a str,
    at: i64,
    arrival: StoredArrival,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoredArrival {
    sequence: u64,
    received_at: i64,
}

impl<'a> From<&'a Recorded> for StoredEvent<'a> {
    fn from(recorded: &'a Recorded) -> Self {
        let event = &recorded.event;
        Self {
            id: event.id.as_str(),
            event_type: event_type_code(event.event_type),
            created: event.created.0,
            session_created: event.session_created.map(|time| time.0),
            status: event.status.as_ref().map(Status::as_str),
            last_error: event.last_error.as_ref().map(|error| StoredError {
                code: error.code.as_ref().map(ErrorCode::as_str),
            }),
            report: event.report.as_ref().map(ReportId::as_str),
            redaction: event.redaction.as_ref().map(RedactionStatus::as_str),
            user: event.user.map(|tag| tag.0),
            arrival: recorded.arrival.into(),
        }
    }
}

impl TryFrom<StoredEvent<'_>> for Recorded {
    type Error = DamagedRecord;

    fn try_from(stored: StoredEvent<'_>) -> Result<Self, DamagedRecord> {
        let last_error = match stored.last_error {
            Some(error) => Some(LastError {
                code: error.code.map(ErrorCode::parse).transpose()?,
            }),
            None => None,
        };
        let event = Event {
            id: EventId::parse(stored.id)?,
            event_type: event_type_of_code(stored.event_type)?,
            created: Timestamp(stored.created),
            session_created: stored.session_created.map(Timestamp),
            status: stored.status.map(Status::parse),
            last_error,
            report: stored.report.map(ReportId::parse).transpose()?,
            redaction: stored.redaction.map(RedactionStatus::parse),
            user: stored.user.map(UserTag),
        };
        Ok(Self {
            event,
            arrival: stored.arrival.into(),
        })
    }
}

impl<'a> From<&'a Unfolded> for StoredUnfolded<'a> {
    fn from(unfolded: &'a Unfolded) -> Self {
        Self {
            why: match unfolded.why {
                WhyUnfolded::Thin => 1,
                WhyUnfolded::Conflict => 2,
            },
            event: unfolded.event.as_str(),
            at: unfolded.at.0,
            arrival: unfolded.arrival.into(),
        }
    }
}

impl TryFrom<StoredUnfolded<'_>> for Unfolded {
    type Error = DamagedRecord;

    fn try_from(stored: StoredUnfolded<'_>) -> Result<Self, DamagedRecord> {
        Ok(Self {
            why: match stored.why {
                1 => WhyUnfolded::Thin,
                2 => WhyUnfolded::Conflict,
                code => return Err(DamagedRecord::Code(code)),
            },
            event: EventId::parse(stored.event)?,
            at: Timestamp(stored.at),
            arrival: stored.arrival.into(),
        })
    }
}

impl From<Arrival> for StoredArrival {
    fn from(arrival: Arrival) -> Self {
        Self {
            sequence: arrival.sequence.0,
            received_at: arrival.received_at.0,
        }
    }
}

impl From<StoredArrival> for Arrival {
    fn from(stored: StoredArrival) -> Self {
        Self {
            sequence: SequenceNumber(stored.sequence),
            received_at: ReceivedAt(stored.received_at),
        }
    }
}

const fn event_type_code(event_type: EventType) -> u8 {
    match event_type {
        EventType::Created => 1,
        EventType::Processing => 2,
        EventType::RequiresInput => 3,
        EventType::Verified => 4,
        EventType::Observed => 5,
        EventType::Canceled => 6,
        EventType::Redacted => 7,
    }
}

const fn event_type_of_code(code: u8) -> Result<EventType, DamagedRecord> {
    Ok(match code {
        1 => EventType::Created,
        2 => EventType::Processing,
        3 => EventType::RequiresInput,
        4 => EventType::Verified,
        5 => EventType::Observed,
        6 => EventType::Canceled,
        7 => EventType::Redacted,
        _ => return Err(DamagedRecord::Code(code)),
    })
}
