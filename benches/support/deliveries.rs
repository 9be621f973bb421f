//! Signed deliveries as requests, and the requests that ask for what they came to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use avow::cli::simulation::population::{Population, User};
use avow::cli::simulation::scenario::{Delivery, Scenario};
use avow::cli::simulation::scenarios::SCENARIOS;
use avow::stripe::secret::Secret;
use avow::stripe::signature::sign;

use super::server::SECRET;

/// What every user of the benchmarks lives through: a failure, then a success, in one session.
const SCENARIO: &str = "failure_then_success";

/// Deliveries that no two slices share.
pub(crate) struct Deliveries {
    population: Population,
    users: u64,
    waiting: VecDeque<String>,
}

impl Deliveries {
    pub(crate) fn new() -> Self {
        Self {
            population: population(),
            users: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Returns the next ones, signed now.
    pub(crate) fn next(&mut self, count: usize) -> Vec<Vec<u8>> {
        while self.waiting.len() < count {
            self.users += 1;
            self.waiting
                .extend(bodies(&self.population.user(scenario(), self.users)));
        }
        let bodies = self.waiting.drain(..count);
        bodies.map(|body| post(&body)).collect()
    }
}

/// Deliveries that cost next to nothing to make: each one tells of a session of its own, of a user of its own.
#[derive(Default)]
pub(crate) struct Newcomers(AtomicU64);

impl Newcomers {
    /// Returns the next one, signed now.
    pub(crate) fn next(&self) -> Vec<u8> {
        post(&newcomer(self.0.fetch_add(1, Ordering::Relaxed)))
    }

    /// Returns how many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Returns users, and every delivery of theirs, signed now.
pub(crate) fn users(count: u64) -> (Vec<User>, Vec<Vec<u8>>) {
    let users: Vec<_> = (1..=count)
        .map(|number| population().user(scenario(), number))
        .collect();
    let deliveries = users.iter().flat_map(bodies).map(|body| post(&body));
    let deliveries = deliveries.collect();
    (users, deliveries)
}

fn population() -> Population {
    Population {
        seed: 1,
        start: avow::system::now_seconds().plus_seconds(-40_000),
    }
}

fn scenario() -> &'static Scenario {
    let mut scenarios = SCENARIOS.iter();
    scenarios.find(|one| one.name == SCENARIO).unwrap()
}

fn bodies(user: &User) -> Vec<String> {
    let messages = user.messages();
    let once = messages.filter(|message| message.delivery == Delivery::Once);
    once.map(|message| message.body).collect()
}

/// Returns the delivery of a body, signed now.
pub(crate) fn post(body: &str) -> Vec<u8> {
    let secret = Secret::new(SECRET).unwrap();
    let signature = sign(&secret, avow::system::now_seconds(), body.as_bytes());
    format!(
        "POST /webhooks/stripe HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         stripe-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Returns the path of a user.
pub(crate) fn path(user: &User) -> String {
    format!("/v1/users/{}?livemode=false", user.reference)
}

/// Returns the request for a path.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

fn newcomer(number: u64) -> String {
    format!(
        r#"{{
  "id": "evt_{number}", "object": "event", "api_version": "2026-10-28.endive", "created": 1790000000,
  "type": "identity.verification_session.created", "livemode": false, "pending_webhooks": 1,
  "request": {{ "id": null, "idempotency_key": null }},
  "data": {{ "object": {{
    "id": "vs_{number}", "object": "identity.verification_session", "created": 1790000000,
    "client_reference_id": null, "client_secret": null, "url": null, "last_error": null,
    "last_verification_report": null, "livemode": false, "metadata": {{ "user_id": "user_{number}" }},
    "options": {{ "document": {{ "require_matching_selfie": true }} }}, "redaction": null,
    "related_customer": null, "status": "requires_input", "type": "document"
  }} }}
}}"#
    )
}
