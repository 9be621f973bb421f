//! The log as C2SP's tlog-tiles serves it, for whatever audits such logs; and the payloads beside it.

use std::ops::Range;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use state_machine::id::SequenceNumber;

use super::Shared;
use super::answer::found_bytes;
use super::error::Error;
use super::parameters::Parameters;
use crate::log::access::{Access, Accessed};
use crate::transparency::tile::{EntryBundle, TILE_WIDTH};

pub(super) const TEXT: &str = "text/plain; charset=utf-8";
const BYTES: &str = "application/octet-stream";

/// What changes may be kept, but not used without asking whether it has changed.
pub(super) const ASK_AGAIN: &str = "no-cache";
/// A full tile is the same for ever.
const FOR_EVER: &str = "max-age=31536000, immutable";
/// So is a partial one, but nobody asks for it once there is a wider one.
const FOR_A_DAY: &str = "max-age=86400";
/// No cache may have what an erasure does not reach.
const NOT_AT_ALL: &str = "no-store";

const PAYLOADS: &str = "/v1/log/payloads/";

/// `GET /checkpoint`
pub(super) async fn checkpoint(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let note = shared.service()?.published_checkpoint().to_string();
    Ok(found_bytes(&request, TEXT, ASK_AGAIN, note.into_bytes()))
}

/// `GET /tile/<L>/<N>[.p/<W>]`
pub(super) async fn tile(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let tile = request.path().strip_prefix('/').map(str::parse);
    let Some(Ok(tile)) = tile else {
        return Err(Error::path_unknown());
    };
    let bytes = shared.service()?.tile(tile)?;
    Ok(found_bytes(&request, BYTES, kept(&tile.hashes()), bytes))
}

/// `GET /tile/entries/<N>[.p/<W>]`
pub(super) async fn entries(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let bundle = request.path().strip_prefix('/').map(str::parse);
    let Some(Ok(bundle)) = bundle else {
        return Err(Error::path_unknown());
    };
    let bytes = shared.service()?.entry_bundle(bundle)?;
    let kept = kept(&bundle.entries());
    Ok(found_bytes(&request, BYTES, kept, bytes))
}

/// `GET /v1/log/payloads/<N>[.p/<W>]`
pub(super) async fn payloads(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let place = request.path().strip_prefix(PAYLOADS);
    let bundle = place.map(|place| format!("tile/entries/{place}").parse::<EntryBundle>());
    let Some(Ok(bundle)) = bundle else {
        return Err(Error::path_unknown());
    };
    let entries = bundle.entries();
    let on = Accessed::Entries {
        first: SequenceNumber(entries.start),
        count: entries.end.saturating_sub(entries.start),
    };
    let bytes = shared.service()?.payload_bundle(bundle)?;
    shared.record_read(&request, Access::Payloads, on).await?;
    Ok(HttpResponse::Ok()
        .content_type(BYTES)
        .insert_header((CACHE_CONTROL, NOT_AT_ALL))
        .body(bytes))
}

/// Says how long a cache may keep so many of 256.
fn kept(range: &Range<u64>) -> &'static str {
    if range.end - range.start == u64::from(TILE_WIDTH) {
        FOR_EVER
    } else {
        FOR_A_DAY
    }
}
