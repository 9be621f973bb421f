//! `GET /metrics`: what Prometheus scrapes. What happens is counted here as it happens; what stands is read when asked
//! for. No label holds an id, a path as it came, or anything else that a client can choose.

mod gauges;
mod process;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use state_machine::retry::Outcome;

use super::Shared;
use super::error::Error;
use super::parameters::Parameters;
use super::routes::Pattern;
use crate::service::{Ingested, Service};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`
pub(super) async fn show(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let service = shared.service()?;
    let (metrics, now) = (Arc::clone(&shared.metrics), (shared.options.clock)());
    // It looks at the disk, which must not keep those waiting who ask for little.
    let text = web::block(move || metrics.text(&gauges::registry(&service, now))).await;
    let text = text.map_err(|_| Error::unavailable("closing", "the service is closing"))?;
    let text = text.map_err(|_| {
        Error::unavailable(
            "not_serializable",
            "the answer could not be written as text",
        )
    })?;
    Ok(HttpResponse::Ok().content_type(OPEN_METRICS).body(text))
}

/// What is counted as it happens.
pub(super) struct Metrics {
    registry: Registry,
    deliveries: Family<Delivery, Counter>,
    decisions: Family<Decision, Counter>,
    requests: Family<Request, Histogram, fn() -> Histogram>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Delivery {
    outcome: &'static str,
    /// Of a refusal, its code.
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Decision {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    route: &'static str,
    method: &'static str,
    status: u16,
}

impl Metrics {
    pub(super) fn of(service: &Service) -> Self {
        let metrics = Self {
            registry: Registry::default(),
            deliveries: Family::default(),
            decisions: Family::default(),
            requests: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.000_25, 4.0, 8))
            }),
        };
        // Counters that begin with the first event hide that event from whoever looks at their growth.
        for outcome in ["recorded", "duplicate", "conflict", "unreadable", "foreign"] {
            let delivery = Delivery { outcome, code: "" };
            drop(metrics.deliveries.get_or_create(&delivery));
        }
        for outcome in Outcome::NAMES {
            drop(metrics.decisions.get_or_create(&Decision { outcome }));
        }
        metrics.registered(service)
    }

    fn registered(mut self, service: &Service) -> Self {
        let (deliveries, decisions) = (self.deliveries.clone(), self.decisions.clone());
        let (requests, log) = (self.requests.clone(), service.log().measures().clone());
        let registry = &mut self.registry;
        registry.register(
            "avow_deliveries",
            "Deliveries, by what became of them; of those refused, by the code of the error",
            deliveries,
        );
        registry.register(
            "avow_decisions",
            "Decisions that were answered about one user, by outcome",
            decisions,
        );
        registry.register(
            "avow_http_request_seconds",
            "How long requests took, by the pattern of their path, method and status",
            requests,
        );
        registry.register(
            "avow_commit_entries",
            "How many entries a commit made durable",
            log.group_entries,
        );
        registry.register(
            "avow_commit_seconds",
            "How long a commit took, from the first look at its entries to the last answer",
            log.commit_seconds,
        );
        registry.register(
            "avow_journal_sync_seconds",
            "How long the write and the sync of a commit took",
            log.sync_seconds,
        );
        self
    }

    /// Counts a delivery that came as far as the service.
    pub(super) fn delivered(&self, ingested: &Result<Ingested, Error>) {
        let outcome = match ingested {
            Ok(Ingested::Recorded(appended) | Ingested::Unreadable(appended))
                if appended.duplicate =>
            {
                "duplicate"
            }
            Ok(Ingested::Recorded(appended)) if appended.conflicts => "conflict",
            Ok(Ingested::Recorded(_)) => "recorded",
            Ok(Ingested::Unreadable(_)) => "unreadable",
            Ok(Ingested::Ignored { .. }) => "foreign",
            Err(error) => return self.refused(error),
        };
        self.delivery(outcome, "");
    }

    /// Counts a delivery that was refused.
    pub(super) fn refused(&self, error: &Error) {
        self.delivery("refused", error.code());
    }

    fn delivery(&self, outcome: &'static str, code: &'static str) {
        let delivery = Delivery { outcome, code };
        self.deliveries.get_or_create(&delivery).inc();
    }

    /// Counts a decision that is answered.
    pub(super) fn decided(&self, outcome: &Outcome) {
        let outcome = outcome.as_str();
        self.decisions.get_or_create(&Decision { outcome }).inc();
    }

    fn text(&self, gauges: &Registry) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode_registry(&mut text, &self.registry)?;
        encode_registry(&mut text, gauges)?;
        encode_eof(&mut text)?;
        Ok(text)
    }
}

/// Measures each request.
pub(super) async fn measure(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let start = Instant::now();
    let response = next.call(request).await?;
    let request = response.request();
    if let Some(shared) = request.app_data::<Data<Shared>>() {
        let pattern = request.app_data::<Pattern>();
        let labels = Request {
            route: pattern.map_or("none", |pattern| pattern.0),
            method: method(request.method()),
            status: response.status().as_u16(),
        };
        let seconds = start.elapsed().as_secs_f64();
        let requests = &shared.metrics.requests;
        requests.get_or_create(&labels).observe(seconds);
    }
    Ok(response)
}

/// Returns the name of a method; a client may send any word for one.
fn method(method: &Method) -> &'static str {
    [
        (Method::GET, "GET"),
        (Method::POST, "POST"),
        (Method::HEAD, "HEAD"),
        (Method::PUT, "PUT"),
        (Method::DELETE, "DELETE"),
        (Method::OPTIONS, "OPTIONS"),
    ]
    .into_iter()
    .find(|(known, _)| known == method)
    .map_or("other", |(_, name)| name)
}
