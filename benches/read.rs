//! `GET /v1/users/{id}`, as a ratio to a bare actix handler that returns the same bytes, and the same as of an earlier
//! entry, as a ratio to one without: `cargo bench --bench read`.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use actix_web::HttpResponse;
use actix_web::web::{self, Bytes};
use support::deliveries::{self, get, path};
use support::load::send;
use support::server::Server;
use support::{CONNECTIONS, Side};

const USERS: u64 = 2_000;
/// How many requests a slice has, for each connection count.
const REQUESTS: [usize; 3] = [8_000, 20_000, 20_000];

/// The allocator of the `avow` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let directory = support::directory();
    let avow = Server::avow(directory.path());
    let (users, deliveries) = deliveries::users(USERS);
    send(avow.address, 64, deliveries);

    let url = format!("http://{}{}", avow.address, path(&users[0]));
    let bytes = reqwest::blocking::get(url).unwrap().bytes().unwrap();
    let body = Bytes::from(bytes.to_vec());
    let bare = Server::bare(move |config| {
        let body = body.clone();
        let same = move || {
            let body = body.clone();
            async move {
                HttpResponse::Ok()
                    .content_type("application/json")
                    .body(body)
            }
        };
        config.route("/v1/users/{id}", web::get().to(same));
    });
    println!("an answer has {} bytes", bytes.len());
    support::head();
    for (connections, count) in CONNECTIONS.into_iter().zip(REQUESTS) {
        support::row(connections, bare.address, avow.address, || {
            (0..count)
                .map(|at| get(&path(&users[at * 7 % users.len()])))
                .collect()
        });
    }

    let size = reqwest::blocking::get(format!("http://{}/readyz", avow.address));
    let ready: serde_json::Value = size.unwrap().json().unwrap();
    let as_of = ready["entries"].as_u64().unwrap() - 1;
    println!(
        "\nas of entry {as_of} (under `avow`), against the same without (under `bare`): at least 0.2"
    );
    support::head();
    for (connections, count) in CONNECTIONS.into_iter().zip(REQUESTS) {
        support::compare(connections, avow.address, avow.address, |side| {
            let horizon = match side {
                Side::Ceiling => String::new(),
                Side::Subject => format!("&as_of={as_of}"),
            };
            (0..count)
                .map(|at| get(&(path(&users[at * 7 % users.len()]) + &horizon)))
                .collect()
        });
    }
}
