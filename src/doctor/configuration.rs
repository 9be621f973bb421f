//! The configuration: whether `avow serve` accepts it.

use std::path::Path;

use super::finding::Findings;
use super::{Patient, Request, quoted};
use crate::config::error::ConfigurationError;
use crate::config::secrets::{self, SecretError};
use crate::config::settings::Settings;
use crate::config::{Configuration, read_policy};
use crate::log::inspection::Inspection;

const PART: &str = "configuration";

/// Checks the configuration; returns who can be examined further, if there is a data directory.
pub(super) fn check<'request>(
    request: &'request Request<'request>,
    findings: &mut Findings,
) -> Option<Patient<'request>> {
    let settings = match Settings::load(request.sources) {
        Ok(settings) => settings,
        Err(error) => {
            told(&error, request, None, findings);
            return None;
        }
    };
    let Some(data_dir) = settings.server.data_dir.clone() else {
        told(&ConfigurationError::DataDirMissing, request, None, findings);
        return None;
    };
    let environment = request.sources.environment;
    let master_key = secrets::master_key(
        settings.server.master_key_file.as_deref(),
        Some(&data_dir),
        environment,
    );
    let master_key = master_key.map_err(|error| {
        let file = settings.server.master_key_file.as_deref();
        told(&error.into(), request, file, findings);
    });
    let secrets_file = settings.webhook.secrets_file.as_deref();
    if let Err(error) = secrets::webhook_secrets(secrets_file, environment) {
        told(&error.into(), request, secrets_file, findings);
    }
    let policy = settings.witness.policy_file.as_deref();
    if let Some(Err(error)) = policy.map(read_policy) {
        told(&error, request, policy, findings);
    }
    if findings.is_good(PART) {
        match Configuration::load(request.sources) {
            Ok(_) => findings.good(PART, "`avow serve` accepts it"),
            Err(error) => told(&error, request, None, findings),
        }
    }
    let files = Inspection::of(&data_dir.join("log"));
    Some(Patient {
        request,
        is_in_use: files.is_in_use().unwrap_or(false),
        files,
        settings,
        data_dir,
        master_key: master_key.ok(),
    })
}

fn told(
    error: &ConfigurationError,
    request: &Request<'_>,
    file: Option<&Path>,
    findings: &mut Findings,
) {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let what = format!("{error}{}", cause.unwrap_or_default());
    let file = file.map(|file| quoted(&file.display().to_string()));
    let shown = || format!("avow config {}", request.flags);
    let command = match (error, file) {
        (ConfigurationError::Secret(SecretError::FileOpenToOthers { .. }), Some(file)) => {
            format!("chmod 600 {file}")
        }
        (ConfigurationError::Secret(SecretError::FileInsideDataDir { .. }), Some(file)) => {
            format!("mv {file} /etc/avow/master-key")
        }
        (ConfigurationError::Secret(SecretError::Missing { environment, .. }), _) => {
            let what = if *environment == "AVOW_MASTER_KEY" {
                ""
            } else {
                "--webhook-secret "
            };
            format!("avow keys generate {what}--out FILE, and {environment}_FILE=FILE")
        }
        (ConfigurationError::DataDirMissing, _) => "avow doctor --data-dir DIR".to_owned(),
        (ConfigurationError::UnknownKey { .. }, _) => "avow config --reference".to_owned(),
        (_, _) => shown(),
    };
    findings.wrong(PART, what, command);
}
