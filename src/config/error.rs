//! Why a configuration is refused: each message names the setting, what it accepts, and what to do.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::declaration::Accepts;
use super::sources::Origin;
use crate::log::configuration_fact::CLASSES_MAX;
use crate::tls::certificate::IdentityError;
use crate::transparency::policy_file::PolicyError;

/// Why a configuration is refused. No message repeats a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    /// The configuration file cannot be read.
    #[error("the configuration file {path} cannot be read")]
    FileUnreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration file is no TOML. The line itself is left out, since it may hold a misplaced secret.
    #[error("{path} is not valid TOML at line {line}: {problem}")]
    FileInvalid {
        /// Which.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, in the parser's words.
        problem: String,
    },
    /// A key that is no setting.
    #[error("{origin} sets `{key}`, which is no setting; `avow config --reference` lists them all")]
    UnknownKey {
        /// Where it stands.
        origin: Origin,
        /// The key.
        key: String,
    },
    /// An argument of `--set` without `=`. It is left out, since it may be a misplaced secret.
    #[error("`--set` names no value; write `--set KEY=VALUE`")]
    SetWithoutValue,
    /// A value that its setting does not accept.
    #[error("{origin} sets `{key}` to {value}; give {accepts}")]
    Refused {
        /// Where it stands.
        origin: Origin,
        /// The setting.
        key: &'static str,
        /// The value, as TOML.
        value: String,
        /// What is accepted.
        accepts: Accepts,
    },
    /// Two settings that contradict each other.
    #[error(
        "`{smaller}` is {smaller_value}, more than `{greater}` with {greater_value}; lower the one or raise the other"
    )]
    Exceeds {
        /// What has to be the smaller one.
        smaller: &'static str,
        /// Its value.
        smaller_value: u64,
        /// What has to be the greater one.
        greater: &'static str,
        /// Its value.
        greater_value: u64,
    },
    /// More error codes are listed than an entry of the log holds.
    #[error("`retry.classes` lists {count} error codes, more than {CLASSES_MAX}")]
    ClassesTooMany {
        /// How many.
        count: usize,
    },
    /// An address that other machines reach, while nothing authenticates them.
    #[error(
        "`listen` is {listen}, which other machines reach, and there are no access tokens: whoever reaches it reads \
         every user's standing; make a token with `avow tokens create`, give a loopback address such as \
         127.0.0.1:8790, or set `allow_unauthenticated_network = true` if something in front lets nobody but your \
         own services through"
    )]
    UnauthenticatedNetwork {
        /// The address.
        listen: SocketAddr,
    },
    /// The access tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] super::tokens::TokensError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Certificate(#[from] IdentityError),
    /// There is a certificate without its key, or the other way round.
    #[error("`tls.certificate_file` and `tls.key_file` go together; set both, or neither")]
    HalfACertificate,
    /// There is no place for the data.
    #[error(
        "no data directory is set; give `--data-dir DIR`, AVOW_DATA_DIR, or `data_dir` in the file"
    )]
    DataDirMissing,
    /// The policy file cannot be read.
    #[error("the file that `witness.policy_file` names cannot be read")]
    PolicyUnreadable(#[source] io::Error),
    /// The policy file holds no policy.
    #[error("the file that `witness.policy_file` names cannot be used")]
    PolicyInvalid(#[from] PolicyError),
    /// A secret in the file or on the command line, where others read it.
    #[error(
        "{origin} sets the secret `{key}`; set {environment} instead, or name a file in `{key_of_file}`"
    )]
    SecretMisplaced {
        /// Where it stands.
        origin: Origin,
        /// The secret's key.
        key: &'static str,
        /// The variable that may hold it.
        environment: String,
        /// The setting that may name a file.
        key_of_file: String,
    },
    /// A secret is missing or unfit.
    #[error(transparent)]
    Secret(#[from] super::secrets::SecretError),
}
