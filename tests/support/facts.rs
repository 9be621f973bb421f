//! A set of facts, and what a service has to answer that was told them: by the pure state machine alone.
//! Nothing here knows of logs, files or requests.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use state_machine::event::{Event, EventType, LastError, RedactionStatus, Status};
use state_machine::history::{Arrival, History, Recorded};
use state_machine::id::{
    ErrorCode, EventId, OverrideId, ReportId, SequenceNumber, SessionId, UserTag,
};
use state_machine::overrides::{Action, Override};
use state_machine::retry::policy::Policy;
use state_machine::retry::reason::Reason;
use state_machine::retry::{Outcome, decide};
use state_machine::session::{Redaction, Session, project};
use state_machine::time::{ReceivedAt, Timestamp};
use state_machine::transition::{LastErrorAt, StateName};
use state_machine::user::Standing;

use super::delivery::event;

/// The worlds: live mode or not, and the account.
pub(crate) const WORLDS: [(bool, Option<&str>); 3] =
    [(false, None), (true, None), (false, Some("acct_1"))];
pub(crate) const SESSIONS: [&str; 4] = ["vs_0", "vs_1", "vs_2", "vs_3"];
pub(crate) const USERS: [&str; 3] = ["user_0", "user_1", "user_2"];
/// What a server is told, so that it decides as [`policy`] does.
pub(crate) const POLICY: [&str; 3] = [
    "retry.attempts_max=2",
    "retry.cooldown_seconds=600",
    "retry.cooldown_factor=2",
];

fn policy() -> Policy {
    Policy {
        attempts_max: 2,
        cooldown_seconds: 600,
        cooldown_factor: 2,
        ..Policy::default()
    }
}

/// What one event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) id: u64,
    pub(crate) world: usize,
    pub(crate) session: usize,
    pub(crate) user: Option<usize>,
    pub(crate) name: &'static str,
    pub(crate) created: i64,
    pub(crate) session_created: i64,
    pub(crate) report: Option<u8>,
    pub(crate) error: Option<&'static str>,
    pub(crate) redaction: Option<&'static str>,
}

impl Said {
    /// Returns the body that Stripe sends.
    pub(crate) fn body(&self) -> Vec<u8> {
        let (livemode, account) = WORLDS[self.world];
        let id = format!("evt_{}", self.id);
        let user = self.user.map_or("", |user| USERS[user]);
        let mut body = event(&id, SESSIONS[self.session], user, self.name, self.created);
        body["livemode"] = json!(livemode);
        if let Some(account) = account {
            body["account"] = json!(account);
        }
        let object = &mut body["data"]["object"];
        object["livemode"] = json!(livemode);
        object["created"] = json!(self.session_created);
        if self.user.is_none() {
            object["metadata"] = json!({});
        }
        let error = |code| json!({ "code": code, "reason": "reason_marker" });
        object["last_error"] = self.error.map_or(Value::Null, error);
        object["last_verification_report"] = json!(self.report.map(report));
        object["redaction"] = json!(self.redaction.map(|status| json!({ "status": status })));
        serde_json::to_vec(&body).unwrap()
    }

    fn event(&self) -> Event {
        let (event_type, status) = match self.name {
            "created" => (EventType::Created, Status::RequiresInput),
            "processing" => (EventType::Processing, Status::Processing),
            "requires_input" => (EventType::RequiresInput, Status::RequiresInput),
            "verified" => (EventType::Verified, Status::Verified),
            "canceled" => (EventType::Canceled, Status::Canceled),
            "redacted" => (EventType::Redacted, Status::Verified),
            name => panic!("{name} is no event of a session"),
        };
        Event {
            id: EventId::parse(&format!("evt_{}", self.id)).unwrap(),
            event_type,
            created: Timestamp(self.created),
            session_created: Some(Timestamp(self.session_created)),
            status: Some(status),
            last_error: self.error.map(|code| LastError {
                code: Some(ErrorCode::parse(code).unwrap()),
            }),
            report: (self.report).map(|number| ReportId::parse(&report(number)).unwrap()),
            redaction: self.redaction.map(RedactionStatus::parse),
            user: self.user.map(tag),
        }
    }

    fn is_of(&self, world: usize, session: usize) -> bool {
        (self.world, self.session) == (world, session)
    }
}

fn report(number: u8) -> String {
    format!("vr_{number}")
}

fn tag(user: usize) -> UserTag {
    UserTag([user.try_into().unwrap(); 16])
}

/// What an operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    /// By what the request is known again.
    pub(crate) key: usize,
    pub(crate) world: usize,
    pub(crate) user: usize,
    pub(crate) action: Action,
    pub(crate) expires: Option<i64>,
}

/// Everything that a service was told.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// What the clock says, in seconds.
    pub(crate) now: i64,
    /// In the order in which they came: of those of one id the first is its event, the others contradict it.
    pub(crate) events: Vec<Said>,
    /// In the order in which they were made, each with its time.
    pub(crate) overrides: Vec<(Decided, i64)>,
    /// The sessions whose payloads are erased, by world.
    erased: BTreeSet<(usize, usize)>,
}

impl Facts {
    /// Returns no facts, at a time.
    pub(crate) fn none_at(now: i64) -> Self {
        Self {
            now,
            events: Vec::new(),
            overrides: Vec::new(),
            erased: BTreeSet::new(),
        }
    }

    pub(crate) fn knows(&self, said: &Said) -> bool {
        self.events.contains(said)
    }

    pub(crate) fn knows_session(&self, world: usize, session: usize) -> bool {
        self.events.iter().any(|said| said.is_of(world, session))
    }

    pub(crate) fn take(&mut self, said: &Said) {
        if self.knows(said) {
            return;
        }
        self.events.push(said.clone());
        if said.name == "redacted" && !self.is_contradiction(said) {
            self.erased.insert((said.world, said.session));
        }
    }

    pub(crate) fn decide(&mut self, decided: &Decided) {
        let is_it = |(other, _): &(Decided, i64)| other.key == decided.key;
        if !self.overrides.iter().any(is_it) {
            self.overrides.push((decided.clone(), self.now));
        }
    }

    pub(crate) fn erase(&mut self, world: usize, session: usize) {
        if self.knows_session(world, session) {
            self.erased.insert((world, session));
        }
    }

    fn is_contradiction(&self, said: &Said) -> bool {
        self.events.iter().find(|other| other.id == said.id) != Some(said)
    }

    fn project(&self, world: usize, session: usize) -> Session {
        let arrival = Arrival {
            sequence: SequenceNumber(0),
            received_at: ReceivedAt(0),
        };
        let events = self
            .events
            .iter()
            .filter(|said| said.is_of(world, session) && !self.is_contradiction(said));
        let recorded = events.map(|said| Recorded {
            event: said.event(),
            arrival,
        });
        project(&recorded.collect::<History>())
    }

    /// Returns what is answered of a session, or `None` where nothing is known of it.
    pub(crate) fn session(&self, world: usize, session: usize) -> Option<Value> {
        if !self.knows_session(world, session) {
            return None;
        }
        let projected = self.project(world, session);
        let declines = projected.declines_by_code().into_iter();
        let declines: std::collections::BTreeMap<_, _> = declines
            .map(|(code, count)| (code.map_or("null", ErrorCode::as_str), count))
            .collect();
        let is_erased = self.erased.contains(&(world, session));
        let user = projected.user.as_ref().map(|user| {
            if is_erased {
                "[redacted]"
            } else {
                USERS[usize::from(user.tag.0[0])]
            }
        });
        let mut answer = summary(SESSIONS[session], &projected);
        let more = json!({
            "user": user, "last_error": projected.state.last_error().map(last_error),
            "last_verification_report": projected.report.as_ref().map(ReportId::as_str),
            "declines": declines, "events": projected.events, "hold": null, "erasure": is_erased,
            "anomalies": self.anomalies(world, session, &projected),
        });
        let more = more.as_object().unwrap().clone();
        answer.as_object_mut().unwrap().extend(more);
        Some(answer)
    }

    /// Returns the anomalies of a session as rule and event, sorted.
    fn anomalies(&self, world: usize, session: usize, projected: &Session) -> Vec<[String; 2]> {
        let folded = projected.anomalies.iter();
        let folded = folded.map(|one| [one.rule.as_str().to_owned(), one.event.to_string()]);
        let contradictions = self
            .events
            .iter()
            .filter(|said| said.is_of(world, session) && self.is_contradiction(said))
            .map(|said| ["conflicting_event".to_owned(), format!("evt_{}", said.id)]);
        let mut anomalies: Vec<_> = folded.chain(contradictions).collect();
        anomalies.sort();
        anomalies
    }

    /// Returns what is answered of a user, or `None` where nothing is known of them.
    pub(crate) fn user(&self, world: usize, user: usize) -> Option<Value> {
        let named = |projected: &Session| projected.user.as_ref().map(|user| user.tag);
        let ids = SESSIONS.map(|session| SessionId::parse(session).unwrap());
        let projected = (0..SESSIONS.len()).map(|session| self.project(world, session));
        let sessions: Vec<_> = (0..)
            .zip(ids.iter().zip(projected))
            .filter(|(_, (_, projected))| named(projected) == Some(tag(user)))
            .collect();
        let overrides = self.overrides_of(world, user);
        if sessions.is_empty() && overrides.is_empty() {
            return None;
        }
        let of_user = sessions.iter().map(|(_, (id, projected))| (*id, projected));
        let standing = Standing::of(of_user, &overrides);
        let anomalies: usize = sessions
            .iter()
            .map(|(session, (_, projected))| self.anomalies(world, *session, projected).len())
            .sum();
        Some(standing_answer(&standing, self.now, anomalies))
    }

    fn overrides_of(&self, world: usize, user: usize) -> Vec<Override> {
        let made = (0..).zip(&self.overrides);
        made.filter(|(_, (decided, _))| (decided.world, decided.user) == (world, user))
            .map(|(place, (decided, at))| Override {
                id: OverrideId::parse(&format!("ovr_{place}")).unwrap(),
                action: decided.action,
                expires: decided.expires.map(Timestamp),
                arrival: Arrival {
                    sequence: SequenceNumber(place),
                    received_at: ReceivedAt(at * 1000),
                },
            })
            .collect()
    }
}

fn standing_answer(standing: &Standing<'_>, now: i64, anomalies: usize) -> Value {
    let decision = decide(standing, &policy(), Timestamp(now));
    let (remaining, retry_at, resume) = match &decision.outcome {
        Outcome::Allowed { remaining, resume } => (*remaining, None, resume.as_ref()),
        Outcome::LimitReached { retry_at } => (0, *retry_at, None),
        Outcome::CoolingDown { retry_at } => (0, Some(*retry_at), None),
        Outcome::AlreadyVerified
        | Outcome::InProgress
        | Outcome::Blocked
        | Outcome::Final
        | Outcome::AlternativeRequired => (0, None, None),
    };
    let reasons: Vec<_> = decision.reasons.iter().map(Reason::as_str).collect();
    let sessions = standing.sessions.iter();
    let sessions: Vec<_> = sessions
        .map(|(id, session)| summary(id.as_str(), session))
        .collect();
    json!({
        "status": status(standing.status()), "since": standing.since().map(|since| since.0),
        "current_session": standing.current().map(|(id, _)| id.as_str()),
        "attempts": {
            "total": standing.attempts_total(), "in_window": decision.attempts_in_window, "limit": decision.limit,
        },
        "last_error": standing.last_error().map(last_error), "reversed": standing.is_reversed(),
        "decision": {
            "outcome": decision.outcome.as_str(), "remaining": remaining, "retry_at": retry_at.map(|time| time.0),
            "resume_session": resume.map(SessionId::as_str), "reasons": reasons,
        },
        "sessions": sessions, "anomalies": anomalies,
    })
}

fn summary(id: &str, session: &Session) -> Value {
    json!({
        "id": id, "status": status(session.state.name()),
        "created": (session.events > 0).then_some(session.created.0),
        "since": session.state.since().map(|since| since.0),
        "redaction": match session.redaction {
            Redaction::None => None,
            Redaction::Pending => Some("pending"),
            Redaction::Done => Some("done"),
        },
        "attempts": session.attempts.len(), "reversed": session.reversed,
    })
}

fn status(state: StateName) -> Option<&'static str> {
    (state != StateName::Unseen).then(|| state.as_str())
}

fn last_error(last_error: &LastErrorAt) -> Value {
    json!({ "code": last_error.error.code.as_ref().map(ErrorCode::as_str), "at": last_error.at.0 })
}

/// Returns a world as paths name it.
pub(crate) fn world_query(world: usize) -> String {
    let (livemode, account) = WORLDS[world];
    let account = account.map_or_else(String::new, |account| format!("&account={account}"));
    format!("livemode={livemode}{account}")
}
