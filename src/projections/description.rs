//! Describing a difference of two rows in words that name no personal data.

use state_machine::session::project;

use super::comparison::{Difference, Subject, What};
use super::key;
use super::listing;
use super::record::{SessionRecord, UserRecord};
use super::stored::DamagedRecord;

/// Two rows of one key.
pub(super) struct Described<'rows> {
    pub(super) keyspace: &'static str,
    pub(super) key: &'rows [u8],
    pub(super) before: Option<&'rows [u8]>,
    pub(super) after: Option<&'rows [u8]>,
}

const NOT_STORED: &str = "it was not stored";
const NOT_IN_LOG: &str = "nothing in the log says so";
const UNREADABLE: &str = "what was stored cannot be read";

/// Says whose rows they are, and in what they differ.
pub(super) fn describe(rows: &Described<'_>) -> Difference {
    match rows.keyspace {
        "sessions" => session(rows),
        "users" => user(rows),
        _ => listed(rows),
    }
}

fn session(rows: &Described<'_>) -> Difference {
    let (before, after) = decoded(rows, SessionRecord::decode);
    let words = |record: &SessionRecord| {
        let session = project(&record.history);
        let mut words = format!(
            "{}, {} events",
            session.state.name().as_str(),
            session.events
        );
        if !record.unfolded.is_empty() {
            words = format!("{words}, {} not folded", record.unfolded.len());
        }
        words
    };
    let why = match (&before, &after) {
        (Some(Ok(before)), Some(Ok(after))) => {
            let is_in = |record: &SessionRecord, other: &SessionRecord| {
                let events = record.history.events();
                events
                    .filter(|event| other.history.find(&event.id).is_none())
                    .count()
            };
            match (is_in(after, before), is_in(before, after)) {
                (0, 0) => "the same events were stored with other facts".to_owned(),
                (lacked, 0) => format!("{lacked} events of the log were missing"),
                (0, strange) => format!("{strange} events were stored that the log does not have"),
                (lacked, strange) => {
                    format!(
                        "{lacked} events of the log were missing, and {strange} were not its own"
                    )
                }
            }
        }
        _ => absent(rows).to_owned(),
    };
    let subject = key::session_of(rows.key).map(|(world, id)| Subject::Session(world, id));
    difference(subject, What::Record, (before, after), words, why)
}

fn user(rows: &Described<'_>) -> Difference {
    let (before, after) = decoded(rows, UserRecord::decode);
    let words = |record: &UserRecord| {
        let status = record
            .listed_as
            .map_or("no status", |status| status.as_str());
        let (sessions, overrides) = (record.sessions.len(), record.overrides.len());
        format!("{status}, {sessions} sessions, {overrides} overrides")
    };
    let why = match (&before, &after) {
        (Some(Ok(before)), Some(Ok(after))) if before.sessions != after.sessions => {
            "other sessions were stored as theirs"
        }
        (Some(Ok(before)), Some(Ok(after))) if before.overrides != after.overrides => {
            "other overrides were stored"
        }
        (Some(Ok(_)), Some(Ok(_))) => "another status was stored",
        _ => absent(rows),
    };
    let subject = key::user_of(rows.key).map(|(world, tag)| Subject::User(world, tag));
    difference(
        subject,
        What::Record,
        (before, after),
        words,
        why.to_owned(),
    )
}

fn listed(rows: &Described<'_>) -> Difference {
    let (subject, what) = listing::subject_of(rows.key).unwrap_or((Subject::Nobody, What::Listing));
    let words = |row: Option<&[u8]>| row.map(|_| "listed".to_owned());
    Difference {
        subject,
        what,
        before: words(rows.before),
        after: words(rows.after),
        why: match (rows.before, rows.after) {
            (Some(_), Some(_)) => "it was listed with other facts",
            _ => absent(rows),
        }
        .to_owned(),
    }
}

type Read<R> = Option<Result<R, DamagedRecord>>;

fn decoded<R>(
    rows: &Described<'_>,
    decode: impl Fn(&[u8]) -> Result<R, DamagedRecord>,
) -> (Read<R>, Read<R>) {
    (rows.before.map(&decode), rows.after.map(&decode))
}

/// Says why one side has nothing to be compared.
fn absent(rows: &Described<'_>) -> &'static str {
    match (rows.before, rows.after) {
        (None, _) => NOT_STORED,
        (Some(_), None) => NOT_IN_LOG,
        (Some(_), Some(_)) => UNREADABLE,
    }
}

fn difference<R>(
    subject: Result<Subject, DamagedRecord>,
    what: What,
    (before, after): (Read<R>, Read<R>),
    words: impl Fn(&R) -> String,
    why: String,
) -> Difference {
    let said = |read: Read<R>| {
        let unreadable = |_| "unreadable".to_owned();
        read.map(|record| record.map_or_else(unreadable, |record| words(&record)))
    };
    Difference {
        subject: subject.unwrap_or(Subject::Nobody),
        what,
        before: said(before),
        after: said(after),
        why,
    }
}
