//! A server as a place of files: each resource is asked for once and read whole.

use std::io;

use reqwest::{Client, StatusCode};
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
        let url = format!("{}/{path}", self.base);
        let mut request = self.client.get(&url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        self.runtime.block_on(async {
            let failed = |source| WebError::Request {
                url: url.clone(),
                source,
            };
            let answer = request.send().await.map_err(failed)?;
            match answer.status() {
                StatusCode::OK => Ok(Some(answer.bytes().await.map_err(failed)?.to_vec())),
                StatusCode::NOT_FOUND => Ok(None),
                status => Err(WebError::Status {
                    url: url.clone(),
                    status,
                }),
            }
        })
    }
}
