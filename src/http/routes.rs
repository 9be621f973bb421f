//! The paths, and what each asks of whoever calls it: the only list there is.

use std::future::ready;

use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpResponse, Responder, ResponseError, Route};

use super::error::Error;
use super::{
    anomalies, custody, digest, entries, explanation, exports, gate, health, metrics, openapi,
    overrides, rebuilds, sessions, tlog, users, webhook,
};
use crate::access::gate::Gate;
use crate::access::scope::Scope;

/// What reads.
const READ: Gate = Gate::Scope(Scope::Read);
/// What proves, and is never public: it shows sealed payloads, or what operators said.
const AUDIT: Gate = Gate::Scope(Scope::Audit);
/// What changes something.
const OPERATE: Gate = Gate::Scope(Scope::Operate);

/// A method of a path, what it asks for, and what answers it.
pub struct At {
    /// The method.
    pub method: Method,
    /// The path, with its parts in braces.
    pub path: &'static str,
    /// What it asks of whoever calls it.
    pub gate: Gate,
    route: Route,
}

/// Returns every path. The methods of one path stand together; a path stands before those that would match it too.
pub fn routes() -> Vec<At> {
    vec![
        post("/webhooks/stripe", Gate::Signature, webhook::receive),
        get("/v1/users", READ, users::list),
        get("/v1/users/{id}", READ, users::show),
        get("/v1/users/{id}/explain", READ, explanation::show),
        get("/v1/users/{id}/overrides", READ, overrides::list),
        post("/v1/users/{id}/overrides", OPERATE, overrides::make),
        get("/v1/sessions", READ, sessions::list),
        get("/v1/sessions/{id}", READ, sessions::show),
        get("/v1/sessions/{id}/history", READ, sessions::history),
        post("/v1/sessions/{id}/erase", OPERATE, custody::erase),
        post("/v1/sessions/{id}/hold", OPERATE, custody::hold),
        post("/v1/sessions/{id}/release", OPERATE, custody::release),
        get("/v1/anomalies", READ, anomalies::list),
        get("/v1/digest", READ, digest::show),
        get("/v1/rebuilds", OPERATE, rebuilds::list),
        post("/v1/rebuilds", OPERATE, rebuilds::begin),
        get("/v1/rebuilds/{id}", OPERATE, rebuilds::show),
        post("/v1/rebuilds/{id}/cancel", OPERATE, rebuilds::cancel),
        get("/v1/log", Gate::Evidence, entries::head),
        get("/v1/log/checkpoints", Gate::Evidence, exports::checkpoints),
        post("/v1/log/exports", AUDIT, exports::sign),
        get("/v1/log/entries/{sequence}", AUDIT, entries::show),
        get(
            "/v1/log/entries/{sequence}/proof",
            Gate::Evidence,
            entries::proof,
        ),
        get("/v1/log/payloads/{place:.*}", AUDIT, tlog::payloads),
        get("/checkpoint", Gate::Evidence, tlog::checkpoint),
        get("/tile/entries/{place:.*}", Gate::Evidence, tlog::entries),
        get("/tile/{place:.*}", Gate::Evidence, tlog::tile),
        get("/metrics", Gate::Metrics, metrics::show),
        get("/openapi.json", Gate::Open, openapi::show),
        get("/healthz", Gate::Open, health::alive),
        get("/readyz", Gate::Open, health::ready),
    ]
}

fn get<H, Args>(path: &'static str, gate: Gate, handler: H) -> At
where
    H: Handler<Args>,
    Args: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    at(Method::GET, path, gate, handler)
}

fn post<H, Args>(path: &'static str, gate: Gate, handler: H) -> At
where
    H: Handler<Args>,
    Args: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    at(Method::POST, path, gate, handler)
}

fn at<H, Args>(method: Method, path: &'static str, gate: Gate, handler: H) -> At
where
    H: Handler<Args>,
    Args: FromRequest + 'static,
    H::Output: Responder + 'static,
{
    let route = web::method(method.clone()).to(handler);
    At {
        method,
        path,
        gate,
        route: gate::before(route, gate),
    }
}

/// The path of the list that a request took, which bounds what is counted by path.
#[derive(Clone, Copy)]
pub(super) struct Pattern(pub(super) &'static str);

/// Puts every path where requests find it.
pub(super) fn configure(config: &mut ServiceConfig) {
    let mut routes = routes().into_iter().peekable();
    while let Some(first) = routes.next() {
        let resource = web::resource(first.path).app_data(Pattern(first.path));
        let mut methods = first.method.to_string();
        let mut resource = resource.route(first.route);
        while let Some(other) = routes.next_if(|next| next.path == first.path) {
            methods = format!("{methods}, {}", other.method);
            resource = resource.route(other.route);
        }
        let other_method = move || ready(other_method(&methods));
        config.service(resource.default_service(web::to(other_method)));
    }
    config.default_service(web::to(unknown_path));
}

async fn unknown_path() -> HttpResponse {
    Error::path_unknown().error_response()
}

/// Refuses a method, and says which ones the path has.
fn other_method(methods: &str) -> HttpResponse {
    let message = "this path does not answer that method";
    let refusal = Error::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    );
    let mut answer = refusal.error_response();
    if let Ok(methods) = HeaderValue::try_from(methods) {
        answer.headers_mut().insert(ALLOW, methods);
    }
    answer
}
