//! `GET /v1/users/{id}`, as a ratio to a bare actix handler that returns the same bytes, and the same as of an earlier
//! entry, as a ratio to one without: `cargo bench --bench read`.
#![expect(clippy::print_stdout, reason = "output is its purpose")]

mod support;

use actix_web::HttpResponse;
use actix_web::web::{self, Bytes};
use avow::cli::simulation::population::Population;
use avow::cli::simulation::scenario::Delivery;
use avow::cli::simulation::scenarios::SCENARIOS;
use avow::stripe::secret::Secret;
use avow::stripe::signature::sign;
use support::load::send;
use support::server::{SECRET, Server};
use support::{CONNECTIONS, Side};

const USERS: u64 = 2_000;
/// How many requests a slice has, for each connection count.
const REQUESTS: [usize; 3] = [8_000, 20_000, 20_000];

/// The allocator of the `avow` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let directory = tempfile::tempdir_in("target").unwrap();
    let avow = Server::avow(directory.path());
    let population = Population {
        seed: 1,
        start: avow::system::now_seconds().plus_seconds(-40_000),
    };
    let scenario = SCENARIOS
        .iter()
        .find(|scenario| scenario.name == "failure_then_success")
        .unwrap();
    let users: Vec<_> = (1..=USERS)
        .map(|number| population.user(scenario, number))
        .collect();
    let secret = Secret::new(SECRET).unwrap();
    let now = avow::system::now_seconds();
    let deliveries = users
        .iter()
        .flat_map(|user| user.messages().collect::<Vec<_>>());
    let once = deliveries.filter(|message| message.delivery == Delivery::Once);
    send(
        avow.address,
        64,
        once.map(|message| post(&message.body, &sign(&secret, now, message.body.as_bytes())))
            .collect(),
    );

    let url = format!("http://{}{}", avow.address, path(&users[0].reference));
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
                .map(|at| get(&users[at * 7 % users.len()].reference))
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
                .map(|at| get_with(&users[at * 7 % users.len()].reference, &horizon))
                .collect()
        });
    }
}

fn path(user: &str) -> String {
    format!("/v1/users/{user}?livemode=false")
}

fn get(user: &str) -> Vec<u8> {
    get_with(user, "")
}

fn get_with(user: &str, more: &str) -> Vec<u8> {
    let path = path(user);
    format!("GET {path}{more} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

fn post(body: &str, signature: &str) -> Vec<u8> {
    format!(
        "POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\nstripe-signature: {signature}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
