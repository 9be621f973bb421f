//! A server as a place of files: each resource is asked for once and read whole.

use std::io;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Serialize;
use tokio::runtime::Runtime;

/// A server.
pub struct Web {
    client: Client,
    runtime: Runtime,
    base: String,
    token: Option<String>,
}

/// Why a server gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// No connection could be made ready.
    #[error("no connection can be made ready: {0}")]
    Runtime(#[from] io::Error),
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
    /// The server answered something else.
    #[error("{url} answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// What it answered.
        status: StatusCode,
    },
}

impl Web {
    /// Makes ready to ask a server, with a token if it asks for one.
    pub fn new(base: &str, token: Option<&str>) -> Result<Self, WebError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            client: Client::new(),
            runtime,
            base: base.trim_end_matches('/').to_owned(),
            token: token.map(str::to_owned),
        })
    }

    /// Returns the resource at a path; `None` if there is none.
    pub fn get(&self, path: &str) -> Result<Option<Vec<u8>>, WebError> {
        let mut bytes = Vec::new();
        match self.get_into(path, &mut bytes) {
            Ok(()) => Ok(Some(bytes)),
            Err(WebError::Status { status, .. }) if status == StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the resource at a path as it arrives.
    pub fn get_into(&self, path: &str, to: &mut dyn io::Write) -> Result<(), WebError> {
        let url = format!("{}/{path}", self.base);
        self.send(self.client.get(&url), url, to)
    }

    /// Posts JSON to a path, and returns the answer.
    pub fn post(&self, path: &str, body: &impl Serialize) -> Result<Vec<u8>, WebError> {
        let url = format!("{}/{path}", self.base);
        let mut bytes = Vec::new();
        self.send(self.client.post(&url).json(body), url, &mut bytes)?;
        Ok(bytes)
    }

    fn send(
        &self,
        mut request: RequestBuilder,
        url: String,
        to: &mut dyn io::Write,
    ) -> Result<(), WebError> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        self.runtime.block_on(async {
            let failed = |source| WebError::Request {
                url: url.clone(),
                source,
            };
            let mut answer = request.send().await.map_err(failed)?;
            if answer.status() != StatusCode::OK {
                let status = answer.status();
                return Err(WebError::Status { url, status });
            }
            while let Some(bytes) = answer.chunk().await.map_err(failed)? {
                to.write_all(&bytes).map_err(WebError::Write)?;
            }
            Ok(())
        })
    }
}
