//! `GET /openapi.json`: a description of every path, for programs that make clients of it. It is written by hand, and
//! `tests/openapi.rs` holds it against `routes()` and against real answers.

use actix_web::{HttpRequest, HttpResponse};

use super::answer::found_bytes;
use super::error::Error;
use super::parameters::Parameters;

/// The description.
pub const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET /openapi.json`
pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let bytes = DESCRIPTION.as_bytes().to_vec();
    Ok(found_bytes(&request, "application/json", "no-cache", bytes))
}
