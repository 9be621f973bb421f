//! Whom the auditor trusts, and by which key the checkpoints of the log are authenticated.

use super::finding::{Class, Findings};
use crate::transparency::checkpoint::{Checkpoint, SignedCheckpoint, UnauthenticCheckpoint};
use crate::transparency::hash::TreeHead;
use crate::transparency::key::VerifierKey;
use crate::transparency::note::Note;
use crate::transparency::policy::{Policy, UntrustedCheckpoint};

/// By what the auditor knows the log.
pub enum Trust {
    /// By a key or a policy, which came from elsewhere.
    Told(Policy),
    /// By nothing but what the log says itself.
    SelfAsserted(VerifierKey),
    /// By nothing: not even the log says a key.
    Nothing,
}

impl Trust {
    /// Returns the key of the log with this origin.
    pub(super) fn key_of(&self, origin: &str) -> Option<&VerifierKey> {
        match self {
            Self::Told(policy) => {
                let mut keys = policy.logs().iter().map(|log| &log.key);
                keys.find(|key| key.name().as_str() == origin)
            }
            Self::SelfAsserted(key) => Some(key),
            Self::Nothing => None,
        }
    }

    /// Authenticates the latest checkpoint of a log, or the cosigned one where the policy asks for witnesses.
    pub(super) fn authenticate(
        &self,
        note: &Note,
        cosigned: Option<&Note>,
        findings: &mut Findings,
    ) {
        match self {
            Self::Told(policy) => {
                let authenticated = match (policy.authenticate(note), cosigned) {
                    (Err(UntrustedCheckpoint::QuorumNotMet(_)), Some(cosigned)) => {
                        policy.authenticate(cosigned)
                    }
                    (authenticated, _) => authenticated,
                };
                if let Err(error) = authenticated {
                    let what = format!("the checkpoint is not to be trusted: {error}");
                    findings.add(class_of(&error), what);
                }
            }
            Self::SelfAsserted(key) => {
                if let Err(error) = SignedCheckpoint::authenticate(note.clone(), key) {
                    findings.add(Class::Tampered, format!("the checkpoint: {error}"));
                }
            }
            Self::Nothing => findings.add(
                Class::CouldNotCheck,
                "no key is known, so no signature was checked: tell `--vkey`, `--policy`, or the master key",
            ),
        }
    }
}

/// A signature that is not its key's was tampered with; a key that the auditor does not know is another matter.
fn class_of(error: &UntrustedCheckpoint) -> Class {
    match error {
        UntrustedCheckpoint::Malformed(_)
        | UntrustedCheckpoint::WrongCosignature(_)
        | UntrustedCheckpoint::Unauthentic(
            UnauthenticCheckpoint::Malformed(_) | UnauthenticCheckpoint::WrongSignature(_),
        ) => Class::Tampered,
        UntrustedCheckpoint::UnknownLog(_)
        | UntrustedCheckpoint::QuorumNotMet(_)
        | UntrustedCheckpoint::Unauthentic(
            UnauthenticCheckpoint::OtherLog { .. } | UnauthenticCheckpoint::Unsigned(_),
        ) => Class::UntrustedKey,
    }
}

/// Returns the head that a note states, authenticated if the log's key is known; notes as `class` what is wrong.
pub(super) fn head_of(
    note: &Note,
    key: Option<&VerifierKey>,
    (class, name): (Class, &str),
    findings: &mut Findings,
) -> Option<TreeHead> {
    if let Some(key) = key
        && let Err(error) = SignedCheckpoint::authenticate(note.clone(), key)
    {
        findings.add(class, format!("{name}: {error}"));
    }
    match note.text().parse::<Checkpoint>() {
        Ok(checkpoint) => Some(checkpoint.tree()),
        Err(error) => {
            findings.add(class, format!("{name}: {error}"));
            None
        }
    }
}
