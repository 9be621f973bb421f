//! How the settings make a server: whom it admits, what it shows, and its bounds.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use state_machine::time::ReceivedAt;

use super::error::ConfigurationError;
use super::settings::Settings;
use super::tokens::{self, TokensError};
use crate::access::admission::Admission;
use crate::access::gate::Publicity;
use crate::access::limit::Rate;
use crate::access::register::Register;
use crate::http;
use crate::http::limits::Rates;
use crate::tls::certificate::Identity;

impl Settings {
    /// Returns the file of the access tokens, if there is a place for it.
    pub fn tokens_file(&self) -> Option<PathBuf> {
        let named = self.access.tokens_file.clone();
        named.or_else(|| Some(self.server.data_dir.as_ref()?.join(tokens::FILE)))
    }

    /// Reads the access tokens; `None` if there never was one.
    pub fn tokens(&self) -> Result<Option<Register>, TokensError> {
        let Some(path) = self.tokens_file() else {
            return Ok(None);
        };
        let tokens = tokens::read(&path)?;
        // A file that was to be mounted and is not must not open the server.
        if tokens.is_none() && self.access.tokens_file.is_some() {
            return Err(TokensError::Missing);
        }
        Ok(tokens)
    }

    /// Reads the certificate to serve with, and its key; `None` if none is set.
    pub fn certificate(&self) -> Result<Option<Identity>, ConfigurationError> {
        match (&self.tls.certificate_file, &self.tls.key_file) {
            (Some(certificate), Some(key)) => Ok(Some(Identity::read(certificate, key)?)),
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => Err(ConfigurationError::HalfACertificate),
        }
    }

    /// Returns who is admitted to what, by these tokens.
    pub fn admission(&self, tokens: Option<Register>) -> Admission {
        let public = Publicity {
            evidence: self.access.public_evidence,
            metrics: self.access.public_metrics,
        };
        Admission::new(tokens, public)
    }

    /// Returns how often what may be asked.
    fn rates(&self) -> Rates {
        let limits = &self.limits;
        // Two seconds' worth at once is the same rate, and does not punish those who ask in bursts.
        let each_second = |count: u32| Rate::of(count.saturating_mul(2), Duration::from_secs(2));
        Rates {
            token: each_second(limits.token_requests_per_second),
            address: each_second(limits.address_requests_per_second),
            failures: Rate::of(limits.address_failures_per_minute, Duration::from_mins(1)),
            addresses_max: limits.addresses_max,
            trusted_proxies: self.http.trusted_proxies.clone(),
        }
    }

    /// Returns how requests are served, before there are access tokens.
    pub fn http_options(&self, clock: fn() -> ReceivedAt) -> http::Options {
        let http = &self.http;
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let workers = http.workers.unwrap_or_else(cores);
        http::Options {
            body_bytes_max: self.webhook.body_bytes_max,
            body_timeout: Duration::from_secs(http.body_timeout_seconds),
            head_timeout: Duration::from_secs(http.head_timeout_seconds),
            write_timeout: Duration::from_secs(http.write_timeout_seconds),
            keep_alive: Duration::from_secs(http.keep_alive_seconds),
            connections_per_worker_max: http.connections_max.div_ceil(workers),
            workers,
            min_sequence_wait_max: Duration::from_secs(http.min_sequence_wait_seconds_max),
            list_limit_default: http.list_limit_default,
            list_limit_max: http.list_limit_max,
            default_world: self.default_world(),
            shutdown: Duration::from_secs(http.shutdown_seconds),
            certificate: None,
            rates: self.rates(),
            admission: Arc::new(self.admission(None)),
            clock,
        }
    }
}
