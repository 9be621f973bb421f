//! What entries say, by kind, as JSON.

use serde::Serialize;
use state_machine::event::{LastError, RedactionStatus, Status};
use state_machine::id::{AccountId, ErrorCode, EventId, ReportId, SessionId, World};

use super::policy::PolicyJson;
use crate::access::token::TokenId;
use crate::log::access::{AccessFact, Accessed};
use crate::log::entry::{
    ErasureCause, Fact, OverrideFact, SessionFact, Subject, SubjectName, UnreadableFact,
};
use crate::service::change::tag_text;
use crate::stripe::decode::EventForm;
use crate::stripe::spelling;

/// Returns the name of an entry's kind.
pub(super) fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Event(_) => "event",
        Fact::Conflict(_) => "conflict",
        Fact::Unreadable(_) => "unreadable",
        Fact::Erasure(_) => "erasure",
        Fact::ErasureDone(_) => "erasure_done",
        Fact::Hold(_) => "hold",
        Fact::Release(_) => "release",
        Fact::Override(_) => "override",
        Fact::Configuration(_) => "configuration",
        Fact::Access(_) => "access",
    }
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum FactJson<'a> {
    Session(SessionFactJson<'a>),
    Unreadable(UnreadableJson<'a>),
    Erasure {
        subject: SubjectJson<'a>,
        cause: &'static str,
        /// The entry of the event that says that Stripe has redacted the session.
        redacted: Option<u64>,
    },
    ErasureDone {
        subject: SubjectJson<'a>,
        erasure: u64,
        payloads: u64,
    },
    Custody {
        subject: SubjectJson<'a>,
    },
    Override(OverrideFactJson<'a>),
    Configuration {
        retry_policy: PolicyJson,
    },
    Access(AccessFactJson<'a>),
}

impl<'a> FactJson<'a> {
    pub(super) fn of(fact: &'a Fact) -> Self {
        match fact {
            Fact::Event(fact) | Fact::Conflict(fact) => Self::Session(SessionFactJson::of(fact)),
            Fact::Unreadable(fact) => Self::Unreadable(UnreadableJson::of(fact)),
            Fact::Erasure(erasure) => {
                let (cause, redacted) = match erasure.cause {
                    ErasureCause::Redacted(event) => ("redacted", Some(event.0)),
                    ErasureCause::Operator => ("operator", None),
                };
                Self::Erasure {
                    subject: SubjectJson::of(&erasure.subject),
                    cause,
                    redacted,
                }
            }
            Fact::ErasureDone(done) => Self::ErasureDone {
                subject: SubjectJson::of(&done.subject),
                erasure: done.erasure.0,
                payloads: done.payloads,
            },
            Fact::Hold(subject) | Fact::Release(subject) => Self::Custody {
                subject: SubjectJson::of(subject),
            },
            Fact::Override(fact) => Self::Override(OverrideFactJson::of(fact)),
            Fact::Configuration(policy) => Self::Configuration {
                retry_policy: PolicyJson::of(policy),
            },
            Fact::Access(fact) => Self::Access(AccessFactJson::of(fact)),
        }
    }
}

/// Who has had to do with what; what is on a user, a session or entries names them.
#[derive(Serialize)]
pub(super) struct AccessFactJson<'a> {
    by: &'static str,
    token: Option<&'a str>,
    access: &'static str,
    livemode: Option<bool>,
    account: Option<&'a str>,
    user_tag: Option<String>,
    session: Option<&'a str>,
    first_entry: Option<u64>,
    entries: Option<u64>,
}

impl<'a> AccessFactJson<'a> {
    fn of(fact: &'a AccessFact) -> Self {
        let (named, user, session, entries) = match &fact.on {
            Accessed::Everything => (None, None, None, None),
            Accessed::World(world) => (Some(world), None, None, None),
            Accessed::User(world, tag) => (Some(world), Some(*tag), None, None),
            Accessed::Session(world, session) => (Some(world), None, Some(session), None),
            Accessed::Entries { first, count } => (None, None, None, Some((first.0, *count))),
        };
        let named = named.map(world);
        Self {
            by: fact.by.as_str(),
            token: fact.by.token().map(TokenId::as_str),
            access: fact.access.as_str(),
            livemode: named.map(|(livemode, _)| livemode),
            account: named.and_then(|(_, account)| account),
            user_tag: user.map(|user| tag_text(&user.0)),
            session: session.map(SessionId::as_str),
            first_entry: entries.map(|(first, _)| first),
            entries: entries.map(|(_, count)| count),
        }
    }
}

#[derive(Serialize)]
pub(super) struct OverrideFactJson<'a> {
    r#override: &'a str,
    livemode: bool,
    account: Option<&'a str>,
    user_tag: String,
    action: &'static str,
    attempts: Option<u32>,
    expires: Option<i64>,
    /// Keyed hashes of the idempotency key, and of what was asked for under it.
    idempotency_key_tag: Option<String>,
    content_tag: Option<String>,
}

impl<'a> OverrideFactJson<'a> {
    fn of(fact: &'a OverrideFact) -> Self {
        let (livemode, account) = world(&fact.world);
        Self {
            r#override: fact.id.as_str(),
            livemode,
            account,
            user_tag: tag_text(&fact.user.0),
            action: fact.action.as_str(),
            attempts: fact.action.attempts(),
            expires: fact.expires.map(|expires| expires.0),
            idempotency_key_tag: fact.request.map(|request| hex::encode(request.key)),
            content_tag: fact.request.map(|request| hex::encode(request.content)),
        }
    }
}

#[derive(Serialize)]
pub(super) struct SessionFactJson<'a> {
    event: &'a str,
    r#type: Option<&'static str>,
    form: &'static str,
    api_version: Option<&'a str>,
    created: i64,
    livemode: bool,
    account: Option<&'a str>,
    session: &'a str,
    session_created: Option<i64>,
    status: Option<&'a str>,
    last_error: Option<LastErrorJson<'a>>,
    last_verification_report: Option<&'a str>,
    redaction: Option<&'a str>,
    user_tag: Option<String>,
}

impl<'a> SessionFactJson<'a> {
    fn of(fact: &'a SessionFact) -> Self {
        let event = &fact.event;
        let (livemode, account) = world(&fact.world);
        Self {
            event: event.id.as_str(),
            r#type: spelling::event_type_name(event.event_type),
            form: match fact.form {
                EventForm::Snapshot => "snapshot",
                EventForm::Thin => "thin",
            },
            api_version: fact.api_version.as_deref(),
            created: event.created.0,
            livemode,
            account,
            session: fact.session.as_str(),
            session_created: event.session_created.map(|created| created.0),
            status: event.status.as_ref().map(Status::as_str),
            last_error: event.last_error.as_ref().map(LastErrorJson::of),
            last_verification_report: event.report.as_ref().map(ReportId::as_str),
            redaction: event.redaction.as_ref().map(RedactionStatus::as_str),
            user_tag: event.user.map(|user| tag_text(&user.0)),
        }
    }
}

fn world(world: &World) -> (bool, Option<&str>) {
    let account = world.account.as_ref().map(AccountId::as_str);
    (world.livemode, account)
}

#[derive(Serialize)]
pub(super) struct UnreadableJson<'a> {
    reason: &'static str,
    event: Option<&'a str>,
    body_tag: String,
}

impl<'a> UnreadableJson<'a> {
    fn of(fact: &'a UnreadableFact) -> Self {
        Self {
            reason: fact.unreadable.reason.as_str(),
            event: fact.unreadable.event.as_ref().map(EventId::as_str),
            body_tag: hex::encode(fact.body_tag),
        }
    }
}

/// What shares one key: a session of a world, or an entry of no session.
#[derive(Serialize)]
pub(super) struct SubjectJson<'a> {
    key_slot: u64,
    livemode: Option<bool>,
    account: Option<&'a str>,
    session: Option<&'a str>,
    entry: Option<u64>,
}

impl<'a> SubjectJson<'a> {
    fn of(subject: &'a Subject) -> Self {
        let (named, session, entry) = match &subject.name {
            SubjectName::Session(named, session) => (Some(world(named)), Some(session), None),
            SubjectName::Entry(sequence) => (None, None, Some(sequence.0)),
        };
        Self {
            key_slot: subject.key_slot.0,
            livemode: named.map(|(livemode, _)| livemode),
            account: named.and_then(|(_, account)| account),
            session: session.map(SessionId::as_str),
            entry,
        }
    }
}

#[derive(Serialize)]
pub(super) struct LastErrorJson<'a> {
    code: Option<&'a str>,
}

impl<'a> LastErrorJson<'a> {
    pub(super) fn of(last_error: &'a LastError) -> Self {
        Self {
            code: last_error.code.as_ref().map(ErrorCode::as_str),
        }
    }
}
