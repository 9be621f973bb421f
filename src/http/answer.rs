//! Successful answers: with an `ETag`, or 304 where the client holds it already.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error::Error;
use crate::service::read::Page;

/// Answers a read with JSON.
pub(super) fn found(request: &HttpRequest, body: &impl Serialize) -> Result<HttpResponse, Error> {
    let bytes = serde_json::to_vec(body).map_err(|_| {
        Error::unavailable(
            "not_serializable",
            "the answer could not be written as JSON",
        )
    })?;
    Ok(tagged(
        request,
        HttpResponse::Ok().content_type("application/json"),
        bytes,
    ))
}

/// Answers a read with bytes that are JSON to nobody, and says how long they may be kept.
pub(super) fn found_bytes(
    request: &HttpRequest,
    content_type: &'static str,
    kept: &'static str,
    bytes: Vec<u8>,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type(content_type);
    tagged(
        request,
        response.insert_header((CACHE_CONTROL, kept)),
        bytes,
    )
}

/// Completes an answer. The tag is a hash of the bytes: an answer that reads the same is the same.
fn tagged(
    request: &HttpRequest,
    response: &mut HttpResponseBuilder,
    bytes: Vec<u8>,
) -> HttpResponse {
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    let (half, _) = digest.split_at(16);
    let tag = format!("\"{}\"", hex::encode(half));
    let is_held = is_held(request, &tag);
    response.insert_header((ETAG, tag));
    if is_held {
        response.status(StatusCode::NOT_MODIFIED).finish()
    } else {
        response.body(bytes)
    }
}

/// Says whether the client holds the answer of that tag (RFC 9110, section 13.1.2: weak comparison).
fn is_held(request: &HttpRequest, tag: &str) -> bool {
    let headers = request.headers().get_all(IF_NONE_MATCH);
    let tags = headers
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tags.map(str::trim)
        .any(|held| held == "*" || held.strip_prefix("W/").unwrap_or(held) == tag)
}

/// A list, in Stripe's shape.
#[derive(Serialize)]
pub(super) struct List<'a, T> {
    object: &'static str,
    url: &'a str,
    has_more: bool,
    /// Where a filtered list stopped looking before its page was full: the next page's `starting_after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scanned_to: Option<String>,
    data: Vec<T>,
}

impl<'a, T> List<'a, T> {
    /// Makes a list of the items of a page.
    pub(super) fn of<I>(url: &'a str, page: &'a Page<I>, item: impl FnMut(&'a I) -> T) -> Self {
        Self {
            object: "list",
            url,
            has_more: page.has_more,
            scanned_to: None,
            data: page.items.iter().map(item).collect(),
        }
    }
}
