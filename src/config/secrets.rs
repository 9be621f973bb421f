//! The two secrets: they come from the environment or from a file of their own, never from the configuration file or
//! the command line, and are never shown.

use std::fs;
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use super::declaration::{Accepts, Declaration};
use super::settings::Settings;
use super::sources::Sources;
use crate::log::keys::{MasterKey, MasterKeyError, is_weak};
use crate::stripe::secret::{Secrets, SecretsError, elements};

/// The secrets' declarations; each may stand in a file that the setting `<key>_file` names.
pub const DECLARATIONS: &[Declaration] = &[
    Declaration {
        key: "master_key",
        default: "",
        accepts: Accepts::Secret("64 hexadecimal digits, as `avow keys generate` prints them"),
        doc: "The key from which every key that seals data is derived. Whoever loses it loses the payloads.\n",
    },
    Declaration {
        key: "webhook.secrets",
        default: "",
        accepts: Accepts::Secret("one or more signing secrets (`whsec_…`), separated by commas"),
        doc: "The endpoint's signing secrets, as Stripe's Dashboard shows them. While a secret is rolled, list both.\n",
    },
];

/// The least length of a webhook secret; Stripe's have 38 characters.
const SECRET_BYTES_MIN: usize = 16;

/// Why a secret is refused. No message repeats it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Nothing sets it.
    #[error(
        "no {what} is set; {remedy}, and set {environment} or name a file that holds it in `{key_of_file}`"
    )]
    Missing {
        /// The secret, in words.
        what: &'static str,
        /// How to get one.
        remedy: &'static str,
        /// The variable that may hold it.
        environment: &'static str,
        /// The setting that may name a file.
        key_of_file: &'static str,
    },
    /// Two places set it.
    #[error("both {environment} and `{key_of_file}` are set; keep one of them")]
    Twice {
        /// The variable.
        environment: &'static str,
        /// The setting that names a file.
        key_of_file: &'static str,
    },
    /// Its file cannot be read. The path is left out, since it may be the secret itself, misplaced.
    #[error("the file that `{key_of_file}` names cannot be read")]
    FileUnreadable {
        /// The setting that names the file.
        key_of_file: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Others can read the master key's file.
    #[error("group or others may read the file that `{key_of_file}` names; run `chmod 600` on it")]
    FileOpenToOthers {
        /// What names the file.
        key_of_file: &'static str,
    },
    /// The master key lies beside the data that it protects.
    #[error(
        "the file that `{key_of_file}` names lies inside `data_dir`; move it out, so that a copy of the data does \
         not hold its key"
    )]
    FileInsideDataDir {
        /// What names the file.
        key_of_file: &'static str,
    },
    /// The master key is no key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The key of a witness is no key.
    #[error(
        "the key of the witness is not 64 random hexadecimal digits; `avow keys generate` makes one"
    )]
    WitnessKey,
    /// A webhook secret is empty, short, or something else.
    #[error(
        "webhook secret {position} is not a signing secret: it starts with whsec_ and has at least 16 characters; \
         copy it from the endpoint's page in Stripe's Dashboard, or make one for tests with `avow keys generate --webhook-secret`"
    )]
    WebhookSecretWeak {
        /// Which of the list, from 1.
        position: usize,
    },
    /// The list of webhook secrets is no list of secrets.
    #[error(
        "the webhook secrets cannot be used; copy each from the endpoint's page in Stripe's Dashboard"
    )]
    WebhookSecrets(#[from] SecretsError),
}

/// One of the two places a secret may stand in.
struct Place<'sources> {
    what: &'static str,
    remedy: &'static str,
    environment: &'static str,
    key_of_file: &'static str,
    file: Option<&'sources Path>,
}

impl Place<'_> {
    fn read(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Zeroizing<String>, SecretError> {
        let Self {
            what,
            remedy,
            environment: name,
            key_of_file,
            file,
        } = *self;
        match (environment(name), file) {
            (Some(text), None) => Ok(Zeroizing::new(text)),
            (None, Some(path)) => fs::read_to_string(path)
                .map(Zeroizing::new)
                .map_err(|source| SecretError::FileUnreadable {
                    key_of_file,
                    source,
                }),
            (Some(_), Some(_)) => Err(SecretError::Twice {
                environment: name,
                key_of_file,
            }),
            (None, None) => Err(SecretError::Missing {
                what,
                remedy,
                environment: name,
                key_of_file,
            }),
        }
    }
}

/// Reads the webhook secrets.
pub fn webhook_secrets(
    file: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Secrets, SecretError> {
    let place = Place {
        what: "webhook secret",
        remedy: "copy the endpoint's signing secret from Stripe's Dashboard (or make one for tests with \
                 `avow keys generate --webhook-secret`)",
        environment: "AVOW_WEBHOOK_SECRETS",
        key_of_file: "webhook.secrets_file",
        file,
    };
    let text = place.read(environment)?;
    for (position, secret) in (1..).zip(elements(&text)) {
        if !secret.starts_with("whsec_") || secret.len() < SECRET_BYTES_MIN {
            return Err(SecretError::WebhookSecretWeak { position });
        }
    }
    Ok(Secrets::parse(&text)?)
}

/// Reads the master key.
pub fn master_key(
    file: Option<&Path>,
    data_dir: Option<&Path>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<MasterKey, SecretError> {
    let place = Place {
        what: "master key",
        remedy: "make one with `avow keys generate`",
        environment: "AVOW_MASTER_KEY",
        key_of_file: "master_key_file",
        file,
    };
    let text = place.read(environment)?;
    if let Some(path) = file {
        check_file(path, data_dir, place.key_of_file)?;
    }
    Ok(MasterKey::parse(text.trim())?)
}

/// Reads a master key from the file that a flag names.
pub fn master_key_in(
    flag: &'static str,
    path: &Path,
    data_dir: &Path,
) -> Result<MasterKey, SecretError> {
    Ok(MasterKey::parse(
        secret_file(flag, path, Some(data_dir))?.trim(),
    )?)
}

/// Reads the seed of a witness's key from the file that a flag names.
pub fn witness_seed_in(
    flag: &'static str,
    path: &Path,
) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let text = secret_file(flag, path, None)?;
    let mut seed = Zeroizing::new([0; 32]);
    match hex::decode_to_slice(text.trim(), seed.as_mut_slice()) {
        Ok(()) if !is_weak(&seed) => Ok(seed),
        Ok(()) | Err(_) => Err(SecretError::WitnessKey),
    }
}

fn secret_file(
    flag: &'static str,
    path: &Path,
    data_dir: Option<&Path>,
) -> Result<Zeroizing<String>, SecretError> {
    let unreadable = |source| SecretError::FileUnreadable {
        key_of_file: flag,
        source,
    };
    let text = fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(unreadable)?;
    check_file(path, data_dir, flag)?;
    Ok(text)
}

/// Says whether a secret is set, for `avow config`: never what it is.
pub(super) fn describe(
    declaration: &Declaration,
    settings: &Settings,
    sources: &Sources<'_>,
) -> String {
    let described = if declaration.key == "master_key" {
        let (file, data_dir) = (&settings.server.master_key_file, &settings.server.data_dir);
        master_key(file.as_deref(), data_dir.as_deref(), sources.environment)
            .map(|_| "set".to_owned())
    } else {
        let secrets = webhook_secrets(
            settings.webhook.secrets_file.as_deref(),
            sources.environment,
        );
        secrets.map(|secrets| {
            let names: Vec<String> = secrets
                .iter()
                .map(|secret| secret.fingerprint().to_string())
                .collect();
            format!("set, with the fingerprints {}", names.join(", "))
        })
    };
    described.unwrap_or_else(|error| {
        if matches!(error, SecretError::Missing { .. }) {
            "not set".to_owned()
        } else {
            error.to_string()
        }
    })
}

fn check_file(
    path: &Path,
    data_dir: Option<&Path>,
    key_of_file: &'static str,
) -> Result<(), SecretError> {
    let unreadable = |source| SecretError::FileUnreadable {
        key_of_file,
        source,
    };
    let resolved = path.canonicalize().map_err(unreadable)?;
    // A data directory that does not exist yet holds nothing.
    if data_dir
        .and_then(|dir| dir.canonicalize().ok())
        .is_some_and(|dir| resolved.starts_with(dir))
    {
        return Err(SecretError::FileInsideDataDir { key_of_file });
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = resolved
            .metadata()
            .map_err(unreadable)?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(SecretError::FileOpenToOthers { key_of_file });
        }
    }
    Ok(())
}
