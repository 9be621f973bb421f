//! The projection of one session: what the fold of its history yields.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::anomaly::{self, Anomaly, Rule};
use crate::attempt::{Attempt, Decline, Tally};
use crate::event::{Event, EventType, RedactionStatus};
use crate::history::History;
use crate::id::{ErrorCode, EventId, ReportId, UserTag};
use crate::table::{self, Row};
use crate::time::Timestamp;
use crate::transition::{Mark, State, StateName, Transition};

/// How far the erasure of a session's personal data at Stripe has come; it never goes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Redaction {
    /// Nobody asked for it.
    #[default]
    None,
    /// Asked for; it takes up to four days.
    Pending,
    /// Done.
    Done,
}

/// The projection of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Where it stands.
    pub state: State,
    /// When it was created at Stripe, as far as its events tell.
    pub created: Timestamp,
    /// How far its redaction has come.
    pub redaction: Redaction,
    /// Whom it belongs to, and the event that says so (the last in canonical order that names anyone).
    pub user: Option<NamedUser>,
    /// The last report that an event named.
    pub report: Option<ReportId>,
    /// Its attempts, in the order in which they were first seen.
    pub attempts: Vec<Attempt>,
    /// Its declines, in order.
    pub declines: Vec<Decline>,
    /// Whether it was verified, and that was taken back.
    pub reversed: bool,
    /// How many events were folded.
    pub events: u32,
    /// What was strange, in canonical order.
    pub anomalies: Vec<Anomaly>,
}

impl Session {
    /// Returns how many declines there were of each code; `None` where Stripe gave no code.
    pub fn declines_by_code(&self) -> BTreeMap<Option<&ErrorCode>, u32> {
        let mut counts = BTreeMap::new();
        for decline in &self.declines {
            let count = counts.entry(decline.error.code.as_ref()).or_insert(0_u32);
            *count = count.saturating_add(1);
        }
        counts
    }
}

/// A user, and the event that names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedUser {
    /// The user.
    pub tag: UserTag,
    /// The event whose payload holds the reference in full.
    pub named_by: EventId,
}

/// Folds a history in canonical order. Total: every history has a projection.
pub fn project(history: &History) -> Session {
    let mut fold = Fold::default();
    for event in history.events() {
        fold.step(event);
    }
    fold.finish()
}

/// Folds a history as [`project`] does, and returns each step.
pub fn explain(history: &History) -> Vec<Transition> {
    let mut fold = Fold::default();
    let explained = |event| {
        let (from, row) = fold.step(event);
        Transition {
            row: row.id,
            mark: row.mark,
            event: event.id.clone(),
            event_type: event.event_type,
            at: event.created,
            from,
            to: row.to,
            meaning: row.meaning,
        }
    };
    history.events().map(explained).collect()
}

/// A session as far as it is folded.
#[derive(Default)]
struct Fold<'history> {
    state: State,
    first_event: Option<Timestamp>,
    session_created: Option<Timestamp>,
    redaction: Redaction,
    named: Option<(UserTag, &'history EventId)>,
    report: Option<&'history ReportId>,
    tally: Tally<'history>,
    reversed: bool,
    events: u32,
    anomalies: Vec<Anomaly>,
}

impl<'history> Fold<'history> {
    fn step(&mut self, event: &'history Event) -> (StateName, Row) {
        let from = self.state.name();
        let report_is_new = self.tally.is_new(event.report.as_ref());
        let (row, state) = table::step(core::mem::take(&mut self.state), event, report_is_new);
        self.state = state;
        self.reversed = is_reversed(self.reversed, from, row.to);
        self.tally.add(event);
        self.take_over(event);
        if let Mark::Anomaly(rule) = row.mark {
            self.anomalies.push(Anomaly::of(rule, event));
        }
        if let Some(rule) = anomaly::of_status(event) {
            self.anomalies.push(Anomaly::of(rule, event));
        }
        (from, row)
    }

    /// Takes over what a snapshot says beside its status.
    fn take_over(&mut self, event: &'history Event) {
        self.events = self.events.saturating_add(1);
        self.first_event = self.first_event.or(Some(event.created));
        self.redaction = self.redaction.max(redaction(event));
        self.report = event.report.as_ref().or(self.report);
        if let Some(created) = event.session_created
            && *self.session_created.get_or_insert(created) != created
        {
            self.anomalies
                .push(Anomaly::of(Rule::SessionCreatedChanged, event));
        }
        if let Some(tag) = event.user {
            if self.named.is_some_and(|(known, _)| known != tag) {
                self.anomalies.push(Anomaly::of(Rule::UserChanged, event));
            }
            self.named = Some((tag, &event.id));
        }
    }

    fn finish(self) -> Session {
        let is_processing = self.state.name() == StateName::Processing;
        let (attempts, declines) = self.tally.finish(is_processing);
        Session {
            state: self.state,
            created: self
                .session_created
                .or(self.first_event)
                .unwrap_or(Timestamp(0)),
            redaction: self.redaction,
            user: self.named.map(|(tag, event)| NamedUser {
                tag,
                named_by: event.clone(),
            }),
            report: self.report.cloned(),
            attempts,
            declines,
            reversed: self.reversed,
            events: self.events,
            anomalies: self.anomalies,
        }
    }
}

/// Says whether a verification stands taken back after a step; redaction takes nothing back.
fn is_reversed(was: bool, from: StateName, to: StateName) -> bool {
    match to {
        StateName::Verified => false,
        StateName::RequiresInput | StateName::Processing | StateName::Canceled => {
            was || from == StateName::Verified
        }
        StateName::Unseen | StateName::Redacted => was,
    }
}

/// Returns how far an event says that redaction has come.
fn redaction(event: &Event) -> Redaction {
    match (&event.redaction, event.event_type) {
        (_, EventType::Redacted) | (Some(RedactionStatus::Redacted), _) => Redaction::Done,
        (Some(RedactionStatus::Processing | RedactionStatus::Other(_)), _) => Redaction::Pending,
        (None, _) => Redaction::None,
    }
}
