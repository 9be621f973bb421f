//! The limits of the server: how often each caller may ask, and how often each address may be refused.

use std::num::NonZero;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::http::header::HeaderValue;

use super::error::Error;
use crate::access::address::{Network, Origin, client};
use crate::access::admission::Caller;
use crate::access::limit::{Limit, Rate, TooOften};
use crate::access::register::TOKENS_MAX;
use crate::access::token::TokenId;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// How often what may be asked.
#[derive(Debug, Clone)]
pub struct Rates {
    /// Requests with one token.
    pub token: Option<Rate>,
    /// Requests without one, of one address.
    pub address: Option<Rate>,
    /// Refused tokens and deliveries that were not authentic, of one address.
    pub failures: Option<Rate>,
    /// How many addresses are remembered.
    pub addresses_max: NonZero<usize>,
    /// Whose word for the address of a client is taken.
    pub trusted_proxies: Vec<Network>,
}

/// What was asked so far.
pub(super) struct Limits {
    began: Instant,
    tokens: Limit<TokenId>,
    addresses: Limit<Origin>,
    failures: Limit<Origin>,
    trusted_proxies: Vec<Network>,
}

impl Limits {
    pub(super) fn new(rates: &Rates) -> Self {
        let tokens_max = NonZero::new(TOKENS_MAX).unwrap_or(NonZero::<usize>::MIN);
        Self {
            began: Instant::now(),
            tokens: Limit::new(rates.token, tokens_max),
            addresses: Limit::new(rates.address, rates.addresses_max),
            failures: Limit::new(rates.failures, rates.addresses_max),
            trusted_proxies: rates.trusted_proxies.clone(),
        }
    }

    /// Counts a request of somebody who is admitted.
    pub(super) fn request(&self, caller: &Caller, request: &HttpRequest) -> Result<(), Error> {
        let taken = match caller {
            Caller::Token(token) => self.tokens.take(token.id.clone(), self.now()),
            Caller::Anonymous => match self.origin(request) {
                Some(origin) => self.addresses.take(origin, self.now()),
                None => Ok(()),
            },
        };
        taken.map_err(Error::too_often)
    }

    /// Counts a refusal: the first ones are told why, and then that there were too many. Whoever is not refused is never
    /// counted here, so that nobody who shares an address with an attacker is kept out.
    pub(super) fn refusal(&self, refusal: Error, request: &HttpRequest) -> Error {
        let Some(origin) = self.origin(request) else {
            return refusal;
        };
        match self.failures.take(origin, self.now()) {
            Ok(()) => refusal,
            Err(TooOften(wait)) => Error::too_often(TooOften(wait)),
        }
    }

    fn origin(&self, request: &HttpRequest) -> Option<Origin> {
        let peer = request.peer_addr()?.ip();
        if self.trusted_proxies.is_empty() {
            return Origin::of(peer);
        }
        let values: Vec<&str> = request
            .headers()
            .get_all(FORWARDED_FOR)
            .map(HeaderValue::to_str)
            .map(Result::unwrap_or_default)
            .collect();
        Origin::of(client(peer, values.into_iter(), &self.trusted_proxies))
    }

    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}
