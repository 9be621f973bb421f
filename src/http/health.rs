//! `/healthz` says that the process lives, `/readyz` that it can do its work.

use actix_web::web::Data;
use actix_web::{HttpResponse, http::StatusCode};
use serde::Serialize;

use super::Shared;
use super::error::Error;

#[derive(Serialize)]
struct HealthJson {
    status: &'static str,
    /// Why the service is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    obstacle: Option<&'static str>,
    entries: u64,
    projected: Option<u64>,
    queue: usize,
}

/// `GET /healthz`
pub(super) async fn alive() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "status": "alive" }))
}

/// `GET /readyz`
pub(super) async fn ready(shared: Data<Shared>) -> Result<HttpResponse, Error> {
    let health = shared.service()?.health();
    let obstacle = health.obstacle();
    let (code, status) = match obstacle {
        None => (StatusCode::OK, "ready"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    Ok(HttpResponse::build(code).json(HealthJson {
        status,
        obstacle,
        entries: health.log_size,
        projected: health.projections.cursor.map(|cursor| cursor.0),
        queue: health.log.queue_entries,
    }))
}
