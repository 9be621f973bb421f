//! `POST /v1/sessions/{id}/erase`, `/hold` and `/release`: what operators state about what is kept of a session.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use state_machine::id::{AccountId, SessionId};
use tokio::sync::oneshot;

use super::Shared;
use super::body::json_of;
use super::caller::token;
use super::error::Error;
use super::parameters::Parameters;
use crate::log::entry::SubjectName;
use crate::log::{Stated, Statement, Words};
use crate::service::Service;

/// Room for the longest words, each of their bytes escaped.
const BODY_BYTES_MAX: usize = 32 * 1024;

/// `POST /v1/sessions/{id}/erase`
pub(super) async fn erase(
    request: HttpRequest,
    (id, body, shared): (Path<String>, Payload, Data<Shared>),
) -> Result<HttpResponse, Error> {
    state(&request, (&id, Statement::Erase), body, &shared).await
}

/// `POST /v1/sessions/{id}/hold`
pub(super) async fn hold(
    request: HttpRequest,
    (id, body, shared): (Path<String>, Payload, Data<Shared>),
) -> Result<HttpResponse, Error> {
    state(&request, (&id, Statement::Hold), body, &shared).await
}

/// `POST /v1/sessions/{id}/release`
pub(super) async fn release(
    request: HttpRequest,
    (id, body, shared): (Path<String>, Payload, Data<Shared>),
) -> Result<HttpResponse, Error> {
    state(&request, (&id, Statement::Release), body, &shared).await
}

async fn state(
    request: &HttpRequest,
    (id, statement): (&str, Statement),
    body: Payload,
    shared: &Shared,
) -> Result<HttpResponse, Error> {
    let mut parameters = Parameters::of(request)?;
    let world = parameters.world(&shared.options.default_world)?;
    parameters.finish()?;
    let words = Words {
        token: token(request),
        ..words(request, body, shared).await?
    };
    let id = SessionId::parse(id).map_err(|_| Error::nothing_kept())?;
    let subject = SubjectName::Session(world, id);
    let service = shared.service()?;
    let (sender, answer) = oneshot::channel();
    service.state(subject.clone(), statement, &words, move |stated| {
        // A client that has gone is not told; the statement stands.
        drop(sender.send(stated));
    });
    let lost = |_| {
        Error::unavailable(
            "not_finished",
            "the service cannot say what became of this; read the session, and ask again",
        )
    };
    let stated = answer.await.map_err(lost)??;
    Ok(HttpResponse::Ok().json(Answer::of(&service, &subject, &stated)))
}

/// Reads who wants it, and why.
async fn words(request: &HttpRequest, body: Payload, shared: &Shared) -> Result<Words, Error> {
    let body = json_of(request, body, BODY_BYTES_MAX, &shared.options).await?;
    let words = serde_json::from_slice(&body).map_err(|_| {
        let message =
            "the body is to be a JSON object with the texts `actor` and `reason`, and nothing else";
        Error::invalid("body_invalid", message)
    })?;
    let WordsJson { actor, reason } = words;
    Ok(Words {
        actor,
        reason,
        token: None,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WordsJson {
    actor: String,
    reason: String,
}

/// What became of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `erasure` or `hold`.
    pub object: String,
    /// The session that it concerns.
    pub session: Option<String>,
    /// The entry that it concerns, where that belongs to no session.
    pub entry: Option<u64>,
    /// The session's world.
    pub livemode: Option<bool>,
    /// The session's account.
    pub account: Option<String>,
    /// Of an erasure `done` or `waiting`; of a hold `held` or `released`.
    pub status: Status,
    /// The entry that states it.
    pub sequence: u64,
    /// Whether it had been stated before.
    pub duplicate: bool,
    /// The hold that an erasure waits for.
    pub hold: Option<u64>,
    /// What an erasure that is done came to.
    pub report: Option<Report>,
}

/// How far a statement has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Erased.
    Done,
    /// To be erased when the hold is released.
    Waiting,
    /// Held.
    Held,
    /// Not held any more.
    Released,
}

/// What an erasure came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The entry that says that it is done.
    pub done_sequence: u64,
    /// The slot of the vault whose key was overwritten.
    pub key_slot: u64,
    /// How many sealed payloads were overwritten.
    pub payloads: u64,
    /// The entries that they belonged to.
    pub entries: Vec<u64>,
    /// Where keys and payloads were overwritten.
    pub erased_in: Vec<String>,
    /// What is left, and why.
    pub remains: Vec<Remains>,
}

/// What an erasure leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remains {
    /// Where.
    pub place: String,
    /// What, and why.
    pub what: String,
}

/// Where an erasure overwrites, under the data directory.
const ERASED_IN: [&str; 2] = ["vault", "log/journal"];
/// What it leaves there, and why.
const REMAINS: [(&str, &str); 2] = [
    (
        "log",
        "leaves: ids, types, times, keyed tags and hashes, without which nothing could be proved",
    ),
    (
        "log/sled",
        "sealed payloads whose key is gone, until sled is built anew: sled never overwrites",
    ),
];

impl Answer {
    /// Returns what became of a statement about a subject.
    pub fn of(service: &Service, subject: &SubjectName, stated: &Stated) -> Self {
        let (appended, status, hold, report) = match stated {
            Stated::Held(appended) => (appended, Status::Held, None, None),
            Stated::Released(appended) => (appended, Status::Released, None, None),
            Stated::Waiting { appended, hold } => (appended, Status::Waiting, Some(hold.0), None),
            Stated::Erased { appended, done } => {
                let erased = service.erased(*done);
                let report = erased.map(|(fact, entries)| Report {
                    done_sequence: done.0,
                    key_slot: fact.subject.key_slot.0,
                    payloads: fact.payloads,
                    entries: entries.iter().map(|entry| entry.0).collect(),
                    erased_in: ERASED_IN.map(str::to_owned).to_vec(),
                    remains: REMAINS.map(Remains::of).to_vec(),
                });
                (appended, Status::Done, None, report)
            }
        };
        let object = match status {
            Status::Done | Status::Waiting => "erasure",
            Status::Held | Status::Released => "hold",
        };
        let (world, session, entry) = match subject {
            SubjectName::Session(world, session) => (Some(world), Some(session), None),
            SubjectName::Entry(sequence) => (None, None, Some(sequence.0)),
        };
        let account = world.and_then(|world| world.account.as_ref());
        Self {
            object: object.to_owned(),
            session: session.map(|session| session.as_str().to_owned()),
            entry,
            livemode: world.map(|world| world.livemode),
            account: account.map(AccountId::as_str).map(str::to_owned),
            status,
            sequence: appended.sequence.0,
            duplicate: appended.duplicate,
            hold,
            report,
        }
    }
}

impl Remains {
    fn of((place, what): (&str, &str)) -> Self {
        Self {
            place: place.to_owned(),
            what: what.to_owned(),
        }
    }
}
