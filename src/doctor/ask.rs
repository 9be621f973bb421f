//! Asking a server: one request after the other, whatever it answers.

use std::io;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::DATE;
use tokio::runtime::{Builder, Runtime};

use crate::client::{Access, ClientError, server_url};

const TIMEOUT: Duration = Duration::from_secs(10);

/// A server.
pub(super) struct Server {
    client: Client,
    runtime: Runtime,
    url: String,
}

/// What it answered.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The time that it has, in Unix seconds.
    pub(super) date: Option<i64>,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No connection could be made ready.
    #[error("no connection can be made ready")]
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
    /// It answered something else.
    #[error("{url} answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// What it answered.
        status: u16,
    },
    /// What it answered is not what that path answers.
    #[error("{url} answers something else than Avow does")]
    Answer {
        /// What was asked for.
        url: String,
    },
}

impl Server {
    pub(super) fn new(url: &str, access: &Access) -> Result<Self, AskError> {
        Ok(Self {
            client: access.client([&server_url(url)?], TIMEOUT)?,
            runtime: Builder::new_current_thread().enable_all().build()?,
            url: url.trim_end_matches('/').to_owned(),
        })
    }

    pub(super) fn url_of(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }

    /// Returns what the server answers, of whatever status.
    pub(super) fn ask(&self, path: &str) -> Result<Answer, AskError> {
        let url = self.url_of(path);
        let request = self.client.get(&url);
        let answered = self.runtime.block_on(async {
            let answer = request.send().await?;
            let date = answer.headers().get(DATE);
            let date = date.and_then(|date| {
                let date = chrono::DateTime::parse_from_rfc2822(date.to_str().ok()?);
                Some(date.ok()?.timestamp())
            });
            Ok(Answer {
                status: answer.status().as_u16(),
                date,
                body: answer.bytes().await?.to_vec(),
            })
        });
        answered.map_err(|source| AskError::Request { url, source })
    }

    /// Returns the body of an answer that has to be a success.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, AskError> {
        let answer = self.ask(path)?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        Err(AskError::Status {
            url: self.url_of(path),
            status: answer.status,
        })
    }

    /// Says that an answer is not what it has to be.
    pub(super) fn strange(&self, path: &str) -> AskError {
        AskError::Answer {
            url: self.url_of(path),
        }
    }
}
