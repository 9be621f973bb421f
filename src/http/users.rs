//! `/v1/users`: the standing of a user, and whether they may try again.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use serde_json::{Value, json};
use state_machine::id::{AccountId, SessionId, UserTag, World};
use state_machine::retry::reason::Reason;
use state_machine::retry::{Decision, Outcome};

use super::Shared;
use super::answer::{List, found};
use super::aside::{aside, aside_unless};
use super::error::Error;
use super::parameters::Parameters;
use super::sessions::{LastErrorAtJson, SessionSummary, status};
use crate::log::access::{Access, Accessed};
use crate::service::Service;
use crate::service::change::{TAG_PREFIX, tag_text};
use crate::service::sessions::UserName;
use crate::service::users::{UserAnswer, UserFilter};
use crate::stripe::user_reference::UserReference;

/// What an unreadable user reference reads as, after Stripe's own word for erased texts.
const REDACTED: &str = "[redacted]";
/// What the reference of a user reads as whom no session names: overrides hold the tag alone.
const UNNAMED: &str = "[unnamed]";

/// `GET /v1/users/{id}`
pub(super) async fn show(
    request: HttpRequest,
    id: Path<String>,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let (world, asked) = shared.asked_in_world(&request).await?;
    let unknown = || Error::missing("id", "no session of this world names that user");
    let reference = UserReference::new(&id).ok_or_else(unknown)?;
    let service = shared.service()?;
    let tag = service.user_tag(&reference);
    let is_now = asked.horizon.is_open();
    let of = world.clone();
    let user = aside_unless(is_now, move || service.user(&of, tag, &asked)).await?;
    let user = user.ok_or_else(unknown)?;
    if is_now {
        shared.metrics.decided(&user.decision.outcome);
    }
    found(&request, &UserJson::of(&user, reference.expose(), &world))
}

/// `GET /v1/users`
pub(super) async fn list(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let mut parameters = Parameters::of(&request)?;
    let world = shared.world(&mut parameters).await?;
    let limit = parameters.limit(&shared.options)?;
    let service = shared.service()?;
    let position = parameters.position(|text| place(&service, text))?;
    let filter = UserFilter {
        status: parameters.status()?,
        outcome: parameters.outcome()?,
        remaining_max: parameters.number("remaining_max")?,
    };
    let asked = shared.asked(&mut parameters).await?;
    parameters.finish()?;

    let names = Accessed::World(world.clone());
    shared.record_read(&request, Access::Users, names).await?;
    let listed = world.clone();
    let page = aside(move || service.users(&listed, &filter, position, limit, &asked)).await?;
    let mut list = List::of("/v1/users", &page.users, |(name, user)| {
        UserJson::of(user, text_of(name), &world)
    });
    list.scanned_to = page.scanned_to.map(|user| tag_text(&user.0));
    found(&request, &list)
}

/// Returns where a user stands in the list: named by reference, or by `tag`, which outlasts an erasure.
fn place(service: &Service, text: &str) -> Option<UserTag> {
    let digits = text
        .strip_prefix(TAG_PREFIX)
        .filter(|digits| digits.len() == 32);
    let mut tag = [0; 16];
    match digits.map(|digits| hex::decode_to_slice(digits, &mut tag)) {
        Some(Ok(())) => Some(UserTag(tag)),
        Some(Err(_)) | None => Some(service.user_tag(&UserReference::new(text)?)),
    }
}

/// Returns what a user's name reads as.
pub(super) fn text_of(name: &UserName) -> &str {
    match name {
        UserName::Reference(reference) => reference.expose(),
        UserName::Redacted => REDACTED,
        UserName::Unnamed => UNNAMED,
    }
}

#[derive(Serialize)]
pub(super) struct UserJson<'a> {
    object: &'static str,
    id: &'a str,
    tag: String,
    livemode: bool,
    account: Option<&'a str>,
    status: Option<&'static str>,
    since: Option<i64>,
    current_session: Option<&'a str>,
    attempts: AttemptsJson,
    last_error: Option<LastErrorAtJson<'a>>,
    reversed: bool,
    decision: DecisionJson<'a>,
    sessions: Vec<SessionSummary<'a>>,
    anomalies: usize,
    sequence: u64,
}

#[derive(Serialize)]
struct AttemptsJson {
    total: u32,
    in_window: u32,
    limit: u32,
}

impl<'a> UserJson<'a> {
    pub(super) fn of(user: &'a UserAnswer, id: &'a str, world: &'a World) -> Self {
        let standing = user.standing();
        Self {
            object: "user_standing",
            id,
            tag: tag_text(&user.tag.0),
            livemode: world.livemode,
            account: world.account.as_ref().map(AccountId::as_str),
            status: status(standing.status()),
            since: standing.since().map(|since| since.0),
            current_session: standing.current().map(|(id, _)| id.as_str()),
            attempts: AttemptsJson {
                total: standing.attempts_total(),
                in_window: user.decision.attempts_in_window,
                limit: user.decision.limit,
            },
            last_error: standing.last_error().map(LastErrorAtJson::of),
            reversed: standing.is_reversed(),
            decision: DecisionJson::of(&user.decision, &user.policy.hash),
            sessions: standing
                .sessions
                .iter()
                .map(|(id, session)| SessionSummary::of(id, session))
                .collect(),
            anomalies: user
                .known
                .sessions
                .iter()
                .map(|known| known.anomalies.len())
                .sum(),
            sequence: user.last_sequence().0,
        }
    }
}

#[derive(Serialize)]
struct DecisionJson<'a> {
    outcome: &'static str,
    remaining: u32,
    retry_at: Option<i64>,
    resume_session: Option<&'a str>,
    policy: &'a str,
    reasons: Vec<Value>,
}

impl<'a> DecisionJson<'a> {
    fn of(decision: &'a Decision, policy: &'a str) -> Self {
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
        Self {
            outcome: decision.outcome.as_str(),
            remaining,
            retry_at: retry_at.map(|time| time.0),
            resume_session: resume.map(SessionId::as_str),
            policy,
            reasons: decision.reasons.iter().map(reason).collect(),
        }
    }
}

fn reason(reason: &Reason) -> Value {
    let mut json = match reason {
        Reason::SessionVerified { session, at } => {
            json!({ "session": session.as_str(), "at": at.0 })
        }
        Reason::SessionProcessing { session, since } => {
            json!({ "session": session.as_str(), "since": since.0 })
        }
        Reason::Block { id, at, expires } | Reason::Reset { id, at, expires } => {
            json!({ "override": id.as_str(), "at": at.0, "expires": expires.map(|time| time.0) })
        }
        Reason::Error {
            session,
            code,
            class,
            at,
        } => json!({
            "session": session.as_str(), "code": code.as_str(), "class": class.as_str(), "at": at.0,
        }),
        Reason::Attempt {
            session,
            at,
            leaves_at,
        } => {
            json!({ "session": session.as_str(), "at": at.0, "leaves_at": leaves_at.0 })
        }
        Reason::Cooldown {
            failures,
            last_at,
            seconds,
        } => {
            json!({ "failures": failures, "last_at": last_at.0, "seconds": seconds })
        }
        Reason::Grant {
            id,
            attempts,
            expires,
        } => {
            json!({ "override": id.as_str(), "attempts": attempts, "expires": expires.map(|time| time.0) })
        }
    };
    if let Value::Object(members) = &mut json {
        members.insert("reason".to_owned(), reason.as_str().into());
    }
    json
}
