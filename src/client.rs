//! How this program asks servers: straight to them, over TLS where their URL says so, with a token where they want one.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Url};
use zeroize::Zeroizing;

use crate::access::token::{NoToken, PREFIX, Token};
use crate::tls::trust::{Trust, TrustError, no_one};

/// What a client shows, and whom it trusts.
#[derive(Default)]
pub struct Access {
    /// The token.
    pub token: Option<BearerToken>,
    /// The authorities.
    pub trust: Trust,
}

/// A token as it is sent: one of Avow's, or one that something in front asks for.
pub struct BearerToken(Zeroizing<String>);

/// Why a text is no token, without repeating it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerTokenError {
    /// It begins as one of Avow's does, and goes on otherwise.
    #[error("it is damaged or cut off")]
    Damaged(#[from] NoToken),
    /// It is something else.
    #[error("it is to be one word of visible ASCII characters")]
    Malformed,
}

impl BearerToken {
    /// Returns the token that a text is, without the white space around it.
    pub fn parse(text: &str) -> Result<Self, BearerTokenError> {
        let text = text.trim();
        if text.starts_with(PREFIX) {
            Token::parse(text)?;
        }
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BearerTokenError::Malformed);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    fn header(&self) -> Option<HeaderValue> {
        let text = Zeroizing::new(format!("Bearer {}", *self.0));
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// Why no client can be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The text is no URL of a server.
    #[error("`{0}` is not of the form http://HOST[:PORT] or https://HOST[:PORT]")]
    Url(String),
    /// Nobody can be trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The library refused.
    #[error("there can be no HTTP client")]
    Client(#[source] reqwest::Error),
}

/// Returns the URL of a server.
pub fn server_url(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).ok();
    let url = url.filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    url.ok_or_else(|| ClientError::Url(text.to_owned()))
}

impl Access {
    /// Returns a client for servers of these URLs, which have so long to answer.
    pub fn client<'url>(
        &self,
        urls: impl IntoIterator<Item = &'url Url>,
        timeout: Duration,
    ) -> Result<Client, ClientError> {
        let client = self.builder(urls)?.timeout(timeout);
        client.build().map_err(ClientError::Client)
    }

    /// Begins a client for servers of these URLs. It goes straight to them, whatever proxy the environment names, and
    /// follows no redirect: where a token goes is not for a server to say, and one that sends elsewhere is another
    /// server than the one that is asked.
    pub fn builder<'url>(
        &self,
        urls: impl IntoIterator<Item = &'url Url>,
    ) -> Result<ClientBuilder, ClientError> {
        let is_secure = urls.into_iter().any(|url| url.scheme() == "https");
        // To read the authorities of the machine takes longer than what many a command does.
        let tls = if is_secure {
            self.trust.client_config()?
        } else {
            no_one()?
        };
        let token = self.token.as_ref().and_then(BearerToken::header);
        let headers: HeaderMap = token
            .map(|token| (AUTHORIZATION, token))
            .into_iter()
            .collect();
        Ok(Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(headers)
            .redirect(Policy::none())
            .no_proxy())
    }
}
