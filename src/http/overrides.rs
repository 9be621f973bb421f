//! `/v1/users/{id}/overrides`: what operators decide about a user.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use state_machine::id::{AccountId, InvalidIdentifier, OverrideId, UserTag, World};
use state_machine::overrides::{Action, Override};
use state_machine::time::Timestamp;
use tokio::sync::oneshot;

use super::Shared;
use super::answer::{List, found};
use super::body::json_of;
use super::caller::token;
use super::error::Error;
use super::parameters::Parameters;
use crate::log::{IdempotencyKey, WantedOverride, Words};
use crate::service::change::tag_text;
use crate::stripe::user_reference::UserReference;

/// Room for the longest words, each of their bytes escaped.
const BODY_BYTES_MAX: usize = 32 * 1024;
/// The header by which a request is known again.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
/// Says that an answer was given before, as Stripe says it.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// `POST /v1/users/{id}/overrides`
pub(super) async fn make(
    request: HttpRequest,
    (id, body, shared): (Path<String>, Payload, Data<Shared>),
) -> Result<HttpResponse, Error> {
    let mut parameters = Parameters::of(&request)?;
    let world = parameters.world(&shared.options.default_world)?;
    parameters.finish()?;
    let reference =
        UserReference::new(&id).ok_or_else(|| Error::parameter("id", "the path names no user"))?;
    let idempotency_key = idempotency_key(&request)?;
    let body = json_of(&request, body, BODY_BYTES_MAX, &shared.options).await?;
    let body: Body = serde_json::from_slice(&body).map_err(|_| {
        let message = "the body is to be a JSON object with the texts `action`, `actor` and `reason`, with `attempts` \
                       for a grant and with `expires` or without, and nothing else";
        Error::invalid("body_invalid", message)
    })?;
    let service = shared.service()?;
    let wanted = WantedOverride {
        id: fresh_id().map_err(|_| Error::not_recorded())?,
        world,
        user: service.user_tag(&reference),
        action: body.action()?,
        expires: body.expires.map(Timestamp),
        idempotency_key,
    };
    let Body { actor, reason, .. } = body;
    let (sender, answer) = oneshot::channel();
    let token = token(&request);
    let words = Words {
        actor,
        reason,
        token,
    };
    service.make_override(&wanted, &words, shared.now(), move |made| {
        // A client that has gone is not told; the override stands.
        drop(sender.send(made));
    });
    let lost = |_| Error::not_recorded();
    let made = answer.await.map_err(lost)??;
    let there = service
        .override_at(made.sequence)
        .ok_or_else(Error::not_recorded)?;
    let answer = Answer::of(&there, reference.expose(), &wanted.world, wanted.user);
    let mut response = HttpResponse::Ok();
    if made.is_repeated {
        response.insert_header((REPLAYED, HeaderValue::from_static("true")));
    }
    Ok(response.json(answer))
}

/// `GET /v1/users/{id}/overrides`
pub(super) async fn list(
    request: HttpRequest,
    id: Path<String>,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let mut parameters = Parameters::of(&request)?;
    let world = shared.world(&mut parameters).await?;
    let limit = parameters.limit(&shared.options)?;
    let position = parameters.position(|text| OverrideId::parse(text).ok())?;
    parameters.finish()?;
    let unknown = || Error::missing("id", "nothing of this world names that user");
    let reference = UserReference::new(&id).ok_or_else(unknown)?;
    let service = shared.service()?;
    let tag = service.user_tag(&reference);
    let page = service
        .overrides_of_user(&world, tag, position.as_ref(), limit)?
        .ok_or_else(unknown)?;
    let list = List::of(request.path(), &page, |made| {
        Answer::of(made, reference.expose(), &world, tag)
    });
    found(&request, &list)
}

fn idempotency_key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, Error> {
    let mut headers = request.headers().get_all(IDEMPOTENCY_KEY);
    let Some(header) = headers.next() else {
        return Ok(None);
    };
    let key = header.to_str().ok().and_then(IdempotencyKey::new);
    match (key, headers.next()) {
        (Some(key), None) => Ok(Some(key)),
        (_, Some(_)) | (None, None) => Err(Error::parameter(
            IDEMPOTENCY_KEY,
            "the header `Idempotency-Key` is given once, with 1 to 255 visible characters",
        )),
    }
}

/// Returns an id that no override had before.
pub fn fresh_id() -> Result<OverrideId, InvalidIdentifier> {
    OverrideId::parse(&format!("ovr_{}", uuid::Uuid::now_v7().simple()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    action: ActionName,
    attempts: Option<u32>,
    expires: Option<i64>,
    actor: String,
    reason: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ActionName {
    Grant,
    Reset,
    Block,
    Unblock,
}

impl Body {
    fn action(&self) -> Result<Action, Error> {
        match (self.action, self.attempts) {
            (ActionName::Grant, Some(attempts @ 1..)) => Ok(Action::Grant { attempts }),
            (ActionName::Grant, Some(0) | None) => Err(Error::parameter(
                "attempts",
                "a grant says how many `attempts`, at least 1",
            )),
            (ActionName::Reset, None) => Ok(Action::Reset),
            (ActionName::Block, None) => Ok(Action::Block),
            (ActionName::Unblock, None) => Ok(Action::Unblock),
            (ActionName::Reset | ActionName::Block | ActionName::Unblock, Some(_)) => {
                Err(Error::parameter("attempts", "only a grant has `attempts`"))
            }
        }
    }
}

/// An override, as it is answered and listed. Who made it, and why, is told with its entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `override`.
    pub object: String,
    /// Its own id.
    pub id: String,
    /// Whom it concerns, as the request named them.
    pub user: String,
    /// The tag of that user.
    pub tag: String,
    /// The world in which it holds.
    pub livemode: bool,
    /// The account of that world.
    pub account: Option<String>,
    /// `grant`, `reset`, `block` or `unblock`.
    pub action: String,
    /// How many attempts a grant grants.
    pub attempts: Option<u32>,
    /// When it was made.
    pub at: i64,
    /// When it ends by itself.
    pub expires: Option<i64>,
    /// The entry that holds it.
    pub sequence: u64,
}

impl Answer {
    /// Returns how an override is told.
    pub fn of(made: &Override, user: &str, world: &World, tag: UserTag) -> Self {
        let account = world.account.as_ref().map(AccountId::as_str);
        Self {
            object: "override".to_owned(),
            id: made.id.as_str().to_owned(),
            user: user.to_owned(),
            tag: tag_text(&tag.0),
            livemode: world.livemode,
            account: account.map(str::to_owned),
            action: made.action.as_str().to_owned(),
            attempts: made.action.attempts(),
            at: made.at().0,
            expires: made.expires.map(|expires| expires.0),
            sequence: made.arrival.sequence.0,
        }
    }
}
