//! Durable ingest over HTTP, as a ratio to a bare actix POST that discards the body: `cargo bench --bench ingest`.
//!
//! With `--features without-evidence`, also as a ratio to the same build that neither seals payloads nor keeps a Merkle
//! tree nor signs checkpoints: what is left of its throughput.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use actix_web::HttpResponse;
use actix_web::web::{self, Bytes};
use support::CONNECTIONS;
use support::deliveries::Deliveries;
use support::server::Server;

/// How many requests a slice has, for each connection count.
const REQUESTS: [usize; 3] = [1_500, 8_000, 12_000];

/// The allocator of the `avow` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let directory = support::directory();
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
