//! `/v1/sessions`: what is known of a session, and how it came to be that.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use state_machine::event::{RedactionStatus, Status};
use state_machine::history::Recorded;
use state_machine::horizon::Horizon;
use state_machine::id::{AccountId, ErrorCode, ReportId, SessionId, World};
use state_machine::session::{Redaction, Session};
use state_machine::transition::{LastErrorAt, Mark, StateName, Transition};

use super::Shared;
use super::anomalies::AnomalyJson;
use super::answer::{List, found};
use super::aside::{aside, aside_unless};
use super::error::Error;
use super::facts::LastErrorJson;
use super::parameters::Parameters;
use super::users::text_of;
use crate::log::Custody;
use crate::log::access::{Access, Accessed};
use crate::projections::view::SessionFilter;
use crate::service::Service;
use crate::service::read::{Page, ReadError};
use crate::service::sessions::{SessionAnswer, UserName};
use crate::stripe::spelling;

/// `GET /v1/sessions/{id}`
pub(super) async fn show(
    request: HttpRequest,
    id: Path<String>,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let (world, asked) = shared.asked_in_world(&request).await?;
    let service = shared.service()?;
    let session = known(&service, &world, &id, &asked.horizon).await?;
    let owner = service.owner(&session);
    if let Some(UserName::Reference(_)) = owner {
        // Whoever asks for all of them one by one has the list, names and all.
        let name = Accessed::Session(world.clone(), session.id.clone());
        shared.record_read(&request, Access::Sessions, name).await?;
    }
    found(&request, &SessionJson::of(&session, owner.as_ref(), &world))
}

/// `GET /v1/sessions/{id}/history`
pub(super) async fn history(
    request: HttpRequest,
    id: Path<String>,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let (world, asked) = shared.asked_in_world(&request).await?;
    let session = known(&shared.service()?, &world, &id, &asked.horizon).await?;
    let page = Page {
        items: session.steps().collect(),
        has_more: false,
    };
    let url = format!("/v1/sessions/{}/history", session.id);
    found(
        &request,
        &List::of(&url, &page, |(recorded, step)| StepJson::of(recorded, step)),
    )
}

/// `GET /v1/sessions`
pub(super) async fn list(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let mut parameters = Parameters::of(&request)?;
    let world = shared.world(&mut parameters).await?;
    let limit = parameters.limit(&shared.options)?;
    let position = parameters.position(|text| SessionId::parse(text).ok())?;
    let state = parameters.status()?;
    let age_seconds: Option<u32> = parameters.number("age_seconds_min")?;
    if age_seconds.is_some() && state.is_none() {
        let message = "`age_seconds_min` is an age in a status, and needs `status`";
        return Err(Error::parameter("age_seconds_min", message));
    }
    let asked = shared.asked(&mut parameters).await?;
    parameters.finish()?;

    let since_max = age_seconds.map(|age| asked.now.plus_seconds(-i64::from(age)));
    let service = shared.service()?;
    let on = Accessed::World(world.clone());
    shared.record_read(&request, Access::Sessions, on).await?;
    let filter = SessionFilter { state, since_max };
    let listed = world.clone();
    let read = move || -> Result<_, ReadError> {
        let (page, scanned_to) = if asked.horizon.is_open() {
            (service.sessions(&listed, filter, position, limit)?, None)
        } else {
            let horizon = &asked.horizon;
            let page = service.earlier_sessions(&listed, filter, position, limit, horizon)?;
            (page.sessions, page.scanned_to)
        };
        let owners = page.items.iter().map(|session| service.owner(session));
        let owners = owners.collect::<Vec<_>>();
        Ok((page, scanned_to, owners))
    };
    let (page, scanned_to, owners) = aside(read).await?;
    let mut owners = owners.iter();
    let mut list = List::of("/v1/sessions", &page, |session| {
        SessionJson::of(session, owners.next().and_then(Option::as_ref), &world)
    });
    list.scanned_to = scanned_to.map(|id| id.to_string());
    found(&request, &list)
}

async fn known(
    service: &Arc<Service>,
    world: &World,
    id: &str,
    horizon: &Horizon,
) -> Result<SessionAnswer, Error> {
    let unknown = || Error::missing("id", "no event of this world belongs to that session");
    let id = SessionId::parse(id).map_err(|_| unknown())?;
    let (service, world, horizon) = (Arc::clone(service), world.clone(), *horizon);
    let read = move || service.session(&world, &id, &horizon);
    let session = aside_unless(horizon.is_open(), read).await;
    session?.ok_or_else(unknown)
}

/// Returns the status as Stripe spells it; `None` where no event has stated one.
pub(super) fn status(state: StateName) -> Option<&'static str> {
    (state != StateName::Unseen).then(|| state.as_str())
}

fn redaction(session: &Session) -> Option<&'static str> {
    match session.redaction {
        Redaction::None => None,
        Redaction::Pending => Some("pending"),
        Redaction::Done => Some("done"),
    }
}

#[derive(Serialize)]
pub(super) struct LastErrorAtJson<'a> {
    code: Option<&'a str>,
    at: i64,
}

impl<'a> LastErrorAtJson<'a> {
    pub(super) fn of(last_error: &'a LastErrorAt) -> Self {
        Self {
            code: last_error.error.code.as_ref().map(ErrorCode::as_str),
            at: last_error.at.0,
        }
    }
}

/// A session as it stands among the others of its user.
#[derive(Serialize)]
pub(super) struct SessionSummary<'a> {
    id: &'a str,
    status: Option<&'static str>,
    created: Option<i64>,
    since: Option<i64>,
    redaction: Option<&'static str>,
    attempts: usize,
    reversed: bool,
}

impl<'a> SessionSummary<'a> {
    pub(super) fn of(id: &'a SessionId, session: &Session) -> Self {
        Self {
            id: id.as_str(),
            status: status(session.state.name()),
            // Without a folded event nobody has said when it was created.
            created: (session.events > 0).then_some(session.created.0),
            since: session.state.since().map(|since| since.0),
            redaction: redaction(session),
            attempts: session.attempts.len(),
            reversed: session.reversed,
        }
    }
}

#[derive(Serialize)]
struct SessionJson<'a> {
    object: &'static str,
    #[serde(flatten)]
    summary: SessionSummary<'a>,
    user: Option<&'a str>,
    livemode: bool,
    account: Option<&'a str>,
    last_error: Option<LastErrorAtJson<'a>>,
    last_verification_report: Option<&'a str>,
    declines: BTreeMap<&'a str, u32>,
    events: u32,
    anomalies: Vec<AnomalyJson<'a>>,
    /// The entry of the legal hold that stands.
    hold: Option<u64>,
    erasure: Option<ErasureJson>,
    sequence: u64,
}

/// What has become of the wish to erase a session's payloads.
#[derive(Serialize)]
struct ErasureJson {
    status: &'static str,
    sequence: u64,
    done_sequence: Option<u64>,
}

impl ErasureJson {
    fn of(custody: &Custody) -> Option<Self> {
        Some(Self {
            sequence: custody.erasure?.0,
            done_sequence: custody.done.map(|done| done.0),
            status: match (custody.done, custody.hold) {
                (Some(_), _) => "done",
                (None, Some(_)) => "waiting",
                (None, None) => "begun",
            },
        })
    }
}

impl<'a> SessionJson<'a> {
    fn of(known: &'a SessionAnswer, owner: Option<&'a UserName>, world: &'a World) -> Self {
        let session = &known.session;
        // Stripe may leave the code null; JSON has no null key.
        let declines = session.declines_by_code().into_iter();
        let declines =
            declines.map(|(code, count)| (code.map_or("null", ErrorCode::as_str), count));
        Self {
            object: "session",
            summary: SessionSummary::of(&known.id, session),
            user: owner.map(text_of),
            livemode: world.livemode,
            account: world.account.as_ref().map(AccountId::as_str),
            last_error: session.state.last_error().map(LastErrorAtJson::of),
            last_verification_report: session.report.as_ref().map(ReportId::as_str),
            declines: declines.collect(),
            events: session.events,
            anomalies: known.anomalies.iter().map(AnomalyJson::of).collect(),
            hold: known.record.custody().hold.map(|hold| hold.0),
            erasure: ErasureJson::of(&known.record.custody()),
            sequence: known.record.last_sequence().0,
        }
    }
}

/// One event of a history, and the step of the fold that it made.
#[derive(Serialize)]
struct StepJson<'a> {
    object: &'static str,
    event: &'a str,
    r#type: Option<&'static str>,
    created: i64,
    received_at: i64,
    sequence: u64,
    status: Option<&'a str>,
    last_error: Option<LastErrorJson<'a>>,
    last_verification_report: Option<&'a str>,
    redaction: Option<&'a str>,
    row: &'static str,
    mark: &'static str,
    from: &'static str,
    to: &'static str,
    meaning: &'static str,
}

impl<'a> StepJson<'a> {
    fn of(recorded: &'a Recorded, step: &Transition) -> Self {
        let event = &recorded.event;
        Self {
            object: "session_event",
            event: event.id.as_str(),
            r#type: spelling::event_type_name(event.event_type),
            created: event.created.0,
            received_at: recorded.arrival.received_at.0.div_euclid(1000),
            sequence: recorded.arrival.sequence.0,
            status: event.status.as_ref().map(Status::as_str),
            last_error: event.last_error.as_ref().map(LastErrorJson::of),
            last_verification_report: event.report.as_ref().map(ReportId::as_str),
            redaction: event.redaction.as_ref().map(RedactionStatus::as_str),
            row: step.row,
            mark: match step.mark {
                Mark::Expected => "expected",
                Mark::Inferred => "inferred",
                Mark::Anomaly(_) => "anomaly",
            },
            from: step.from.as_str(),
            to: step.to.as_str(),
            meaning: step.meaning,
        }
    }
}
