//! What a running server takes anew, part by part: how each is read, compared with what is in force, and replaced.

use std::path::PathBuf;
use std::sync::Arc;

use super::reload::Part;
use super::sources::SourceArguments;
use crate::access::admission::Admission;
use crate::config::settings::Settings;
use crate::config::tokens::{self, TokensError};
use crate::log::Words;
use crate::log::access::{Access, AccessFact, Accessed, Accessor};
use crate::service::Service;
use crate::system;
use crate::tls::certificate::Certificate;

/// A server that runs, and what it began with.
#[derive(Clone, Copy)]
pub(super) struct Running<'server> {
    pub(super) settings: &'server Settings,
    /// Where its settings come from; none for one that makes its own.
    pub(super) sources: Option<&'server SourceArguments>,
    pub(super) service: &'server Service,
    pub(super) admission: &'server Arc<Admission>,
    pub(super) certificate: Option<&'server Arc<Certificate>>,
}

impl<'server> Running<'server> {
    /// Returns everything that can be taken anew. Each by itself: one that cannot be used keeps no other from changing.
    pub(super) fn parts(self) -> Vec<Part<'server>> {
        let parts = [
            self.tokens(),
            self.webhook_secrets(),
            self.certificate(),
            self.retry_policy(),
        ];
        parts.into_iter().flatten().collect()
    }

    fn tokens(self) -> Option<Part<'server>> {
        let path = self.settings.tokens_file()?;
        let files = [path.clone()];
        let take = move || match tokens::read(&path)? {
            Some(register) => {
                let changes = self.admission.replace(register, system::now_seconds());
                if let Some(changes) = &changes {
                    record_tokens(self.service, changes);
                }
                Ok(changes)
            }
            None if self.admission.has_register() => Err(TokensError::Missing.into()),
            None => Ok(None),
        };
        Some(Part::new("access tokens", files, take))
    }

    fn webhook_secrets(self) -> Option<Part<'server>> {
        let sources = self.sources?;
        let files = self.settings.webhook.secrets_file.clone();
        let take = move || {
            let secrets = sources.with(|sources| self.settings.webhook_secrets(sources))?;
            let names: Vec<String> = secrets
                .iter()
                .map(|secret| secret.fingerprint().to_string())
                .collect();
            let changed = self.service.replace_secrets(secrets);
            Ok(changed.then(|| format!("those with the fingerprints {}", names.join(", "))))
        };
        Some(Part::new("webhook secrets", files, take))
    }

    fn certificate(self) -> Option<Part<'server>> {
        let certificate = self.certificate?;
        let tls = &self.settings.tls;
        let files = [&tls.certificate_file, &tls.key_file];
        let files: Vec<PathBuf> = files.into_iter().flatten().cloned().collect();
        let take = move || {
            let identity = self.settings.certificate()?;
            let changed = identity.and_then(|identity| certificate.replace(identity));
            Ok(changed.map(|fingerprint| format!("the one with the fingerprint {fingerprint}")))
        };
        Some(Part::new("certificate and its key", files, take))
    }

    fn retry_policy(self) -> Option<Part<'server>> {
        let sources = self.sources?;
        let mut others = others(self.settings, self.settings);
        let take = move || {
            let settings = sources.with(Settings::load)?;
            let policy = self.service.replace_policy(settings.retry_policy());
            let found = self::others(&settings, self.settings);
            let has_others = std::mem::replace(&mut others, found) != others;
            let policy = policy.map(|policy| format!("the policy is {}", policy.hash));
            let waiting = has_others
                .then(|| "settings that are not `retry.…` hold from the next start on".to_owned());
            let changes: Vec<String> = policy.into_iter().chain(waiting).collect();
            Ok((!changes.is_empty()).then(|| changes.join("; ")))
        };
        Some(Part::new("rules for another try", sources.file(), take))
    }
}

/// Returns a text of all settings but those of the retry policy, to tell whether they are the same.
fn others(settings: &Settings, started_with: &Settings) -> String {
    let settings = Settings {
        retry: started_with.retry.clone(),
        ..settings.clone()
    };
    format!("{settings:?}")
}

fn record_tokens(service: &Service, changes: &str) {
    let access = AccessFact {
        by: Accessor::Local,
        access: Access::Tokens,
        on: Accessed::Everything,
    };
    let words = Words {
        actor: "whoever changed the file of the tokens".to_owned(),
        reason: changes.to_owned(),
        token: None,
    };
    service.record_access(access, &words, |recorded| {
        if let Err(error) = recorded {
            tracing::error!(%error, "a change of the access tokens is in force, and not on record");
        }
    });
}
