//! Durable ingest over HTTP, as a ratio to a bare actix POST that discards the body: `cargo bench --bench ingest`.
//!
//! With `--features without-evidence`, also as a ratio to the same build that neither seals payloads nor keeps a Merkle
//! tree nor signs checkpoints: what is left of its throughput.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use actix_web::HttpResponse;
use actix_web::web::{self, Bytes};
use avow::cli::simulation::population::Population;
use avow::cli::simulation::scenario::{Delivery, Scenario};
use avow::cli::simulation::scenarios::SCENARIOS;
use avow::stripe::secret::Secret;
use support::CONNECTIONS;
use support::server::{SECRET, Server};

/// How many requests a slice has, for each connection count.
const REQUESTS: [usize; 3] = [1_500, 8_000, 12_000];

/// The allocator of the `avow` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let directory = tempfile::tempdir_in("target").unwrap();
    let avow = Server::avow(&directory.path().join("avow"));
    let mut deliveries = Deliveries::new();
    let bare = Server::bare(|config| {
        config.route("/webhooks/stripe", web::post().to(discard));
    });
    rows(&avow, &bare, &mut deliveries);
    #[cfg(feature = "without-evidence")]
    {
        let unattested = directory.path().join("unattested");
        let unattested = Server::avow_with(&unattested, |log| log.keeps_evidence = false);
        println!("\nagainst the same, neither sealing nor attesting");
        rows(&avow, &unattested, &mut deliveries);
    }
}

fn rows(avow: &Server, ceiling: &Server, deliveries: &mut Deliveries) {
    support::head();
    for (connections, count) in CONNECTIONS.into_iter().zip(REQUESTS) {
        support::row(connections, ceiling.address, avow.address, || {
            deliveries.next(count)
        });
    }
}

/// Takes a body, discards it, and answers as the webhook does.
async fn discard(_body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(r#"{"received":true,"sequence":123456,"duplicate":false}"#)
}

/// Deliveries that no two slices share, signed when they are made.
struct Deliveries {
    population: Population,
    user: u64,
    waiting: Vec<String>,
    secret: Secret,
}

impl Deliveries {
    fn new() -> Self {
        let start = avow::system::now_seconds().plus_seconds(-40_000);
        let secret = Secret::new(SECRET).unwrap();
        Self {
            population: Population { seed: 1, start },
            user: 0,
            waiting: Vec::new(),
            secret,
        }
    }

    fn next(&mut self, count: usize) -> Vec<Vec<u8>> {
        let scenario: &'static Scenario = SCENARIOS
            .iter()
            .find(|scenario| scenario.name == "failure_then_success")
            .unwrap();
        while self.waiting.len() < count {
            self.user += 1;
            let user = self.population.user(scenario, self.user);
            let once = user
                .messages()
                .filter(|message| message.delivery == Delivery::Once);
            self.waiting.extend(once.map(|message| message.body));
        }
        let now = avow::system::now_seconds();
        let bodies = self.waiting.drain(..count);
        bodies
            .map(|body| {
                request(
                    &body,
                    &avow::stripe::signature::sign(&self.secret, now, body.as_bytes()),
                )
            })
            .collect()
    }
}

fn request(body: &str, signature: &str) -> Vec<u8> {
    format!(
        "POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         stripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
