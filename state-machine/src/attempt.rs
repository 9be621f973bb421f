//! Attempts: the least number of submissions that explains a session's facts.
//!
//! Events get lost, so a count has to be a lower bound which facts can only raise: it never exceeds the submissions
//! that there were, and never falls as facts arrive (`docs/decisions/0001-…`). It does not depend on the status.

use alloc::vec::Vec;

use crate::event::{Event, EventType, LastError, Status};
use crate::id::{ErrorCode, ReportId};
use crate::time::Timestamp;

/// One submission that Stripe checked, or is checking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it was first seen: its `processing`, else the verdict that first names its report.
    pub at: Timestamp,
    /// Its report, once a verdict named it.
    pub report: Option<ReportId>,
    /// How it ended, as the last verdict on it says.
    pub outcome: Outcome,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is being checked.
    InProgress,
    /// It was checked, and the user has to act.
    Failed {
        /// When the verdict came.
        at: Timestamp,
        /// What was wrong; `None` where Stripe gave no code.
        code: Option<ErrorCode>,
    },
    /// It verified the user.
    Verified {
        /// When the verdict came.
        at: Timestamp,
    },
    /// Its verdict was not seen, and it is no longer being checked.
    Unknown,
}

/// A refusal before any check took place; not an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub error: LastError,
}

/// The attempts and declines of the events so far, in canonical order.
#[derive(Default)]
pub(crate) struct Tally<'history> {
    attempts: Vec<Attempt>,
    declines: Vec<Decline>,
    latest: Latest,
    last_error: Option<&'history LastError>,
}

/// Whether the attempt that was seen last is still being checked. No other can be.
#[derive(Default, Clone, Copy)]
enum Latest {
    #[default]
    None,
    Open,
    /// `certainly_at` is when a verdict came that cannot have preceded the submission.
    Closed {
        certainly_at: Option<Timestamp>,
    },
}

/// What a verdict says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Failed,
    Verified,
}

impl<'history> Tally<'history> {
    /// Returns whether the event names a report which no verdict before it has named.
    pub(crate) fn is_new(&self, report: Option<&ReportId>) -> bool {
        report.is_some_and(|report| self.position(report).is_none())
    }

    /// Takes in the next event in canonical order.
    pub(crate) fn add(&mut self, event: &'history Event) {
        match event.event_type {
            EventType::Processing => self.processing(event),
            EventType::RequiresInput => self.verdict(event, Verdict::Failed),
            EventType::Verified => self.verdict(event, Verdict::Verified),
            EventType::Observed => match &event.status {
                Some(Status::Processing) => self.processing(event),
                Some(Status::RequiresInput) => self.verdict(event, Verdict::Failed),
                Some(Status::Verified) => self.verdict(event, Verdict::Verified),
                Some(Status::Canceled | Status::Other(_)) | None => {}
            },
            EventType::Created | EventType::Canceled | EventType::Redacted => {}
        }
    }

    /// Returns the attempts in the order in which they were first seen, and the declines.
    pub(crate) fn finish(mut self, session_is_processing: bool) -> (Vec<Attempt>, Vec<Decline>) {
        if let (Latest::Open, false, Some(last)) =
            (self.latest, session_is_processing, self.attempts.last_mut())
        {
            last.outcome = Outcome::Unknown;
        }
        (self.attempts, self.declines)
    }

    /// A submission is being checked: the open one, or one that nobody has told of yet.
    fn processing(&mut self, event: &Event) {
        let is_known = match self.latest {
            Latest::None => false,
            Latest::Open => true,
            // Within one second nobody knows what came first: a snapshot may show what a verdict of its second
            // closes, and that verdict may have come before the submission that it seems to close.
            Latest::Closed { certainly_at } => {
                event.event_type == EventType::Observed
                    && certainly_at.is_none_or(|closed| closed == event.created)
            }
        };
        if !is_known {
            self.attempts.push(Attempt {
                at: event.created,
                report: None,
                outcome: Outcome::InProgress,
            });
            self.latest = Latest::Open;
        }
    }

    /// Nothing is being checked, and the event tells how a submission ended, or that one was declined.
    fn verdict(&mut self, event: &'history Event, verdict: Verdict) {
        let outcome = match verdict {
            Verdict::Verified => Outcome::Verified { at: event.created },
            Verdict::Failed => Outcome::Failed {
                at: event.created,
                code: event
                    .last_error
                    .as_ref()
                    .and_then(|error| error.code.clone()),
            },
        };
        let known = event
            .report
            .as_ref()
            .and_then(|report| self.position(report));
        let new = event.report.as_ref().filter(|_| known.is_none());
        let heir = new.and_then(|_| self.heir(event.created));
        let open = self.close(event.created, heir);
        let subject = match (new, known) {
            (Some(report), _) => Some(self.name(heir, report, event.created)),
            (None, Some(known)) if verdict == Verdict::Verified || !self.has_failed(known) => {
                Some(known)
            }
            (None, _) => open,
        };
        match subject.and_then(|index| self.attempts.get_mut(index)) {
            Some(attempt) => attempt.outcome = outcome,
            None if verdict == Verdict::Failed => self.decline(event),
            None => {}
        }
        self.last_error = event.last_error.as_ref();
    }

    /// Returns the attempt that a new report belongs to: the latest one without a report. One that began in the
    /// same second comes last, since the verdict may have preceded it.
    fn heir(&self, at: Timestamp) -> Option<usize> {
        let latest = |fits: &dyn Fn(&Attempt) -> bool| {
            self.attempts
                .iter()
                .rposition(|attempt| attempt.report.is_none() && fits(attempt))
        };
        latest(&|attempt| attempt.at < at).or_else(|| latest(&|_| true))
    }

    /// Closes what is being checked, and returns where it stands.
    fn close(&mut self, at: Timestamp, heir: Option<usize>) -> Option<usize> {
        let index = self.attempts.len().checked_sub(1)?;
        let latest = self.attempts.last_mut()?;
        let (is_open, certainly_at) = match self.latest {
            Latest::None | Latest::Open => (true, None),
            Latest::Closed { certainly_at } => (false, certainly_at),
        };
        let follows_it = heir == Some(index) || latest.at < at;
        let certainly_at = certainly_at.or(follows_it.then_some(at));
        self.latest = Latest::Closed { certainly_at };
        if is_open {
            latest.outcome = Outcome::Unknown;
        }
        is_open.then_some(index)
    }

    /// Gives a report to its heir, or to an attempt that nobody has told of yet.
    fn name(&mut self, heir: Option<usize>, report: &ReportId, at: Timestamp) -> usize {
        let report = Some(report.clone());
        if let Some((index, attempt)) = heir.and_then(|i| Some((i, self.attempts.get_mut(i)?))) {
            attempt.report = report;
            return index;
        }
        self.attempts.push(Attempt {
            at,
            report,
            outcome: Outcome::Unknown,
        });
        self.latest = Latest::Closed {
            certainly_at: Some(at),
        };
        self.attempts.len().saturating_sub(1)
    }

    /// Counts a decline, unless the event says again what another has said.
    fn decline(&mut self, event: &'history Event) {
        if let Some(error) = &event.last_error
            && !self.is_repeated(event, error)
        {
            self.declines.push(Decline {
                at: event.created,
                error: error.clone(),
            });
        }
    }

    /// Says whether an error is no news: a second Event object for one change, the same verdict on the same report,
    /// or an observation of what was there before.
    fn is_repeated(&self, event: &Event, error: &LastError) -> bool {
        let is_same_verdict = |attempt: &Attempt| match &attempt.outcome {
            Outcome::Failed { at, code } => {
                let names_it = event.report.is_some() && event.report == attempt.report;
                *code == error.code && (names_it || *at == event.created)
            }
            Outcome::InProgress | Outcome::Verified { .. } | Outcome::Unknown => false,
        };
        let in_this_second = |decline: &&Decline| decline.at == event.created;
        let is_observed = event.event_type == EventType::Observed;
        (is_observed && self.last_error == Some(error))
            || self.attempts.iter().any(is_same_verdict)
            || self
                .declines
                .iter()
                .rev()
                .take_while(in_this_second)
                .any(|decline| decline.error == *error)
    }

    fn position(&self, report: &ReportId) -> Option<usize> {
        self.attempts
            .iter()
            .position(|attempt| attempt.report.as_ref() == Some(report))
    }

    fn has_failed(&self, index: usize) -> bool {
        let outcome = self.attempts.get(index).map(|attempt| &attempt.outcome);
        matches!(outcome, Some(Outcome::Failed { .. }))
    }
}
