//! A session while its entries are replayed: folded anew with each of them.

use state_machine::anomaly::Anomaly;
use state_machine::attempt::{Attempt, Decline, Outcome};
use state_machine::history::{History, Recorded};
use state_machine::id::ErrorCode;
use state_machine::session::{Redaction, Session, explain, project};
use state_machine::transition::Transition;

use crate::log::Custody;
use crate::log::entry::{Fact, Leaf};
use crate::service::moment::moment;
use crate::stripe::decode::EventForm;

/// What an entry changed of its session, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which fact about the session.
    pub what: &'static str,
    /// What it was; `-` for nothing.
    pub from: String,
    /// What it is.
    pub to: String,
}

/// What is known of a session so far.
#[derive(Default)]
pub(super) struct ReplayedSession {
    history: History,
    custody: Custody,
}

impl ReplayedSession {
    /// Takes an entry in; returns the step that its event makes in the fold, and what changed.
    pub(super) fn take_in(&mut self, leaf: &Leaf) -> (Option<Transition>, Vec<Change>) {
        let before = self.facts();
        let transition = match &leaf.fact {
            Fact::Event(fact) if fact.form == EventForm::Snapshot => {
                let arrival = leaf.arrival();
                let event = fact.event.clone();
                let id = event.id.clone();
                self.history.insert(Recorded { event, arrival });
                let mut steps = explain(&self.history).into_iter();
                steps.find(|step| step.event == id)
            }
            Fact::Event(_)
            | Fact::Conflict(_)
            | Fact::Unreadable(_)
            | Fact::Erasure(_)
            | Fact::ErasureDone(_)
            | Fact::Hold(_)
            | Fact::Release(_)
            | Fact::Override(_) => None,
        };
        self.custody = self.custody.after(leaf.sequence, &leaf.fact);
        (transition, changes(&before, &self.facts()))
    }

    pub(super) fn into_end(self) -> (Session, Custody) {
        (project(&self.history), self.custody)
    }

    /// Returns what can change, by name.
    fn facts(&self) -> [(&'static str, String); 13] {
        let session = project(&self.history);
        let custody = self.custody;
        let text = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let entry =
            |sequence: Option<_>| text(sequence.map(|sequence| format!("entry {sequence}")));
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

/// Returns a user's tag as it is shown.
pub(super) fn tag_text(tag: &[u8; 16]) -> String {
    format!("tag_{}", hex::encode(tag))
}

/// Returns how far a redaction has come, in a word.
pub(super) fn redaction(redaction: Redaction) -> &'static str {
    match redaction {
        Redaction::None => "none",
        Redaction::Pending => "pending",
        Redaction::Done => "done",
    }
}

fn changes(before: &[(&'static str, String)], after: &[(&'static str, String)]) -> Vec<Change> {
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
