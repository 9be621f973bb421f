//! The HTTP interface of a witness: C2SP tlog-witness, without the optional `sign-subtree`.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header::ContentType;
use actix_web::http::{KeepAlive, StatusCode};
use actix_web::web::{self, Bytes, Data, Path, Payload, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer};

use super::cosigner::{Refusal, Witness};
use crate::transparency::add_checkpoint::PROOF_HASHES_MAX;
use crate::transparency::note::NOTE_BYTES_MAX;

/// The longest line before a checkpoint: 32 bytes in base64, or the old size.
const LINE_BYTES_MAX: usize = 64;
/// Room for the old size, a whole proof and the longest checkpoint.
const BODY_BYTES_MAX: usize = (PROOF_HASHES_MAX + 2) * LINE_BYTES_MAX + NOTE_BYTES_MAX;
/// How long a client may take to send the head of a request, and then its body.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(5);
const SHUTDOWN_SECONDS: u64 = 10;
const WORKERS: usize = 2;
const CONNECTIONS_PER_WORKER_MAX: usize = 256;

/// The media type of the size in a refusal.
const SIZE_TYPE: &str = "text/x.tlog.size";

/// Starts to serve on a listener. The server runs while the returned future is polled, and ends when its handle is
/// stopped, once open requests have ended.
pub fn serve(witness: Arc<Witness>, listener: TcpListener) -> io::Result<Server> {
    let witness = Data::from(witness);
    let app = move || App::new().app_data(Data::clone(&witness)).configure(routes);
    let server = HttpServer::new(app)
        .workers(WORKERS)
        .max_connections(CONNECTIONS_PER_WORKER_MAX)
        .client_request_timeout(CLIENT_TIMEOUT)
        // One request a connection: actix bounds the time for the head of the first alone, and half a second one would
        // hold the connection for as long as its sender likes.
        .keep_alive(KeepAlive::Disabled)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

/// The paths, and what answers them.
fn routes(config: &mut ServiceConfig) {
    let at = |path, route| web::resource(path).route(route);
    config
        .service(at("/add-checkpoint", web::post().to(add_checkpoint)))
        .service(at("/{origin_hash}/checkpoint", web::get().to(checkpoint)))
        .service(at("/healthz", web::get().to(health)));
}

async fn add_checkpoint(payload: Payload, witness: Data<Witness>) -> HttpResponse {
    let body = match body_of(payload).await {
        Ok(body) => body,
        Err(status) => return HttpResponse::new(status),
    };
    // Away from the worker's thread: it waits for its turn and for the disk.
    match web::block(move || witness.add_checkpoint(&body)).await {
        Ok(Ok(cosignature)) => text(StatusCode::OK, &cosignature.to_string()),
        Ok(Err(refusal)) => refuse(&refusal),
        Err(_) => HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn checkpoint(hash: Path<String>, witness: Data<Witness>) -> HttpResponse {
    match web::block(move || witness.latest(&hash)).await {
        Ok(Some(note)) => HttpResponse::Ok()
            .content_type(ContentType::plaintext())
            .body(note),
        Ok(None) => text(
            StatusCode::NOT_FOUND,
            "no checkpoint of that log was cosigned",
        ),
        Err(_) => HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn health(witness: Data<Witness>) -> HttpResponse {
    match web::block(move || witness.is_well()).await {
        Ok(true) => text(StatusCode::OK, "alive"),
        Ok(false) | Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "cosigning has stopped"),
    }
}

async fn body_of(payload: Payload) -> Result<Bytes, StatusCode> {
    let body = payload.to_bytes_limited(BODY_BYTES_MAX);
    match tokio::time::timeout(CLIENT_TIMEOUT, body).await {
        Ok(Ok(Ok(body))) => Ok(body),
        Ok(Ok(Err(_))) => Err(StatusCode::BAD_REQUEST),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

/// The one place that maps refusals to status codes: those of the specification.
fn refuse(refusal: &Refusal) -> HttpResponse {
    let status = match refusal {
        Refusal::OtherOldSize { cosigned } => {
            return HttpResponse::Conflict()
                .content_type(SIZE_TYPE)
                .body(format!("{cosigned}\n"));
        }
        Refusal::Malformed(_) | Refusal::NotACheckpoint(_) | Refusal::OldSizeGreater { .. } => {
            StatusCode::BAD_REQUEST
        }
        Refusal::UnknownLog => StatusCode::NOT_FOUND,
        Refusal::Unauthentic(_) => StatusCode::FORBIDDEN,
        Refusal::Inconsistent(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::NoTime => StatusCode::INTERNAL_SERVER_ERROR,
        Refusal::NotKept(error) => {
            tracing::error!(%error, "a checkpoint could not be kept; its log is not cosigned until a restart");
            StatusCode::INTERNAL_SERVER_ERROR
        }
        Refusal::Stopped => StatusCode::SERVICE_UNAVAILABLE,
    };
    text(status, &refusal.to_string())
}

fn text(status: StatusCode, line: &str) -> HttpResponse {
    HttpResponse::build(status)
        .content_type(ContentType::plaintext())
        .body(format!("{line}\n"))
}
