//! Listings: the rows by which sessions, users and anomalies are listed, and the paging over them.
//!
//! A row is a function of a record, so a change of a record is the difference of its rows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use state_machine::history::History;
use state_machine::id::{EventId, SequenceNumber, SessionId, UserTag, World};
use state_machine::session::Session;
use state_machine::time::Timestamp;
use state_machine::transition::StateName;

use super::comparison::{Subject, What};
use super::key;
use super::record::{SessionRecord, WhyUnfolded};
use super::stored::DamagedRecord;

/// The listings; the byte keeps their rows apart and is never reused.
const SESSIONS_BY_CREATED: u8 = b'c';
const SESSIONS_BY_STATE: u8 = b's';
const USERS_BY_STATE: u8 = b'u';
const ANOMALIES: u8 = b'a';
const ANOMALIES_OF_NO_WORLD: u8 = b'x';
/// What the keys of all anomalies begin with.
pub(super) const ALL_ANOMALIES: [[u8; 1]; 2] = [[ANOMALIES], [ANOMALIES_OF_NO_WORLD]];

/// What a row by creation holds under a time at which the session was created by some of its events, and not by all of
/// them: at an earlier time it was listed there. Empty under the time that counts.
pub(super) const BY_ANOTHER_TIME: &[u8] = b"1";

/// The rows of one record, by key.
pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// An anomaly as it is listed: of a session, or of an entry that belongs to none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedAnomaly {
    /// The entry that is strange; the latest are listed first.
    pub sequence: SequenceNumber,
    /// The stable name of the rule that it broke.
    pub rule: String,
    /// Its event, where that can be read.
    pub event: Option<EventId>,
    /// Its session, where it has one.
    pub session: Option<SessionId>,
    /// When it happened, at Stripe; for an entry that cannot be read, when it was received.
    pub at: Timestamp,
}

/// The rules of entries that are kept and shown without being folded, beside the state machine's own.
pub(super) mod rule {
    pub(in super::super) const CONFLICTING_EVENT: &str = "conflicting_event";
    pub(in super::super) const DAMAGED_ENTRY: &str = "damaged_entry";
    pub(in super::super) const THIN_EVENT: &str = "thin_event";
    pub(in super::super) const UNREADABLE_PREFIX: &str = "unreadable:";
}

/// Returns the anomalies of a session: those of its fold, then the entries that are not folded.
pub fn anomalies_of<'a>(
    id: &'a SessionId,
    record: &'a SessionRecord,
    session: &'a Session,
) -> impl Iterator<Item = ListedAnomaly> + 'a {
    let folded = session.anomalies.iter().map(|anomaly| ListedAnomaly {
        // An anomaly of the fold names an event of the history; 0 is never shown.
        sequence: record
            .history
            .find(&anomaly.event)
            .map_or(SequenceNumber(0), |recorded| recorded.arrival.sequence),
        rule: anomaly.rule.as_str().to_owned(),
        event: Some(anomaly.event.clone()),
        session: Some(id.clone()),
        at: anomaly.at,
    });
    let unfolded = record.unfolded.iter().map(|unfolded| ListedAnomaly {
        sequence: unfolded.arrival.sequence,
        rule: match unfolded.why {
            WhyUnfolded::Thin => rule::THIN_EVENT,
            WhyUnfolded::Conflict => rule::CONFLICTING_EVENT,
        }
        .to_owned(),
        event: Some(unfolded.event.clone()),
        session: Some(id.clone()),
        at: unfolded.at,
    });
    folded.chain(unfolded)
}

/// Returns the rows of a session. One without a folded event has a state that nobody knows, and is not listed.
pub(super) fn rows_of_session(
    world: &World,
    id: &SessionId,
    record: &SessionRecord,
    session: &Session,
) -> Rows {
    let mut rows = Rows::new();
    let (name, since) = (session.state.name(), session.state.since());
    for created in created_times(&record.history) {
        rows.insert(by_created(world, created, id), BY_ANOTHER_TIME.to_vec());
    }
    if let Some(since) = since {
        rows.insert(by_created(world, session.created, id), Vec::new());
        rows.insert(by_state(world, name, since, id), Vec::new());
    }
    for anomaly in anomalies_of(id, record, session) {
        let (key, value) = anomaly_row(Some(world), &anomaly);
        rows.insert(key, value);
    }
    rows
}

/// Returns every time at which the session may have been created, by some of its events: within a horizon it is listed
/// there. Stripe tells one time alone.
fn created_times(history: &History) -> impl Iterator<Item = Timestamp> {
    history
        .events()
        .map(|event| event.session_created.unwrap_or(event.created))
}

/// Returns the key of a session among those of its world, the most recently created first.
fn by_created(world: &World, created: Timestamp, id: &SessionId) -> Vec<u8> {
    let mut key = sessions_by_created(world);
    key.extend_from_slice(&key::latest_first(created));
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// Returns the key of a session among those in one state, the latest to enter it first.
fn by_state(world: &World, name: StateName, since: Timestamp, id: &SessionId) -> Vec<u8> {
    let mut key = sessions_by_state(world, name);
    key.extend_from_slice(&key::latest_first(since));
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// Returns the row of an anomaly, the latest entry first.
pub(super) fn anomaly_row(world: Option<&World>, anomaly: &ListedAnomaly) -> (Vec<u8>, Vec<u8>) {
    let mut key = world.map_or_else(anomalies_of_no_world, anomalies);
    key.extend_from_slice(&anomaly_place(anomaly.sequence, &anomaly.rule));
    let stored = StoredAnomaly {
        event: anomaly.event.as_ref().map(EventId::as_str),
        session: anomaly.session.as_ref().map(SessionId::as_str),
        at: anomaly.at.0,
    };
    // Writing short borrowed texts to memory cannot fail; an empty value would read as damaged, never as a wrong fact.
    (key, postcard::to_stdvec(&stored).unwrap_or_default())
}

/// Returns where an anomaly stands in its listing.
pub(super) fn anomaly_place(sequence: SequenceNumber, rule: &str) -> Vec<u8> {
    let mut place = (!sequence.0).to_be_bytes().to_vec();
    place.extend_from_slice(rule.as_bytes());
    place
}

/// Reads an anomaly back from its row.
pub(super) fn anomaly_of_row(place: &[u8], value: &[u8]) -> Result<ListedAnomaly, DamagedRecord> {
    let stored: StoredAnomaly<'_> = postcard::from_bytes(value)?;
    let (sequence, rule) = place.split_first_chunk().ok_or(DamagedRecord::Key)?;
    Ok(ListedAnomaly {
        sequence: SequenceNumber(!u64::from_be_bytes(*sequence)),
        rule: String::from_utf8_lossy(rule).into_owned(),
        event: stored.event.map(EventId::parse).transpose()?,
        session: stored.session.map(SessionId::parse).transpose()?,
        at: Timestamp(stored.at),
    })
}

/// Returns the rule that the key of an anomaly's row ends with.
pub(super) fn rule_of_row(key: &[u8]) -> Result<&str, DamagedRecord> {
    let place = match key {
        [ANOMALIES_OF_NO_WORLD, place @ ..] => Some(place),
        [ANOMALIES, _livemode, account_bytes, rest @ ..] => rest.get((*account_bytes).into()..),
        _ => None,
    };
    let rule = place.and_then(|place| place.get(8..));
    let rule = rule.and_then(|rule| str::from_utf8(rule).ok());
    rule.ok_or(DamagedRecord::Key)
}

#[derive(Serialize, Deserialize)]
struct StoredAnomaly<'a> {
    event: Option<&'a str>,
    session: Option<&'a str>,
    at: i64,
}

/// Returns the row of a user of that status.
pub(super) fn rows_of_user(world: &World, tag: UserTag, status: Option<StateName>) -> Rows {
    let key = |name| [users_by_state(world, name), tag.0.to_vec()].concat();
    status
        .map(|name| (key(name), Vec::new()))
        .into_iter()
        .collect()
}

pub(super) fn sessions_by_created(world: &World) -> Vec<u8> {
    listing(SESSIONS_BY_CREATED, world)
}

pub(super) fn sessions_by_state(world: &World, name: StateName) -> Vec<u8> {
    let mut prefix = listing(SESSIONS_BY_STATE, world);
    prefix.push(key::state(name));
    prefix
}

pub(super) fn users_by_state(world: &World, name: StateName) -> Vec<u8> {
    let mut prefix = listing(USERS_BY_STATE, world);
    prefix.push(key::state(name));
    prefix
}

pub(super) fn anomalies(world: &World) -> Vec<u8> {
    listing(ANOMALIES, world)
}

pub(super) fn anomalies_of_no_world() -> Vec<u8> {
    vec![ANOMALIES_OF_NO_WORLD]
}

/// Returns whose a row is, of whatever listing.
pub(super) fn subject_of(key: &[u8]) -> Option<(Subject, What)> {
    let (listing, rest) = key.split_first()?;
    if *listing == ANOMALIES_OF_NO_WORLD {
        return Some((entry_of(rest)?, What::Anomaly));
    }
    let (world, place) = key::world_of(rest).ok()?;
    Some(match *listing {
        SESSIONS_BY_CREATED => {
            let id = SessionId::parse(str::from_utf8(place.get(8..)?).ok()?).ok()?;
            (Subject::Session(world, id), What::Listing)
        }
        SESSIONS_BY_STATE => {
            let id = SessionId::parse(str::from_utf8(place.get(9..)?).ok()?).ok()?;
            (Subject::Session(world, id), What::Listing)
        }
        USERS_BY_STATE => {
            let tag = UserTag(place.get(1..)?.try_into().ok()?);
            (Subject::User(world, tag), What::Listing)
        }
        ANOMALIES => (entry_of(place)?, What::Anomaly),
        _ => return None,
    })
}

/// Returns the entry whose anomaly stands at a place.
fn entry_of(place: &[u8]) -> Option<Subject> {
    let (sequence, _rule) = place.split_first_chunk()?;
    let sequence = SequenceNumber(!u64::from_be_bytes(*sequence));
    Some(Subject::Entry(sequence))
}

/// Returns the session that an anomaly of a world names.
pub(super) fn session_of_anomaly(key: &[u8], value: &[u8]) -> Option<(World, SessionId)> {
    let (_, rest) = key.split_first()?;
    let (world, place) = key::world_of(rest).ok()?;
    let session = anomaly_of_row(place, value).ok()?.session?;
    Some((world, session))
}

fn listing(which: u8, world: &World) -> Vec<u8> {
    let mut prefix = vec![which];
    prefix.append(&mut key::world(world));
    prefix
}
