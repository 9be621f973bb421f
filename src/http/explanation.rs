//! `/v1/users/{id}/explain`: how a user came to stand where they do, and why the decision is what it is.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use state_machine::horizon::{AsOf, Horizon};
use state_machine::id::{ReportId, World};
use state_machine::overrides::Override;
use state_machine::retry::check::{Check, CheckResult};
use state_machine::transition::Mark;

use super::Shared;
use super::anomalies::AnomalyJson;
use super::answer::found;
use super::aside::aside;
use super::error::Error;
use super::policy::PolicyJson;
use super::users::UserJson;
use super::why_passed::why_passed;
use crate::service::change::Change;
use crate::service::explanation::{ExplainedStep, Explanation};
use crate::service::moment::as_of_text;
use crate::service::sessions::SessionAnswer;
use crate::stripe::spelling;
use crate::stripe::user_reference::UserReference;

/// `GET /v1/users/{id}/explain`
pub(super) async fn show(
    request: HttpRequest,
    id: Path<String>,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let (world, asked) = shared.asked_in_world(&request).await?;
    let unknown = || Error::missing("id", "nothing of this world names that user");
    let reference = UserReference::new(&id).ok_or_else(unknown)?;
    let service = shared.service()?;
    let tag = service.user_tag(&reference);
    let explained = world.clone();
    let explanation = aside(move || service.explain(&explained, tag, &asked)).await?;
    let explanation = explanation.ok_or_else(unknown)?;
    let json = ExplanationJson::of(&explanation, reference.expose(), &world);
    found(&request, &json)
}

/// An explanation, as it is answered, and as `avow explain` reads it.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExplanationJson {
    /// `explanation`.
    pub object: String,
    /// What was known then is explained, as a value of the parameter.
    pub as_of: Option<String>,
    /// What had happened then is explained.
    pub valid_at: Option<i64>,
    /// The time at which is decided.
    pub now: i64,
    /// The standing, as `/v1/users/{id}` answers it.
    pub user: Value,
    /// The policy that decided.
    pub policy: DecidingPolicy,
    /// The checks of the decision, in their order.
    pub checks: Vec<CheckJson>,
    /// The overrides, in the order of the log.
    pub overrides: Vec<OverrideRow>,
    /// The sessions, in order of id.
    pub sessions: Vec<SessionRow>,
}

/// A policy, and the entry that says that it decides from there on.
#[derive(Debug, Serialize, Deserialize)]
pub struct DecidingPolicy {
    /// The entry; null where the log records no policy.
    pub sequence: Option<u64>,
    /// The policy.
    #[serde(flatten)]
    pub policy: PolicyJson,
}

/// A check of a decision.
#[derive(Debug, Serialize, Deserialize)]
pub struct CheckJson {
    /// The outcome that it would give.
    pub check: String,
    /// `applied`, `passed` or `not_reached`.
    pub result: String,
    /// Why it was passed.
    pub why: Option<Value>,
}

/// An override.
#[derive(Debug, Serialize, Deserialize)]
pub struct OverrideRow {
    /// Its id.
    pub r#override: String,
    /// What was decided.
    pub action: String,
    /// How many attempts it grants.
    pub attempts: Option<u32>,
    /// When it was made.
    pub at: i64,
    /// When it ends by itself.
    pub expires: Option<i64>,
    /// Whether it has not.
    pub in_force: bool,
    /// The entry that holds it.
    pub sequence: u64,
}

/// A session, and how it came to stand where it does.
#[derive(Debug, Serialize, Deserialize)]
pub struct SessionRow {
    /// Its id.
    pub id: String,
    /// Its status; null where no event has stated one.
    pub status: Option<String>,
    /// Its events in canonical order, and the step that each made.
    pub steps: Vec<StepRow>,
    /// What was strange.
    pub anomalies: Vec<Value>,
    /// The entry of the hold that stood.
    pub hold: Option<u64>,
    /// The entry that wants its payloads erased.
    pub erasure: Option<u64>,
}

/// An event, and the step that it made.
#[derive(Debug, Serialize, Deserialize)]
pub struct StepRow {
    /// The event.
    pub event: String,
    /// Its type.
    pub r#type: Option<String>,
    /// When it happened, at Stripe.
    pub created: i64,
    /// When we knew.
    pub received_at: i64,
    /// The entry that holds it.
    pub sequence: u64,
    /// The report that it names.
    pub last_verification_report: Option<String>,
    /// The row of the transition table.
    pub row: String,
    /// How expected it was.
    pub mark: String,
    /// The state before.
    pub from: String,
    /// The state after.
    pub to: String,
    /// What the row means.
    pub meaning: String,
    /// What it changed of the session.
    pub changes: Vec<ChangeRow>,
    /// The rules that it broke.
    pub anomalies: Vec<String>,
}

/// What a step changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChangeRow {
    /// Which fact.
    pub what: String,
    /// What it was.
    pub from: String,
    /// What it is.
    pub to: String,
}

impl ExplanationJson {
    /// Returns how an explanation is told.
    pub fn of(explanation: &Explanation, id: &str, world: &World) -> Self {
        let Horizon { as_of, valid_at } = explanation.asked.horizon;
        let user = &explanation.user;
        Self {
            object: "explanation".to_owned(),
            as_of: as_of.map(|as_of: AsOf| as_of_text(as_of)),
            valid_at: valid_at.map(|time| time.0),
            now: explanation.asked.now.0,
            user: value(&UserJson::of(user, id, world)),
            policy: DecidingPolicy {
                sequence: user.policy.recorded.map(|sequence| sequence.0),
                policy: PolicyJson::of(&user.policy.policy),
            },
            checks: explanation.checks.iter().map(CheckJson::of).collect(),
            overrides: (explanation.overrides().map(OverrideRow::of)).collect(),
            sessions: explanation.sessions().map(SessionRow::of).collect(),
        }
    }
}

impl CheckJson {
    fn of(check: &Check) -> Self {
        let (result, why) = match &check.result {
            CheckResult::Applied => ("applied", None),
            CheckResult::Passed(why) => ("passed", Some(why_passed(why))),
            CheckResult::NotReached => ("not_reached", None),
        };
        Self {
            check: check.outcome.to_owned(),
            result: result.to_owned(),
            why,
        }
    }
}

impl OverrideRow {
    fn of((made, in_force): (&Override, bool)) -> Self {
        Self {
            r#override: made.id.to_string(),
            action: made.action.as_str().to_owned(),
            attempts: made.action.attempts(),
            at: made.at().0,
            expires: made.expires.map(|expires| expires.0),
            in_force,
            sequence: made.arrival.sequence.0,
        }
    }
}

impl SessionRow {
    fn of((known, steps): (&SessionAnswer, &[ExplainedStep])) -> Self {
        let custody = known.record.custody();
        let anomalies = known.anomalies.iter();
        Self {
            id: known.id.to_string(),
            status: super::sessions::status(known.session.state.name()).map(str::to_owned),
            steps: steps.iter().map(StepRow::of).collect(),
            anomalies: anomalies
                .map(|anomaly| value(&AnomalyJson::of(anomaly)))
                .collect(),
            hold: custody.hold.map(|hold| hold.0),
            erasure: custody.erasure.map(|erasure| erasure.0),
        }
    }
}

impl StepRow {
    fn of(step: &ExplainedStep) -> Self {
        let ExplainedStep {
            recorded,
            transition,
            changes,
            anomalies,
        } = step;
        let event = &recorded.event;
        let mark = match transition.mark {
            Mark::Expected => "expected",
            Mark::Inferred => "inferred",
            Mark::Anomaly(_) => "anomaly",
        };
        Self {
            event: event.id.to_string(),
            r#type: spelling::event_type_name(event.event_type).map(str::to_owned),
            created: event.created.0,
            received_at: recorded.arrival.received_at.second().0,
            sequence: recorded.arrival.sequence.0,
            last_verification_report: event.report.as_ref().map(ReportId::to_string),
            row: transition.row.to_owned(),
            mark: mark.to_owned(),
            from: transition.from.as_str().to_owned(),
            to: transition.to.as_str().to_owned(),
            meaning: transition.meaning.to_owned(),
            changes: changes.iter().map(ChangeRow::of).collect(),
            anomalies: anomalies.iter().map(ToString::to_string).collect(),
        }
    }
}

impl ChangeRow {
    /// Returns how a change is told.
    pub fn of(change: &Change) -> Self {
        let Change { what, from, to } = change;
        Self {
            what: (*what).to_owned(),
            from: from.clone(),
            to: to.clone(),
        }
    }
}

/// Returns JSON as it is answered elsewhere. Writing plain structures to memory cannot fail.
fn value(json: &impl Serialize) -> Value {
    serde_json::to_value(json).unwrap_or_default()
}
