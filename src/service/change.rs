//! What changes of a session, in words: the facts that are told of one, and the difference of two tellings.

use state_machine::anomaly::Anomaly;
use state_machine::attempt::{Attempt, Decline, Outcome};
use state_machine::id::{ErrorCode, SequenceNumber};
use state_machine::session::{Redaction, Session};
use state_machine::user::Standing;

use super::moment::moment;
use super::users::UserAnswer;
use crate::log::Custody;

/// What something changed of a session or a user, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which fact.
    pub what: &'static str,
    /// What it was; `-` for nothing.
    pub from: String,
    /// What it is.
    pub to: String,
}

/// What is told of a session, by name.
pub type SessionFacts = [(&'static str, String); 13];

/// Returns what is told of a session.
pub fn session_facts(session: &Session, custody: Custody) -> SessionFacts {
    let entry = |sequence: Option<SequenceNumber>| {
        text(sequence.map(|sequence| format!("entry {sequence}")))
    };
    let state = &session.state;
    let last_error = state.last_error();
    let last_error = last_error.map(|last| code_text(last.error.code.as_ref()).to_owned());
    let tag = session.user.as_ref().map(|user| tag_text(&user.tag.0));
    let report = session.report.as_ref().map(ToString::to_string);
    [
        ("status", state.name().as_str().to_owned()),
        ("since", text(state.since().map(moment))),
        ("last_error", text(last_error)),
        ("user", text(tag)),
        ("report", text(report)),
        ("attempts", list(session.attempts.iter().map(attempt))),
        ("declines", list(session.declines.iter().map(decline))),
        ("anomalies", list(session.anomalies.iter().map(rule))),
        ("redaction", redaction(session.redaction).to_owned()),
        ("reversed", session.reversed.to_string()),
        ("hold", entry(custody.hold)),
        ("erasure", entry(custody.erasure)),
        ("erased", entry(custody.done)),
    ]
}

/// What is told of a user, by name.
pub type UserFacts = [(&'static str, String); 8];

/// Returns what is told of a user, or of nobody.
pub fn user_facts(user: Option<&UserAnswer>) -> UserFacts {
    let standing = user.map(UserAnswer::standing);
    let of = |tell: &dyn Fn(&UserAnswer) -> String| text(user.map(tell));
    let since = standing.as_ref().and_then(Standing::since);
    [
        (
            "status",
            of(&|user| user.standing().status().as_str().to_owned()),
        ),
        ("since", text(since.map(moment))),
        (
            "session",
            text((standing.as_ref().and_then(Standing::current)).map(|(id, _)| id.to_string())),
        ),
        (
            "attempts",
            of(&|user| user.standing().attempts_total().to_string()),
        ),
        (
            "reversed",
            of(&|user| user.standing().is_reversed().to_string()),
        ),
        (
            "overrides",
            of(&|user| user.known.overrides.len().to_string()),
        ),
        (
            "decision",
            of(&|user| user.decision.outcome.as_str().to_owned()),
        ),
        ("policy", of(&|user| user.policy.hash.clone())),
    ]
}

/// Returns what two tellings differ in.
pub fn changes(before: &[(&'static str, String)], after: &[(&'static str, String)]) -> Vec<Change> {
    before
        .iter()
        .zip(after)
        .filter(|(before, after)| before != after)
        .map(|((what, from), (_, to))| Change {
            what,
            from: from.clone(),
            to: to.clone(),
        })
        .collect()
}

/// Returns a text, or what stands for nothing.
pub fn text(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// What a user's tag begins with as it is shown.
pub const TAG_PREFIX: &str = "tag_";

/// Returns a user's tag as it is shown.
pub fn tag_text(tag: &[u8; 16]) -> String {
    format!("{TAG_PREFIX}{}", hex::encode(tag))
}

/// Returns how far a redaction has come, in a word.
pub fn redaction(redaction: Redaction) -> &'static str {
    match redaction {
        Redaction::None => "none",
        Redaction::Pending => "pending",
        Redaction::Done => "done",
    }
}

fn attempt(attempt: &Attempt) -> String {
    match &attempt.outcome {
        Outcome::InProgress => "in_progress".to_owned(),
        Outcome::Failed { code, .. } => format!("failed {}", code_text(code.as_ref())),
        Outcome::Verified { .. } => "verified".to_owned(),
        Outcome::Unknown => "unknown".to_owned(),
    }
}

fn decline(decline: &Decline) -> String {
    code_text(decline.error.code.as_ref()).to_owned()
}

fn rule(anomaly: &Anomaly) -> String {
    anomaly.rule.as_str().to_owned()
}

fn code_text(code: Option<&ErrorCode>) -> &str {
    code.map_or("without a code", ErrorCode::as_str)
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.is_empty() {
        "-".to_owned()
    } else {
        items.join(", ")
    }
}
