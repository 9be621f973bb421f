//! `GET /v1/digest`: one hash over the projections, by which two folds are compared.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;

use super::Shared;
use super::answer::found;
use super::aside::aside;
use super::error::Error;
use super::parameters::Parameters;
use crate::projections::store::REDUCER_VERSION;

#[derive(Serialize)]
struct DigestJson {
    object: &'static str,
    /// The first entry that is not folded.
    sequence: u64,
    digest: String,
    reducer_version: u32,
}

/// `GET /v1/digest`
pub(super) async fn show(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let service = shared.service()?;
    let digest = aside(move || service.digest()).await?;
    let answer = DigestJson {
        object: "digest",
        sequence: digest.sequence.0,
        digest: digest.to_string(),
        reducer_version: REDUCER_VERSION,
    };
    found(&request, &answer)
}
