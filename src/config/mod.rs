//! The configuration: one TOML file, environment variables above it, flags above both.
//!
//! Every setting is declared once, in `settings` (the two secrets in `secrets`); everything else reads declarations.
//! A configuration that exists has been checked: every value lies within its bounds and the secrets are fit for use.

use std::fs;
use std::path::{Path, PathBuf};

use state_machine::id::World;
use state_machine::retry::policy::Policy;
use state_machine::time::ReceivedAt;

pub mod declaration;
pub mod error;
pub mod reference;
pub mod secrets;
mod serving;
pub mod settings;
pub mod sources;
pub mod tokens;
pub mod value;

use crate::access::register::Register;
use crate::log::configuration_fact::CLASSES_MAX;
use crate::log::keys::MasterKey;
use crate::log::{Options, Random};
use crate::service;
use crate::stripe::secret::Secrets;
use crate::system;
use crate::tls::certificate::Identity;
use crate::transparency;
use declaration::Declaration;
use error::ConfigurationError;
use secrets::SecretError;
use settings::Settings;
use sources::{Sources, Values};

/// What `avow serve` runs on.
pub struct Configuration {
    /// Everything but the secrets.
    pub settings: Settings,
    /// The directory that holds the log and the projections.
    pub data_dir: PathBuf,
    /// What authenticates deliveries.
    pub webhook_secrets: Secrets,
    /// What every other key is derived from.
    pub master_key: MasterKey,
    /// The access tokens, if there ever was one.
    pub tokens: Option<Register>,
    /// The certificate to serve with, if TLS is to be spoken.
    pub certificate: Option<Identity>,
    /// Who is asked for cosignatures, and what is enough.
    pub witnesses: Option<transparency::policy::Policy>,
}

impl Configuration {
    /// Reads the sources and the secrets, or says what is wrong.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigurationError> {
        let settings = Settings::load(sources)?;
        let tokens = settings.tokens()?;
        let listen = settings.server.listen;
        let is_guarded = tokens.is_some() || settings.server.allow_unauthenticated_network;
        if !listen.ip().is_loopback() && !is_guarded {
            return Err(ConfigurationError::UnauthenticatedNetwork { listen });
        }
        let data_dir = settings
            .server
            .data_dir
            .clone()
            .ok_or(ConfigurationError::DataDirMissing)?;
        let webhook_secrets = settings.webhook_secrets(sources)?;
        let master_key = settings.master_key(sources)?;
        let certificate = settings.certificate()?;
        let witnesses = settings.witness.policy_file.as_deref();
        let witnesses = witnesses.map(read_policy).transpose()?;
        Ok(Self {
            settings,
            data_dir,
            webhook_secrets,
            master_key,
            tokens,
            certificate,
            witnesses,
        })
    }
}

/// Reads whom to ask for cosignatures.
pub fn read_policy(path: &Path) -> Result<transparency::policy::Policy, ConfigurationError> {
    let policy = fs::read(path).map_err(ConfigurationError::PolicyUnreadable)?;
    Ok(transparency::policy::Policy::parse(&policy)?)
}

impl Settings {
    /// Reads the sources without the secrets, or says what is wrong.
    pub fn load(sources: &Sources<'_>) -> Result<Self, ConfigurationError> {
        Self::from_values(&Values::read(sources)?)?.checked()
    }

    /// Reads the master key, which is outside the data directory.
    pub fn master_key(&self, sources: &Sources<'_>) -> Result<MasterKey, ConfigurationError> {
        let (file, data_dir) = (&self.server.master_key_file, &self.server.data_dir);
        let key = secrets::master_key(file.as_deref(), data_dir.as_deref(), sources.environment);
        Ok(key?)
    }

    /// Returns the settings if they fit each other.
    fn checked(self) -> Result<Self, ConfigurationError> {
        let count = self.retry.classes.len();
        if count > CLASSES_MAX {
            return Err(ConfigurationError::ClassesTooMany { count });
        }
        let [list_limit_default, list_limit_max] =
            [self.http.list_limit_default, self.http.list_limit_max]
                .map(|limit| u64::try_from(limit).unwrap_or(u64::MAX));
        let pairs = [
            (
                ("http.list_limit_default", list_limit_default),
                ("http.list_limit_max", list_limit_max),
            ),
            (
                ("witness.timeout_seconds", self.witness.timeout_seconds),
                (
                    "witness.submit_interval_seconds",
                    self.witness.submit_interval_seconds,
                ),
            ),
        ];
        for ((smaller, smaller_value), (greater, greater_value)) in pairs {
            if smaller_value > greater_value {
                return Err(ConfigurationError::Exceeds {
                    smaller,
                    smaller_value,
                    greater,
                    greater_value,
                });
            }
        }
        Ok(self)
    }

    /// Reads the webhook secrets.
    pub fn webhook_secrets(&self, sources: &Sources<'_>) -> Result<Secrets, SecretError> {
        let file = self.webhook.secrets_file.as_deref();
        secrets::webhook_secrets(file, sources.environment)
    }

    /// Returns how the log is opened.
    pub fn log_options(&self, random: Random, clock: fn() -> ReceivedAt) -> Options {
        let log = &self.log;
        Options {
            queue_entries_max: log.queue_entries_max,
            group_entries_max: log.group_entries_max,
            journal_segment_bytes: log.journal_segment_bytes,
            journal_retention: log.journal_retention,
            sled_cache_bytes: log.sled_cache_bytes,
            index_cache_bytes: log.index_cache_bytes,
            disk_free_bytes_min: log.disk_free_bytes_min,
            ballast_bytes: log.ballast_bytes,
            origin: log.origin.clone(),
            stopwatch: Some(system::stopwatch),
            ..Options::new(random, clock)
        }
    }

    /// Returns how the service is opened.
    pub fn service_options(
        &self,
        secrets: Secrets,
        master_key: MasterKey,
        random: Random,
        clock: fn() -> ReceivedAt,
    ) -> service::Options {
        service::Options {
            secrets,
            tolerance_seconds: self.webhook.tolerance_seconds,
            user_reference_sources: self.webhook.user_reference_sources.clone(),
            policy: self.retry_policy(),
            records_policy: false,
            resumes_rebuilds: false,
            master_key,
            log: self.log_options(random, clock),
            projections_cache_bytes: self.projections.cache_bytes,
            users_cached_max: self.projections.users_cached_max,
        }
    }

    /// Returns the retry policy.
    pub fn retry_policy(&self) -> Policy {
        let retry = &self.retry;
        Policy {
            attempts_max: retry.attempts_max,
            window_seconds: retry.window_seconds,
            cooldown_seconds: retry.cooldown_seconds,
            cooldown_factor: retry.cooldown_factor,
            cooldown_max_seconds: retry.cooldown_max_seconds,
            classes: retry.classes.clone(),
        }
    }

    /// Returns the world of a request that names none.
    pub fn default_world(&self) -> World {
        World {
            livemode: self.default_world.livemode,
            account: self.default_world.account.clone(),
        }
    }
}

/// Returns every declaration, the secrets' first.
pub fn declarations() -> impl Iterator<Item = &'static Declaration> {
    secrets::DECLARATIONS.iter().chain(settings::DECLARATIONS)
}

/// Returns a variable of this process's environment.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the environment"
)]
pub fn environment(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) => Some(value),
        Err(std::env::VarError::NotPresent) => None,
        // What is no text is marked as such, and no setting and no secret accepts the mark.
        Err(std::env::VarError::NotUnicode(value)) => Some(value.to_string_lossy().into_owned()),
    }
}
