//! Truthful stories: what Stripe does with one session, the events that it sends, and what really happened.
//!
//! A story is a list of acts; an act that is impossible where the session stands is skipped, so every list of acts
//! is a story. Losing, doubling and shuffling the events is left to the test.

use std::ops::Range;

use proptest::prelude::*;
use state_machine::event::{Event, EventType, RedactionStatus, Status};
use state_machine::transition::StateName;

use crate::event::{Snapshot, canceled, created, event, processing, redacted};

/// What can happen to a session at Stripe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Submit,
    Fail,
    FailWithoutReport,
    Verify,
    Decline,
    DeclineOtherwise,
    Override,
    Reverse,
    Observe,
    Cancel,
    Redact,
}

impl Act {
    pub(crate) const ALL: [Self; 11] = [
        Self::Submit,
        Self::Fail,
        Self::FailWithoutReport,
        Self::Verify,
        Self::Decline,
        Self::DeclineOtherwise,
        Self::Override,
        Self::Reverse,
        Self::Observe,
        Self::Cancel,
        Self::Redact,
    ];
}

/// How one act is told: how long after the one before, and in how many Event objects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Telling {
    pub(crate) act: Act,
    pub(crate) seconds_later: i64,
    pub(crate) objects: usize,
}

/// A session as it really is, and every event that was sent of it, in the order of time.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) events: Vec<Event>,
    pub(crate) submissions: usize,
    pub(crate) declines: usize,
    pub(crate) status: StateName,
    pub(crate) reversed: bool,
    now: i64,
    born: i64,
    report: Option<String>,
    error: Option<&'static str>,
    stripes_status: Status,
    redaction: Option<RedactionStatus>,
    user: u8,
}

impl Story {
    /// A session that was just created for a user.
    pub(crate) fn begin(born: i64, user: u8) -> Self {
        let mut story = Self {
            events: Vec::new(),
            submissions: 0,
            declines: 0,
            status: StateName::RequiresInput,
            reversed: false,
            now: born,
            born,
            report: None,
            error: None,
            stripes_status: Status::RequiresInput,
            redaction: None,
            user,
        };
        story.send(created(born), 1);
        story
    }

    /// Tells one act, and says whether it was possible.
    pub(crate) fn tell(&mut self, telling: Telling) -> bool {
        self.now += telling.seconds_later;
        let Some(event) = self.act(telling.act) else {
            return false;
        };
        self.send(event, telling.objects);
        true
    }

    fn act(&mut self, act: Act) -> Option<Event> {
        use StateName::{Canceled, Processing, Redacted, RequiresInput, Verified};
        if act == Act::Observe {
            return Some(event(EventType::Observed, self.now));
        }
        let is_redacting = self.redaction.is_some();
        match (self.status, act) {
            (RequiresInput, Act::Submit) => {
                self.submissions += 1;
                self.enter(Processing, Status::Processing, None);
                Some(processing(self.now))
            }
            (Processing, Act::Fail) => {
                self.report = Some(format!("vr_{}", self.submissions));
                Some(self.fail("document_expired"))
            }
            (Processing, Act::FailWithoutReport) => Some(self.fail("document_unverified_other")),
            (Processing, Act::Verify) => {
                self.report = Some(format!("vr_{}", self.submissions));
                Some(self.verify())
            }
            (RequiresInput, Act::Override) if self.report.is_some() => Some(self.verify()),
            (RequiresInput, Act::Decline) => {
                self.declines += 1;
                Some(self.fail("consent_declined"))
            }
            (RequiresInput, Act::DeclineOtherwise) => {
                self.declines += 1;
                Some(self.fail("abandoned"))
            }
            (Verified, Act::Reverse) if !is_redacting => {
                self.reversed = true;
                Some(self.fail("selfie_manipulated"))
            }
            (RequiresInput, Act::Cancel) => {
                self.enter(Canceled, Status::Canceled, None);
                Some(canceled(self.now))
            }
            (RequiresInput | Verified | Canceled, Act::Redact) if !is_redacting => {
                if self.status == RequiresInput {
                    self.enter(Canceled, Status::Canceled, None);
                }
                self.redaction = Some(RedactionStatus::Processing);
                Some(canceled(self.now))
            }
            (Verified | Canceled, Act::Redact) => {
                self.enter(Redacted, self.stripes_status.clone(), None);
                self.redaction = Some(RedactionStatus::Redacted);
                Some(redacted(self.now))
            }
            _ => None,
        }
    }

    fn fail(&mut self, code: &'static str) -> Event {
        self.enter(StateName::RequiresInput, Status::RequiresInput, Some(code));
        event(EventType::RequiresInput, self.now)
    }

    fn verify(&mut self) -> Event {
        self.reversed = false;
        self.enter(StateName::Verified, Status::Verified, None);
        event(EventType::Verified, self.now)
    }

    fn enter(&mut self, status: StateName, stripes: Status, error: Option<&'static str>) {
        self.status = status;
        self.stripes_status = stripes;
        self.error = error;
    }

    /// Sends the snapshot as it is after the act, in so many Event objects.
    fn send(&mut self, event: Event, objects: usize) {
        let mut event = event
            .session_created(self.born)
            .status(self.stripes_status.clone());
        if self.redaction.is_none() {
            event = event.user(self.user); // redaction erases the metadata
        }
        if let Some(report) = &self.report {
            event = event.report(report);
        }
        if let Some(error) = self.error {
            event = event.error(error);
        }
        event.redaction.clone_from(&self.redaction);
        for _ in 0..objects {
            let number = self.events.len() * 7919 % 1000; // Stripe's ids are not ordered in time
            self.events
                .push(event.clone().id(&format!("evt_{}_{number:03}", self.user)));
        }
    }
}

/// A story of one session of a user, with so many seconds between its acts or, sometimes, a long time.
pub(crate) fn story(user: u8, seconds: Range<i64>) -> impl Strategy<Value = Story> {
    let seconds_later = prop_oneof![8 => seconds, 1 => 3..100_000_i64];
    let objects = prop_oneof![4 => Just(1_usize), 1 => Just(2)];
    let telling = (
        proptest::sample::select(Act::ALL.to_vec()),
        seconds_later,
        objects,
    )
        .prop_map(|(act, seconds_later, objects)| Telling {
            act,
            seconds_later,
            objects,
        });
    (0..5_i64, proptest::collection::vec(telling, 0..24)).prop_map(move |(born, tellings)| {
        let mut story = Story::begin(born, user);
        for telling in tellings {
            story.tell(telling);
        }
        story
    })
}
