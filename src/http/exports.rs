//! `/v1/log/exports` and `/v1/log/checkpoints`: what an export needs of the log beside its entries.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::body::json_of;
use super::error::Error;
use super::parameters::Parameters;
use crate::log::access::{Access, Accessed};
use crate::log::tree::checkpoint_record;
use crate::transparency::export::ManifestHash;
use crate::transparency::note::Note;

const BODY_BYTES_MAX: usize = 1024;
/// How many bytes of checkpoints are sent at once, about.
const CHUNK_BYTES: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    manifest_sha256: String,
}

#[derive(Serialize)]
struct ExportJson {
    object: &'static str,
    note: String,
}

/// `POST /v1/log/exports`
pub(super) async fn sign(
    request: HttpRequest,
    body: Payload,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let body = json_of(&request, body, BODY_BYTES_MAX, &shared.options).await?;
    let manifest = manifest(&body).ok_or_else(|| {
        let message = "the body is {\"manifest_sha256\":\"<64 lower-case hexadecimal digits>\"}";
        Error::parameter("manifest_sha256", message)
    })?;
    let on = Accessed::Everything;
    shared.record_access(&request, Access::Export, on).await?;
    let note = shared.service()?.sign_export(&manifest).map_err(|error| {
        tracing::error!(%error, "an export could not be signed");
        Error::unavailable("not_signed", "the log's key cannot be read")
    })?;
    Ok(HttpResponse::Ok().json(ExportJson {
        object: "export",
        note: note.to_string(),
    }))
}

fn manifest(body: &[u8]) -> Option<ManifestHash> {
    let wanted: Wanted = serde_json::from_slice(body).ok()?;
    let hash: ManifestHash = hex::decode(&wanted.manifest_sha256).ok()?.try_into().ok()?;
    (hex::encode(hash) == wanted.manifest_sha256).then_some(hash)
}

/// `GET /v1/log/checkpoints`
pub(super) async fn checkpoints(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let mut parameters = Parameters::of(&request)?;
    let through = parameters.number("through")?.unwrap_or(u64::MAX);
    parameters.finish()?;
    let service = shared.service()?;
    let notes = service.checkpoints_through(through).map_err(|error| {
        tracing::error!(%error, "the checkpoints could not be read");
        Error::unavailable("not_readable", "the checkpoints cannot be read")
    })?;
    let body = Checkpoints(Box::new(notes));
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .body(body))
}

/// Checkpoints as they are kept, read as they are sent: years of them do not fit into memory.
struct Checkpoints(Box<dyn Iterator<Item = io::Result<Note>>>);

impl MessageBody for Checkpoints {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        let mut chunk = Vec::new();
        while chunk.len() < CHUNK_BYTES
            && let Some(note) = self.0.next()
        {
            match note {
                Ok(note) => chunk.extend(checkpoint_record(&note)),
                // The answer breaks off, so that nobody takes it for all of them.
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        Poll::Ready((!chunk.is_empty()).then(|| Ok(chunk.into())))
    }
}
