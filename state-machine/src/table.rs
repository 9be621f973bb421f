//! The transition table: total, one row a line, each row or branch of a row with a stable id.
//!
//! There is no "reject": Stripe decides. An event that the table does not expect is followed, or kept as an anomaly.

use crate::anomaly::Rule;
use crate::event::{Event, EventType, RedactionStatus, Status};
use crate::id::ReportId;
use crate::transition::{LastErrorAt, Mark, State, StateName};

/// A row of the table, or a branch of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// `from/event`, with `:branch` where the row has several; stable, since explanations are kept by others.
    pub id: &'static str,
    /// How expected the event is.
    pub mark: Mark,
    /// The state after.
    pub to: StateName,
    /// What the row means, in one sentence.
    pub meaning: &'static str,
}

/// Takes the step that the table has for this event in this state.
pub fn step(state: State, event: &Event, report_is_new: bool) -> (Row, State) {
    let row = row(state.name(), event, report_is_new);
    let next = match row.mark {
        Mark::Expected | Mark::Inferred => enter(row.to, state, event),
        Mark::Anomaly(_) => state,
    };
    (row, next)
}

macro_rules! row {
    ($mark:expr, $id:literal, $to:ident, $meaning:literal) => {
        Row {
            id: $id,
            mark: $mark,
            to: StateName::$to,
            meaning: $meaning,
        }
    };
}
macro_rules! expected { ($($row:tt)*) => { row!(Mark::Expected, $($row)*) }; }
macro_rules! inferred { ($($row:tt)*) => { row!(Mark::Inferred, $($row)*) }; }
macro_rules! anomaly { ($rule:ident, $($row:tt)*) => { row!(Mark::Anomaly(Rule::$rule), $($row)*) }; }

/// Returns the row for this event in this state. `report_is_new` says that the event names a report which no verdict
/// before it has named.
#[rustfmt::skip] // a table is read by its lines
pub fn row(from: StateName, event: &Event, report_is_new: bool) -> Row {
    use {EventType as On, StateName as From};
    let by_redaction = event.redaction.is_some();
    let has_known_report = event.report.is_some() && !report_is_new;
    match (from, event.event_type) {
        (From::Unseen, On::Created) => expected!("unseen/created", RequiresInput, "The session is born, and waits for the user."),
        (From::Unseen, On::Processing) => inferred!("unseen/processing", Processing, "A submission is being checked; the session's creation was not seen."),
        (From::Unseen, On::RequiresInput) => inferred!("unseen/requires_input", RequiresInput, "The user has to act; nothing before that was seen."),
        (From::Unseen, On::Verified) => inferred!("unseen/verified", Verified, "The user is verified; nothing before that was seen."),
        (From::Unseen, On::Observed) => observed(from, event),
        (From::Unseen, On::Canceled) => inferred!("unseen/canceled", Canceled, "The session was canceled; nothing before that was seen."),
        (From::Unseen, On::Redacted) => inferred!("unseen/redacted", Redacted, "The session was redacted; nothing before that was seen."),

        (From::RequiresInput, On::Created) => anomaly!(CreatedAfterRequiresInput, "requires_input/created", RequiresInput, "A session is created once; this one waits for the user already."),
        (From::RequiresInput, On::Processing) => expected!("requires_input/processing", Processing, "The user submitted, and Stripe checks."),
        (From::RequiresInput, On::RequiresInput) if report_is_new => inferred!("requires_input/requires_input:new_report", RequiresInput, "A submission failed; its processing was not seen."),
        (From::RequiresInput, On::RequiresInput) => expected!("requires_input/requires_input:no_new_report", RequiresInput, "The user still has to act, and no check took place: a decline, or the same verdict again."),
        (From::RequiresInput, On::Verified) if has_known_report => expected!("requires_input/verified:override", Verified, "A reviewer verified a report that had failed."),
        (From::RequiresInput, On::Verified) => inferred!("requires_input/verified:processing_not_seen", Verified, "A submission verified the user; its processing was not seen."),
        (From::RequiresInput, On::Observed) => observed(from, event),
        (From::RequiresInput, On::Canceled) => expected!("requires_input/canceled", Canceled, "The session was closed before it came to anything."),
        (From::RequiresInput, On::Redacted) => inferred!("requires_input/redacted", Redacted, "The session was redacted; that redaction canceled it was not seen."),

        (From::Processing, On::Created) => anomaly!(CreatedAfterProcessing, "processing/created", Processing, "A session is created before anything is submitted to it."),
        (From::Processing, On::Processing) => anomaly!(ProcessingRepeated, "processing/processing", Processing, "A submission is being checked already."),
        (From::Processing, On::RequiresInput) => expected!("processing/requires_input", RequiresInput, "The check failed, and the user has to act."),
        (From::Processing, On::Verified) => expected!("processing/verified", Verified, "The check succeeded: the user is verified."),
        (From::Processing, On::Observed) => observed(from, event),
        (From::Processing, On::Canceled) => inferred!("processing/canceled", Canceled, "The session was canceled, which needs a failed check that was not seen."),
        (From::Processing, On::Redacted) => inferred!("processing/redacted", Redacted, "The session was redacted, which needs a verdict that was not seen."),

        (From::Verified, On::Created) => anomaly!(CreatedAfterVerified, "verified/created", Verified, "A session is created before it is verified."),
        (From::Verified, On::Processing) => anomaly!(ProcessingAfterVerified, "verified/processing", Verified, "A verified session takes no submission; this one comes late."),
        (From::Verified, On::RequiresInput) => expected!("verified/requires_input", RequiresInput, "A reviewer took the verification back: a reversal."),
        (From::Verified, On::Verified) => expected!("verified/verified", Verified, "The user is still verified."),
        (From::Verified, On::Observed) => observed(from, event),
        (From::Verified, On::Canceled) if by_redaction => expected!("verified/canceled:by_redaction", Verified, "The verified session is being redacted, and is verified until that is done."),
        (From::Verified, On::Canceled) => anomaly!(CanceledAfterVerified, "verified/canceled:not_by_redaction", Verified, "A verified session can be redacted, but not canceled."),
        (From::Verified, On::Redacted) => expected!("verified/redacted", Redacted, "The verified session's personal data is gone at Stripe."),

        (From::Canceled, On::Created) => anomaly!(CreatedAfterCanceled, "canceled/created", Canceled, "A session is created before it is canceled."),
        (From::Canceled, On::Processing) => anomaly!(ProcessingAfterCanceled, "canceled/processing", Canceled, "A canceled session takes no submission."),
        (From::Canceled, On::RequiresInput) => anomaly!(RequiresInputAfterCanceled, "canceled/requires_input", Canceled, "A canceled session asks for nothing."),
        (From::Canceled, On::Verified) => anomaly!(VerifiedAfterCanceled, "canceled/verified", Canceled, "A canceled session verifies nobody."),
        (From::Canceled, On::Observed) => observed(from, event),
        (From::Canceled, On::Canceled) if by_redaction => expected!("canceled/canceled:by_redaction", Canceled, "The canceled session is being redacted."),
        (From::Canceled, On::Canceled) => anomaly!(CanceledRepeated, "canceled/canceled:repeated", Canceled, "A session is canceled once."),
        (From::Canceled, On::Redacted) => expected!("canceled/redacted", Redacted, "The canceled session's personal data is gone at Stripe."),

        (From::Redacted, On::Created) => anomaly!(CreatedAfterRedacted, "redacted/created", Redacted, "Redaction is final: a session is created before it."),
        (From::Redacted, On::Processing) => anomaly!(ProcessingAfterRedacted, "redacted/processing", Redacted, "Redaction is final: nothing is submitted after it."),
        (From::Redacted, On::RequiresInput) => anomaly!(RequiresInputAfterRedacted, "redacted/requires_input", Redacted, "Redaction is final: nothing is asked for after it."),
        (From::Redacted, On::Verified) => anomaly!(VerifiedAfterRedacted, "redacted/verified", Redacted, "Redaction is final: nobody is verified after it."),
        (From::Redacted, On::Observed) => observed(from, event),
        (From::Redacted, On::Canceled) => anomaly!(CanceledAfterRedacted, "redacted/canceled", Redacted, "Redaction is final: it cancels a session before it is done, never after."),
        (From::Redacted, On::Redacted) => expected!("redacted/redacted", Redacted, "The session's personal data is still gone."),
    }
}

/// Returns the row for a snapshot that we fetched: it sets the status that it states, from any state but redacted.
#[rustfmt::skip] // a table is read by its lines
fn observed(from: StateName, event: &Event) -> Row {
    use StateName as From;
    let is_redacted = event.redaction == Some(RedactionStatus::Redacted);
    let stated = stated(event.status.as_ref());
    let is_same = stated == Ok(from);
    match (from, stated) {
        (From::Unseen, Ok(to)) => Row { to, ..inferred!("unseen/observed:status", Unseen, "We fetched the session; nothing before that was seen.") },
        (From::Unseen, Err(rule)) => Row { mark: Mark::Anomaly(rule), ..expected!("unseen/observed:no_known_status", Unseen, "We fetched the session, and its status says nothing to us.") },
        (From::RequiresInput, Ok(_)) if is_same => expected!("requires_input/observed:same", RequiresInput, "We fetched the session, and it still waits for the user."),
        (From::RequiresInput, Ok(to)) => Row { to, ..inferred!("requires_input/observed:changed", RequiresInput, "We fetched the session, and it had moved on unseen.") },
        (From::RequiresInput, Err(rule)) => Row { mark: Mark::Anomaly(rule), ..expected!("requires_input/observed:no_known_status", RequiresInput, "We fetched the session, and its status says nothing to us.") },
        (From::Processing, Ok(_)) if is_same => expected!("processing/observed:same", Processing, "We fetched the session, and it is still being checked."),
        (From::Processing, Ok(to)) => Row { to, ..inferred!("processing/observed:changed", Processing, "We fetched the session, and it had moved on unseen.") },
        (From::Processing, Err(rule)) => Row { mark: Mark::Anomaly(rule), ..expected!("processing/observed:no_known_status", Processing, "We fetched the session, and its status says nothing to us.") },
        (From::Verified, Ok(_)) if is_same => expected!("verified/observed:same", Verified, "We fetched the session, and it is still verified."),
        (From::Verified, Ok(to)) => Row { to, ..inferred!("verified/observed:changed", Verified, "We fetched the session, and its verification had been taken back unseen.") },
        (From::Verified, Err(rule)) => Row { mark: Mark::Anomaly(rule), ..expected!("verified/observed:no_known_status", Verified, "We fetched the session, and its status says nothing to us.") },
        (From::Canceled, Ok(_)) if is_same => expected!("canceled/observed:same", Canceled, "We fetched the session, and it is still canceled."),
        (From::Canceled, Ok(to)) => Row { to, ..inferred!("canceled/observed:changed", Canceled, "We fetched the session, and it is not canceled after all.") },
        (From::Canceled, Err(rule)) => Row { mark: Mark::Anomaly(rule), ..expected!("canceled/observed:no_known_status", Canceled, "We fetched the session, and its status says nothing to us.") },
        (From::Redacted, _) if is_redacted => expected!("redacted/observed:redacted", Redacted, "We fetched the session, and it is redacted whatever status it keeps."),
        (From::Redacted, _) => anomaly!(ObservedAfterRedacted, "redacted/observed:not_redacted", Redacted, "Redaction is final: a snapshot after it says that it is done."),
    }
}

/// Returns the state that a snapshot states, or the rule that it breaks by stating none.
fn stated(status: Option<&Status>) -> Result<StateName, Rule> {
    match status {
        Some(Status::RequiresInput) => Ok(StateName::RequiresInput),
        Some(Status::Processing) => Ok(StateName::Processing),
        Some(Status::Verified) => Ok(StateName::Verified),
        Some(Status::Canceled) => Ok(StateName::Canceled),
        Some(Status::Other(_)) => Err(Rule::StatusUnknown),
        None => Err(Rule::StatusMissing),
    }
}

/// Enters a state by an event, or stays in it: then its time stands, and what the snapshot says is taken over.
fn enter(to: StateName, from: State, event: &Event) -> State {
    let at = if from.name() == to {
        from.since()
    } else {
        None
    }
    .unwrap_or(event.created);
    match to {
        StateName::Unseen => from,
        StateName::RequiresInput => State::RequiresInput {
            since: at,
            last_error: last_error(from, event),
        },
        StateName::Processing => State::Processing { since: at },
        StateName::Verified => State::Verified {
            at,
            report: proof(from, event),
        },
        StateName::Canceled => State::Canceled {
            at,
            by_redaction: match from {
                State::Canceled { by_redaction, .. } => by_redaction,
                State::Unseen
                | State::RequiresInput { .. }
                | State::Processing { .. }
                | State::Verified { .. }
                | State::Redacted { .. } => event.redaction.is_some(),
            },
        },
        StateName::Redacted => State::Redacted { at },
    }
}

/// Returns the snapshot's last error: a null clears it, and an observation that repeats it keeps its time.
fn last_error(from: State, event: &Event) -> Option<LastErrorAt> {
    let error = event.last_error.as_ref()?;
    if let (
        EventType::Observed,
        State::RequiresInput {
            last_error: Some(known),
            ..
        },
    ) = (event.event_type, from)
        && known.error == *error
    {
        return Some(known);
    }
    Some(LastErrorAt {
        error: error.clone(),
        at: event.created,
    })
}

/// Returns the report that proves a verification: the snapshot's, else the one that proved it before.
fn proof(from: State, event: &Event) -> Option<ReportId> {
    match (&event.report, from) {
        (None, State::Verified { report, .. }) => report,
        (report, _) => report.clone(),
    }
}
