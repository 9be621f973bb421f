//! The other end of the wire: sends deliveries to a server as Stripe does, and asks it what came of them.

use std::time::{Duration, Instant};

use anyhow::ensure;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, StatusCode, Url};
use serde_json::Value;

use super::population::Message;
use crate::client::{Access, server_url};
use crate::stripe::secret::Secret;
use crate::system;

/// How often a delivery that is answered 503, or 429, is sent again; Stripe tries for three days.
const RETRIES_MAX: u32 = 10;
/// The longest time that an answer may ask to wait, in seconds.
const RETRY_AFTER_SECONDS_MAX: u64 = 10;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends to one server.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client,
    webhook: Url,
    secret: Secret,
}

/// How a delivery was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How often the server asked to try again first.
    pub retries: u32,
    /// How long the last try took.
    pub latency: Duration,
}

impl Sender {
    /// Returns a sender for the server at `to`; a URL without a path gets `/webhooks/stripe`.
    pub fn new(to: &str, secret: Secret, access: &Access) -> anyhow::Result<Self> {
        let mut webhook = server_url(to)?;
        if webhook.path() == "/" {
            webhook.set_path("/webhooks/stripe");
        }
        // A redirect is an answer that Stripe does not follow, either, and takes for a failure.
        let client = access.client([&webhook], TIMEOUT)?;
        Ok(Self {
            client,
            webhook,
            secret,
        })
    }

    /// Signs a message now and sends it, again and again while the server asks for that.
    pub async fn send(&self, message: &Message) -> anyhow::Result<Answer> {
        let mut retries = 0;
        loop {
            let header = message.signature_header(&self.secret, system::now_seconds())?;
            let request = self
                .client
                .post(self.webhook.clone())
                .body(message.body.clone());
            let request = request.header("stripe-signature", header);
            let request = request.header("content-type", "application/json; charset=utf-8");
            let began = Instant::now();
            let response = request.send().await?;
            let status = response.status();
            let retry_after = response.headers().get(RETRY_AFTER).cloned();
            response.bytes().await?;
            let latency = began.elapsed();
            let asks_again = [
                StatusCode::SERVICE_UNAVAILABLE,
                StatusCode::TOO_MANY_REQUESTS,
            ];
            if !asks_again.contains(&status) || retries == RETRIES_MAX {
                return Ok(Answer {
                    status: status.as_u16(),
                    retries,
                    latency,
                });
            }
            let seconds = retry_after
                .and_then(|value| value.to_str().ok()?.parse().ok())
                .unwrap_or(1);
            tokio::time::sleep(Duration::from_secs(RETRY_AFTER_SECONDS_MAX.min(seconds))).await;
            retries += 1;
        }
    }

    /// Returns what the server's read interface says of a thing in test mode: `users` or `sessions`, and its id.
    pub async fn read(&self, kind: &str, id: &str) -> anyhow::Result<Value> {
        let mut url = self.webhook.clone();
        url.set_path("");
        url.set_query(Some("livemode=false"));
        if let Ok(mut path) = url.path_segments_mut() {
            path.extend(["v1", kind, id]);
        }
        let answer = self.client.get(url).send().await?;
        let status = answer.status();
        ensure!(
            ![StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status),
            "the server answers {status}: it wants a token with the scope `read`"
        );
        Ok(answer.json().await?)
    }
}
