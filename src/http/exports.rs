//! `/v1/log/exports` and `/v1/log/checkpoints`: what an export needs of the log beside its entries.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::{io, mem};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web::{Bytes, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::aside::aside;
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
    let body = Checkpoints::Next(Box::new(notes));
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .body(body))
}

/// Checkpoints as they are kept, read as they are sent: years of them do not fit into memory.
enum Checkpoints {
    Next(Notes),
    /// The next chunk is read aside.
    Reading(Pin<Box<dyn Future<Output = Result<Chunk, Error>>>>),
    Ended,
}

type Notes = Box<dyn Iterator<Item = io::Result<Note>> + Send>;

/// Some of them, and those behind.
struct Chunk {
    bytes: io::Result<Vec<u8>>,
    rest: Notes,
}

impl Chunk {
    fn read(mut notes: Notes) -> Self {
        let mut bytes = Ok(Vec::new());
        while let Ok(read) = &mut bytes
            && read.len() < CHUNK_BYTES
            && let Some(note) = notes.next()
        {
            match note {
                Ok(note) => read.extend(checkpoint_record(&note)),
                // The answer breaks off, so that nobody takes it for all of them.
                Err(error) => bytes = Err(error),
            }
        }
        Self { bytes, rest: notes }
    }
}

impl MessageBody for Checkpoints {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        loop {
            match mem::replace(&mut *self, Self::Ended) {
                Self::Ended => return Poll::Ready(None),
                Self::Next(notes) => {
                    let chunk = aside(move || Ok::<_, Error>(Chunk::read(notes)));
                    *self = Self::Reading(Box::pin(chunk));
                }
                Self::Reading(mut chunk) => {
                    let Poll::Ready(chunk) = chunk.as_mut().poll(context) else {
                        *self = Self::Reading(chunk);
                        return Poll::Pending;
                    };
                    let closing = |_| io::Error::other("the service is closing");
                    let Chunk { bytes, rest } = chunk.map_err(closing)?;
                    let bytes = bytes?;
                    if !bytes.is_empty() {
                        *self = Self::Next(rest);
                        return Poll::Ready(Some(Ok(bytes.into())));
                    }
                }
            }
        }
    }
}
