//! What stands before a path: whoever does not pass is answered here, and no handler runs.

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, ResponseError, Route};

use super::Shared;
use super::error::Error;
use crate::access::admission::Caller;
use crate::access::gate::Gate;

/// Puts a gate before a route. Handlers find the [`Caller`] among the request's extensions.
pub(super) fn before(route: Route, gate: Gate) -> Route {
    route.wrap(from_fn(move |request: ServiceRequest, next: Next<_>| {
        pass(gate, request, next)
    }))
}

async fn pass(
    gate: Gate,
    request: ServiceRequest,
    next: Next<impl actix_web::body::MessageBody + 'static>,
) -> Result<ServiceResponse, actix_web::Error> {
    match caller(gate, request.request()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            Ok(next.call(request).await?.map_into_boxed_body())
        }
        Err(error) => Ok(request.into_response(error.error_response())),
    }
}

fn caller(gate: Gate, request: &HttpRequest) -> Result<Caller, Error> {
    let shared = request
        .app_data::<Data<Shared>>()
        .ok_or_else(|| Error::unavailable("closing", "the service is closing; ask again"))?;
    let authorization = request.headers().get_all(AUTHORIZATION);
    let admission = &shared.options.admission;
    let values = authorization.map(HeaderValue::as_bytes);
    let admitted = admission.admit(gate, values, shared.now());
    let caller = admitted.map_err(|refusal| shared.limits.refusal(refusal.into(), request))?;
    match gate {
        // Stripe's deliveries are never too many, and from where they come is nobody's to say.
        Gate::Signature => {}
        Gate::Open | Gate::Scope(_) | Gate::Evidence | Gate::Metrics => {
            // Without tokens nobody but this machine asks, or what lets nobody else through, for all whom it does.
            if admission.has_register() {
                shared.limits.request(&caller, request)?;
            }
        }
    }
    Ok(caller)
}
