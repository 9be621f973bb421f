//! What a replay tells of an entry, as a row: a line of JSON, or a few lines of text.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use state_machine::time::Timestamp;
use state_machine::transition::{Mark, Transition};

use super::replay::Step;
use super::replay_end::{NameRow, name};
use super::replay_override::OverrideRow;
use crate::log::access::{AccessFact, Accessed};
use crate::log::entry::{ErasureDoneFact, ErasureFact, Fact, SessionFact, Subject, SubjectName};
use crate::service::change::Change;
use crate::service::moment::moment;
use crate::stripe::decode::EventForm;
use crate::stripe::spelling;

/// An entry, and what it changed.
#[derive(Debug, Serialize)]
pub struct StepRow<'step> {
    object: &'static str,
    sequence: u64,
    received_at: i64,
    kind: &'static str,
    /// The fingerprint of the webhook secret that authenticated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(flatten)]
    session: Option<NameRow<'step>>,
    #[serde(flatten)]
    event: Option<EventRow<'step>>,
    #[serde(flatten)]
    made: Option<OverrideRow<'step>>,
    #[serde(flatten)]
    transition: Option<TransitionRow>,
    changes: Vec<ChangeRow>,
}

#[derive(Debug, Serialize)]
struct EventRow<'event> {
    event: &'event str,
    r#type: Option<&'static str>,
    created: i64,
    /// Why it is not folded.
    unfolded: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct TransitionRow {
    row: &'static str,
    mark: &'static str,
    /// The same as the transition table has it.
    #[serde(skip)]
    sign: char,
    from: &'static str,
    to: &'static str,
    meaning: &'static str,
    anomaly: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct ChangeRow {
    what: &'static str,
    from: String,
    to: String,
}

impl<'step> StepRow<'step> {
    /// Returns the row of a step.
    pub fn of(step: &'step Step<'_>) -> Self {
        let fact = &step.leaf.fact;
        let (kind, session, event) = match fact {
            Fact::Event(fact) => {
                let unfolded = match fact.form {
                    EventForm::Snapshot => None,
                    EventForm::Thin => Some("a thin event says nothing of its session"),
                };
                (
                    "event",
                    Some(name(&fact.world, &fact.session)),
                    Some(event(fact, unfolded)),
                )
            }
            Fact::Conflict(fact) => {
                let unfolded = Some("its event id stands in the log with other facts");
                (
                    "conflict",
                    Some(name(&fact.world, &fact.session)),
                    Some(event(fact, unfolded)),
                )
            }
            Fact::Unreadable(_) => ("unreadable", None, None),
            Fact::Erasure(ErasureFact { subject, .. }) => ("erasure", subject_name(subject), None),
            Fact::ErasureDone(ErasureDoneFact { subject, .. }) => {
                ("erasure_done", subject_name(subject), None)
            }
            Fact::Hold(subject) => ("hold", subject_name(subject), None),
            Fact::Release(subject) => ("release", subject_name(subject), None),
            Fact::Override(_) => ("override", None, None),
            Fact::Configuration(_) => ("configuration", None, None),
            Fact::Access(fact) => ("access", accessed_session(fact), None),
        };
        let changes = step.changes.iter().cloned();
        Self {
            object: "step",
            sequence: step.leaf.sequence.0,
            received_at: step.leaf.received_at.0.div_euclid(1000),
            kind,
            secret: step.leaf.secret.map(|secret| secret.to_string()),
            session,
            event,
            made: OverrideRow::of_entry(step.leaf),
            transition: step.transition.as_ref().map(TransitionRow::of),
            changes: changes
                .map(|Change { what, from, to }| ChangeRow { what, from, to })
                .collect(),
        }
    }
}

impl StepRow<'_> {
    /// Returns the name of the entry's kind.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }
}

impl TransitionRow {
    fn of(transition: &Transition) -> Self {
        Self {
            row: transition.row,
            mark: match transition.mark {
                Mark::Expected => "expected",
                Mark::Inferred => "inferred",
                Mark::Anomaly(_) => "anomaly",
            },
            sign: transition.mark.sign(),
            from: transition.from.as_str(),
            to: transition.to.as_str(),
            meaning: transition.meaning,
            anomaly: match transition.mark {
                Mark::Expected | Mark::Inferred => None,
                Mark::Anomaly(rule) => Some(rule.as_str()),
            },
        }
    }
}

fn accessed_session(fact: &AccessFact) -> Option<NameRow<'_>> {
    match &fact.on {
        Accessed::Session(world, session) => Some(name(world, session)),
        Accessed::Everything
        | Accessed::World(_)
        | Accessed::User(..)
        | Accessed::Entries { .. } => None,
    }
}

fn subject_name(subject: &Subject) -> Option<NameRow<'_>> {
    match &subject.name {
        SubjectName::Session(world, session) => Some(name(world, session)),
        SubjectName::Entry(_) => None,
    }
}

fn event<'event>(fact: &'event SessionFact, unfolded: Option<&'static str>) -> EventRow<'event> {
    EventRow {
        event: fact.event.id.as_str(),
        r#type: spelling::event_type_name(fact.event.event_type),
        created: fact.event.created.0,
        unfolded,
    }
}

impl Display for StepRow<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let received = moment(Timestamp(self.received_at));
        write!(to, "{}  {received}  {}", self.sequence, self.kind)?;
        if let Some(NameRow { session, .. }) = &self.session {
            write!(to, "  {session}")?;
        }
        if let Some(event) = &self.event {
            let (kind, at) = (
                event.r#type.unwrap_or("observed"),
                moment(Timestamp(event.created)),
            );
            write!(to, "  {kind} {} of {at}", event.event)?;
        }
        if let Some(made) = &self.made {
            write!(to, "  {made}")?;
        }
        writeln!(to)?;
        if let Some(unfolded) = self.event.as_ref().and_then(|event| event.unfolded) {
            writeln!(to, "    not folded: {unfolded}")?;
        }
        if let Some(row) = &self.transition {
            let TransitionRow {
                sign,
                row: id,
                from,
                to: target,
                meaning,
                ..
            } = row;
            writeln!(to, "    {sign} {id}: {from} → {target}")?;
            writeln!(to, "      {meaning}")?;
        }
        self.changes.iter().try_for_each(
            |ChangeRow {
                 what,
                 from,
                 to: now,
             }| writeln!(to, "    {what}: {from} → {now}"),
        )
    }
}
