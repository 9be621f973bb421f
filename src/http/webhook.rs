//! `POST /webhooks/stripe`: 200 only once the event is durable and folded.

use std::sync::Arc;

use actix_web::http::header::HeaderValue;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use serde::Serialize;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::Shared;
use super::body::body_of;
use super::error::Error;
use crate::service::{IngestError, Ingested, spans};
use crate::stripe::signature::Delivery;

#[derive(Serialize)]
#[serde(untagged)]
enum Answer<'a> {
    Recorded {
        received: bool,
        sequence: u64,
        duplicate: bool,
    },
    Ignored {
        received: bool,
        ignored: &'a str,
    },
}

pub(super) async fn receive(
    request: HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let span = spans::delivery();
    let answer = take(request, payload, shared);
    let answer = answer.instrument(span.clone()).await;
    let status = match &answer {
        Ok(answer) => answer.status(),
        Err(error) => error.status_code(),
    };
    span.record("http.response.status_code", i64::from(status.as_u16()));
    answer
}

async fn take(
    request: HttpRequest,
    payload: Payload,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    let body = body_of(payload, shared.options.body_bytes_max, &shared.options);
    let body = body.instrument(spans::receive()).await;
    let body = body.inspect_err(|error| shared.metrics.refused(error))?;
    let (sender, answer) = oneshot::channel();
    let delivery = Delivery {
        signature_header: request
            .headers()
            .get("stripe-signature")
            .map(HeaderValue::as_bytes),
        body: &body,
        received_at: (shared.options.clock)(),
    };
    let service = shared.service();
    let service = service.inspect_err(|error| shared.metrics.refused(error))?;
    let metrics = Arc::clone(&shared.metrics);
    service.ingest(delivery, move |ingested| {
        let is_forged = matches!(&ingested, Err(IngestError::Authentication(_)));
        let ingested = ingested.map_err(Error::from);
        metrics.delivered(&ingested);
        // A client that has gone is not told; its event is durable, and it will deliver again.
        drop(sender.send((ingested, is_forged)));
    });
    let lost = |_| Error::unavailable("closing", "the service is closing; deliver again");
    let (ingested, is_forged) = answer.await.map_err(lost)?;
    let ingested = ingested.map_err(|error| {
        if is_forged {
            shared.limits.refusal(error, &request)
        } else {
            error
        }
    })?;
    Ok(HttpResponse::Ok().json(match &ingested {
        Ingested::Recorded(appended) | Ingested::Unreadable(appended) => Answer::Recorded {
            received: true,
            sequence: appended.sequence.0,
            duplicate: appended.duplicate,
        },
        Ingested::Ignored { event_type } => Answer::Ignored {
            received: true,
            ignored: event_type,
        },
    }))
}
