//! `/v1/anomalies`: strange facts, the latest first.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use state_machine::id::{EventId, SequenceNumber, SessionId};

use super::Shared;
use super::answer::{List, found};
use super::error::Error;
use super::parameters::Parameters;
use crate::projections::listing::ListedAnomaly;

/// `GET /v1/anomalies`
pub(super) async fn list(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let mut parameters = Parameters::of(&request)?;
    let world = shared.world(&mut parameters).await?;
    let limit = parameters.limit(&shared.options)?;
    let position = parameters.position(place)?;
    parameters.finish()?;
    let page = shared.service()?.anomalies(&world, position, limit)?;
    found(&request, &List::of("/v1/anomalies", &page, AnomalyJson::of))
}

/// An anomaly: `id` is its entry and its rule, and so a place in the list.
#[derive(Serialize)]
pub(super) struct AnomalyJson<'a> {
    object: &'static str,
    id: String,
    rule: &'a str,
    event: Option<&'a str>,
    session: Option<&'a str>,
    at: i64,
    sequence: u64,
}

impl<'a> AnomalyJson<'a> {
    pub(super) fn of(anomaly: &'a ListedAnomaly) -> Self {
        Self {
            object: "anomaly",
            id: format!("{}-{}", anomaly.sequence, anomaly.rule),
            rule: &anomaly.rule,
            event: anomaly.event.as_ref().map(EventId::as_str),
            session: anomaly.session.as_ref().map(SessionId::as_str),
            at: anomaly.at.0,
            sequence: anomaly.sequence.0,
        }
    }
}

fn place(id: &str) -> Option<(SequenceNumber, String)> {
    let (sequence, rule) = id.split_once('-')?;
    Some((SequenceNumber(sequence.parse().ok()?), rule.to_owned()))
}
