//! `/v1/rebuilds`: folding the log anew while the service goes on.

use actix_web::http::StatusCode;
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use state_machine::id::{SessionId, World};

use super::Shared;
use super::answer::{List, found};
use super::aside::aside;
use super::body::json_of;
use super::error::Error;
use super::parameters::Parameters;
use super::rebuild_answer::Answer;
use crate::projections::bulk::watch::Priority;
use crate::projections::part::Part;
use crate::service::Service;
use crate::service::read::Page;
use crate::service::rebuilds::{BeginError, Wanted};
use crate::stripe::user_reference::UserReference;

/// Room for two ids, each of their bytes escaped.
const BODY_BYTES_MAX: usize = 8 * 1024;

/// `POST /v1/rebuilds`
pub(super) async fn begin(
    request: HttpRequest,
    (body, shared): (Payload, Data<Shared>),
) -> Result<HttpResponse, Error> {
    let mut parameters = Parameters::of(&request)?;
    let world = parameters.world(&shared.options.default_world)?;
    parameters.finish()?;
    let body = json_of(&request, body, BODY_BYTES_MAX, &shared.options).await?;
    let body: Body = serde_json::from_slice(&body).map_err(|_| {
        let message = "the body is to be a JSON object with `dry_run`, `session` or `user`, or without, and nothing else";
        Error::invalid("body_invalid", message)
    })?;
    let service = shared.service()?;
    let wanted = body.wanted(&service, world)?;
    let (access, on) = wanted.access();
    shared.record_access(&request, access, on).await?;
    // It waits for the disk, so that a restart takes the rebuild up again.
    let begun = aside(move || service.begin_rebuild(wanted, Priority::Lowest)).await?;
    let answer = Answer::of(&begun, (shared.options.clock)());
    Ok(HttpResponse::Accepted().json(answer))
}

/// `GET /v1/rebuilds`
pub(super) async fn list(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let mut parameters = Parameters::of(&request)?;
    let limit = parameters.limit(&shared.options)?;
    parameters.finish()?;
    let mut items = shared.service()?.rebuilds();
    let has_more = items.len() > limit;
    items.truncate(limit);
    let page = Page { items, has_more };
    let now = (shared.options.clock)();
    found(
        &request,
        &List::of(request.path(), &page, |rebuild| Answer::of(rebuild, now)),
    )
}

/// `GET /v1/rebuilds/{id}`
pub(super) async fn show(
    request: HttpRequest,
    id: Path<String>,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let rebuild = shared.service()?.rebuild(&id).ok_or_else(unknown)?;
    found(&request, &Answer::of(&rebuild, (shared.options.clock)()))
}

/// `POST /v1/rebuilds/{id}/cancel`
pub(super) async fn cancel(
    request: HttpRequest,
    (id, body, shared): (Path<String>, Payload, Data<Shared>),
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    json_of(&request, body, BODY_BYTES_MAX, &shared.options).await?;
    let rebuild = shared.service()?.cancel_rebuild(&id).ok_or_else(unknown)?;
    let answer = Answer::of(&rebuild, (shared.options.clock)());
    Ok(HttpResponse::Ok().json(answer))
}

fn unknown() -> Error {
    Error::missing("id", "no rebuild of that id is remembered")
}

impl From<BeginError> for Error {
    fn from(error: BeginError) -> Self {
        match error {
            BeginError::Running(_) => {
                Self::new(StatusCode::CONFLICT, "rebuild_running", error.to_string())
            }
            BeginError::NotReady => {
                let message = "the projections are catching up; ask again";
                Self::unavailable("not_ready", message)
            }
            BeginError::Store(_) | BeginError::Random(_) | BeginError::Thread(_) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "a rebuild was not begun");
                Self::unavailable("not_begun", "the rebuild could not be begun; ask again")
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    #[serde(default)]
    dry_run: bool,
    session: Option<String>,
    user: Option<String>,
}

impl Body {
    fn wanted(self, service: &Service, world: World) -> Result<Wanted, Error> {
        let Self {
            dry_run,
            session,
            user,
        } = self;
        let part = match (session, user) {
            (None, None) => None,
            (Some(id), None) => {
                let id = SessionId::parse(&id);
                let id = id.map_err(|error| Error::parameter("session", error.to_string()))?;
                Some(Part::Session(world, id))
            }
            (None, Some(reference)) => {
                let reference = UserReference::new(&reference);
                let unnamed = || Error::parameter("user", "`user` names no user");
                let tag = service.user_tag(&reference.ok_or_else(unnamed)?);
                Some(Part::User(world, tag))
            }
            (Some(_), Some(_)) => {
                let message = "`session` and `user` exclude each other";
                return Err(Error::parameter("user", message));
            }
        };
        Ok(Wanted { part, dry_run })
    }
}
