//! A server as a place of files: each resource is asked for once and read whole, up to a bound.

use std::io;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use tokio::runtime::Runtime;

use super::bounds::bytes_max;
use crate::client::{Access, ClientError, server_url};

/// How often a server may ask to wait before one answer, and how long at most.
const WAITS_MAX: u32 = 30;
const WAIT_MAX: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server may say nothing: for a digest it reads all of its projections.
const SILENCE_MAX: Duration = Duration::from_mins(5);

/// A server.
pub struct Web {
    client: Client,
    runtime: Runtime,
    base: String,
}

/// Why a server gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// No connection could be made ready.
    #[error("no connection can be made ready: {0}")]
    Runtime(#[from] io::Error),
    /// There can be no client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server did not answer.
    #[error("{url} does not answer")]
    Request {
        /// What was asked for.
        url: String,
        /// Why.
        source: reqwest::Error,
    },
    /// What it answered could not be written.
    #[error("the answer cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The server answers more than there can be.
    #[error("{url} answers more than {bytes_max} bytes, more than there can be")]
    TooLong {
        /// What was asked for.
        url: String,
        /// How much there can be.
        bytes_max: u64,
    },
    /// The server answered something else.
    #[error("{url} answers {status}{}", advice(*status))]
    Status {
        /// What was asked for.
        url: String,
        /// What it answered.
        status: StatusCode,
    },
}

/// Returns how long a server asks to wait that is asked too often.
fn wait_of(answer: &Response) -> Option<Duration> {
    if answer.status() != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let wait = answer.headers().get(RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(wait.parse().ok()?).min(WAIT_MAX))
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            ": it wants a token, from `--token-file FILE` or AVOW_TOKEN, that is good there"
        }
        StatusCode::FORBIDDEN => ": it wants a token with the scope `audit`",
        _ => "",
    }
}

impl Web {
    /// Makes ready to ask a server.
    pub fn new(base: &str, access: Option<&Access>) -> Result<Self, WebError> {
        let url = server_url(base)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = access.unwrap_or(&Access::default()).builder([&url])?;
        let client = client
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_MAX);
        Ok(Self {
            client: client.build().map_err(ClientError::Client)?,
            runtime,
            base: base.trim_end_matches('/').to_owned(),
        })
    }

    /// Returns the resource at a path; `None` if there is none.
    pub fn get(&self, path: &str) -> Result<Option<Vec<u8>>, WebError> {
        let mut bytes = Vec::new();
        let url = format!("{}/{path}", self.base);
        let bytes_max = bytes_max(path);
        let request = || self.client.get(&url);
        match self.send(request, (url.clone(), bytes_max), &mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(WebError::Status { status, .. }) if status == StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the resource at a path as it arrives.
    pub fn get_into(&self, path: &str, to: &mut dyn io::Write) -> Result<(), WebError> {
        let url = format!("{}/{path}", self.base);
        self.send(|| self.client.get(&url), (url.clone(), u64::MAX), to)
    }

    /// Posts JSON to a path, and returns the answer.
    pub fn post(&self, path: &str, body: &impl Serialize) -> Result<Vec<u8>, WebError> {
        let url = format!("{}/{path}", self.base);
        let mut bytes = Vec::new();
        let request = || self.client.post(&url).json(body);
        self.send(request, (url.clone(), bytes_max(path)), &mut bytes)?;
        Ok(bytes)
    }

    fn send(
        &self,
        request: impl Fn() -> RequestBuilder,
        (url, bytes_max): (String, u64),
        to: &mut dyn io::Write,
    ) -> Result<(), WebError> {
        self.runtime.block_on(async {
            let failed = |source| WebError::Request {
                url: url.clone(),
                source,
            };
            let mut waits = WAITS_MAX;
            let mut answer = loop {
                let answer = request().send().await.map_err(failed)?;
                let Some(wait) = wait_of(&answer).filter(|_| waits > 0) else {
                    break answer;
                };
                waits -= 1;
                tokio::time::sleep(wait).await;
            };
            if answer.status() != StatusCode::OK {
                let status = answer.status();
                return Err(WebError::Status { url, status });
            }
            let mut left = bytes_max;
            while let Some(bytes) = answer.chunk().await.map_err(failed)? {
                left = u64::try_from(bytes.len())
                    .ok()
                    .and_then(|count| left.checked_sub(count))
                    .ok_or_else(|| WebError::TooLong {
                        url: url.clone(),
                        bytes_max,
                    })?;
                to.write_all(&bytes).map_err(WebError::Write)?;
            }
            Ok(())
        })
    }
}
