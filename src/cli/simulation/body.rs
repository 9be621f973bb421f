//! The bodies of Stripe's events, byte for byte in Stripe's layout: two spaces of indentation, every field of the API.
//!
//! They hold no personal data, and their ids are hashes of what they name, so that one population never has two
//! events of one id, and always the same ones.

use serde_json::Value;
use sha2::{Digest, Sha256};
use state_machine::time::Timestamp;

use super::scenario::{Change, Step};

/// A valid JSON document whose strings that start with `$` are replaced.
const TEMPLATE: &str = include_str!("event.json");

/// What an event says beside its scenario's step.
pub(super) struct Particulars<'user> {
    /// What its ids are derived from, unique to the user.
    pub(super) namespace: &'user str,
    /// The user reference.
    pub(super) user: &'user str,
    /// When the user's scenario starts.
    pub(super) start: Timestamp,
    /// When the step's session was created, in seconds after that.
    pub(super) session_at: u16,
    /// The step's place in the scenario.
    pub(super) index: usize,
}

/// Returns the body of a step's event.
pub(super) fn body(step: &Step, particulars: &Particulars<'_>) -> String {
    let Particulars {
        namespace,
        user,
        start,
        session_at,
        index,
    } = *particulars;
    let facts = Facts::of(step.change);
    let at = |seconds: u16| start.plus_seconds(i64::from(seconds)).0.to_string();
    let report = facts
        .report
        .map(|report| id("vr", namespace, &format!("{}/{report}", step.session)));
    let user = (!facts.is_redaction()).then_some(user);
    let fields = [
        ("$event", text(&id("evt", namespace, &index.to_string()))),
        ("$created", at(step.at)),
        ("$session_created", at(session_at)),
        ("$session", text(&session_id(namespace, step.session))),
        ("$client_reference_id", optional(user)),
        ("$last_error", facts.error.map_or_else(null, last_error)),
        ("$report", optional(report.as_deref())),
        ("$metadata", user.map_or_else(|| "{}".to_owned(), metadata)),
        (
            "$redaction",
            facts
                .redaction
                .map_or_else(null, |status| object("status", status)),
        ),
        ("$status", text(facts.status)),
        ("$request", text(&id("req", namespace, &index.to_string()))),
        (
            "$type",
            text(&format!("identity.verification_session.{}", facts.event)),
        ),
    ];
    fields
        .iter()
        .fold(TEMPLATE.trim_end().to_owned(), |body, (name, value)| {
            body.replace(&format!("\"{name}\""), value)
        })
}

/// Returns the id of one of the user's sessions.
pub(super) fn session_id(namespace: &str, session: u8) -> String {
    id("vs", namespace, &session.to_string())
}

/// What a change looks like in Stripe's words.
struct Facts {
    event: &'static str,
    status: &'static str,
    report: Option<u8>,
    error: Option<&'static str>,
    redaction: Option<&'static str>,
}

impl Facts {
    #[rustfmt::skip] // a table is read by its lines
    fn of(change: Change) -> Self {
        let (event, status, report, error, redaction) = match change {
            Change::Created => ("created", "requires_input", None, None, None),
            Change::Processing => ("processing", "processing", None, None, None),
            Change::Failed(report, code) => ("requires_input", "requires_input", Some(report), Some(code), None),
            Change::Declined(code) => ("requires_input", "requires_input", None, Some(code), None),
            Change::Verified(report) => ("verified", "verified", Some(report), None, None),
            Change::Canceled => ("canceled", "canceled", None, None, None),
            // Stripe announces redaction as a cancelation, and leaves a verified session's status as it is.
            Change::RedactionBegun(report) => ("canceled", "verified", Some(report), None, Some("processing")),
            Change::Redacted(report) => ("redacted", "verified", Some(report), None, Some("redacted")),
        };
        Self { event, status, report, error, redaction }
    }

    /// Returns whether Stripe has erased the metadata.
    fn is_redaction(&self) -> bool {
        self.redaction.is_some()
    }
}

/// Returns an id in Stripe's shape.
fn id(prefix: &str, namespace: &str, name: &str) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHJKMNPQRSTVWXYZabcdefghjk";
    let digest = Sha256::digest(format!("{prefix}/{namespace}/{name}"));
    let letters = digest
        .iter()
        .take(23)
        .filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
    let letters: String = letters.copied().map(char::from).collect();
    format!("{prefix}_1{letters}")
}

fn text(text: &str) -> String {
    Value::from(text).to_string()
}

fn optional(value: Option<&str>) -> String {
    Value::from(value).to_string()
}

fn null() -> String {
    Value::Null.to_string()
}

fn last_error(code: &str) -> String {
    format!(
        "{{\n        \"code\": {},\n        \"reason\": {}\n      }}",
        text(code),
        text("A synthetic reason: in a real event, Stripe explains here what was wrong.")
    )
}

fn metadata(user: &str) -> String {
    format!(
        "{{\n        \"flow\": \"synthetic\",\n        \"user_id\": {}\n      }}",
        text(user)
    )
}

fn object(key: &str, value: &str) -> String {
    format!("{{\n        {}: {}\n      }}", text(key), text(value))
}
