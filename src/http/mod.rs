//! Floor 5, HTTP: translates requests into questions and answers into JSON. Decides nothing.

mod anomalies;
mod answer;
mod aside;
mod body;
mod caller;
mod connection;
pub mod custody;
mod digest;
mod entries;
mod error;
pub mod explanation;
mod exports;
mod facts;
mod gate;
mod health;
pub mod limits;
mod listening;
mod metrics;
pub mod openapi;
pub mod overrides;
mod parameters;
pub mod policy;
mod read_error;
pub mod rebuild_answer;
mod rebuilds;
pub mod routes;
mod sessions;
mod tlog;
mod transport;
mod users;
mod webhook;
mod why_passed;

use std::io;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpRequest};
use state_machine::id::{SequenceNumber, World};
use state_machine::time::{ReceivedAt, Timestamp};

use crate::access::admission::Admission;
use crate::service::Service;
use crate::service::asked::Asked;
use crate::tls::certificate::Certificate;
use connection::{AtWork, Connection, Held};
use error::Error;
use limits::{Limits, Rates};
use metrics::Metrics;
use parameters::Parameters;

/// How requests are served. Every bound has a safe default in the configuration.
#[derive(Clone)]
pub struct Options {
    /// How large the body of a delivery may be.
    pub body_bytes_max: usize,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// How long a client may take to send the head of a request, and for the handshake of TLS.
    pub head_timeout: Duration,
    /// How long a client may take to take some more of an answer.
    pub write_timeout: Duration,
    /// How long a connection without a request stays open.
    pub keep_alive: Duration,
    /// How many connections each worker holds.
    pub connections_per_worker_max: usize,
    /// How many threads serve requests.
    pub workers: usize,
    /// How long a request with `min_sequence` waits.
    pub min_sequence_wait_max: Duration,
    /// How many elements a list holds that asks for no `limit`.
    pub list_limit_default: usize,
    /// The greatest `limit`.
    pub list_limit_max: usize,
    /// The world of a request that names none.
    pub default_world: World,
    /// How long open requests may take to end.
    pub shutdown: Duration,
    /// What is shown to clients, if TLS is spoken.
    pub certificate: Option<Arc<Certificate>>,
    /// Who is admitted to what.
    pub admission: Arc<Admission>,
    /// How often what may be asked.
    pub rates: Rates,
    /// The clock of the service.
    pub clock: fn() -> ReceivedAt,
}

/// What every handler shares.
struct Shared {
    /// Weak, so that whoever opened the service also closes it, and not the last worker thread to end.
    service: Weak<Service>,
    options: Options,
    metrics: Arc<Metrics>,
    limits: Limits,
}

impl Shared {
    fn service(&self) -> Result<Arc<Service>, Error> {
        let closing = || Error::unavailable("closing", "the service is closing; ask again");
        self.service.upgrade().ok_or_else(closing)
    }

    fn now(&self) -> Timestamp {
        Timestamp((self.options.clock)().0.div_euclid(1000))
    }

    /// Takes `livemode`, `account` and `min_sequence`, and waits until the projections hold that entry.
    async fn world(&self, parameters: &mut Parameters) -> Result<World, Error> {
        let world = parameters.world(&self.options.default_world)?;
        if let Some(sequence) = parameters.number("min_sequence")? {
            let not_reached = "the projections have not reached `min_sequence`; ask again";
            let not_reached = Error::unavailable("min_sequence_not_reached", not_reached);
            self.wait_for(SequenceNumber(sequence), not_reached).await?;
        }
        Ok(world)
    }

    /// Takes all parameters of a path that tells one thing as of a moment, and no others.
    async fn asked_in_world(&self, request: &HttpRequest) -> Result<(World, Asked), Error> {
        let mut parameters = Parameters::of(request)?;
        let world = self.world(&mut parameters).await?;
        let asked = self.asked(&mut parameters).await?;
        parameters.finish()?;
        Ok((world, asked))
    }

    /// Takes `as_of` and `valid_at`, and waits until the projections hold the entry that is named.
    async fn asked(&self, parameters: &mut Parameters) -> Result<Asked, Error> {
        let horizon = parameters.horizon()?;
        let asked = self.service()?.asked(horizon, (self.options.clock)())?;
        if let Some(sequence) = asked.needs() {
            let not_reached = "the projections have not reached `as_of`; ask again";
            let not_reached = Error::unavailable("as_of_not_reached", not_reached);
            self.wait_for(sequence, not_reached).await?;
        }
        Ok(asked)
    }

    async fn wait_for(&self, sequence: SequenceNumber, not_reached: Error) -> Result<(), Error> {
        let mut progress = self.service()?.progress();
        let reached = progress.wait_for(|progress| progress.has_folded(sequence));
        match tokio::time::timeout(self.options.min_sequence_wait_max, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(not_reached),
        }
    }
}

/// Starts to serve on a listener.
///
/// The server runs while the returned future is polled, and ends when its handle is stopped: it then accepts nothing,
/// and lets open requests end. Closing the service is left to its owner.
pub fn serve(
    service: &Arc<Service>,
    options: &Options,
    listener: TcpListener,
) -> io::Result<Server> {
    let shared = Data::new(Shared {
        service: Arc::downgrade(service),
        options: options.clone(),
        metrics: Arc::new(Metrics::of(service)),
        limits: Limits::new(&options.rates),
    });
    let app = move || {
        App::new()
            .app_data(Data::clone(&shared))
            .wrap(from_fn(identify))
            .wrap(from_fn(metrics::measure))
            .configure(routes::configure)
    };
    listening::run(app, options, listener)
}

/// Gives each response an id of its own, and tells the connection how long the request is at work.
async fn identify(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<Held>, actix_web::Error> {
    let work = request.conn_data::<Rc<Connection>>().map(AtWork::on);
    let mut response = next.call(request).await?;
    let id = format!("req_{}", uuid::Uuid::now_v7().simple());
    if let Ok(id) = HeaderValue::try_from(id) {
        response
            .headers_mut()
            .insert(HeaderName::from_static("request-id"), id);
    }
    Ok(response.map_body(|_, body| Held::new(body, work)))
}
