//! Trust in checkpoints, as C2SP tlog-policy has it: by which logs, and cosigned by which witnesses.

use std::collections::BTreeSet;

use state_machine::time::Timestamp;

use super::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint, UnauthenticCheckpoint};
use super::cosignature::cosigned_at;
use super::key::VerifierKey;
use super::note::{Note, WrongSignature};

/// Which checkpoints to believe: those that one of the logs signed and a quorum of the witnesses cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(super) logs: Vec<Log>,
    pub(super) witnesses: Vec<Witness>,
    /// Each behind those that it names, so that one pass decides them all.
    pub(super) groups: Vec<Group>,
    /// The witness or group that has to have witnessed; none where no cosignature is asked for.
    pub(super) quorum: Option<String>,
}

/// A log that is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// The key of its checkpoints, named as the log is.
    pub key: VerifierKey,
    /// Where it is served.
    pub url: Option<String>,
}

/// A witness that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Its name in the policy, which means nothing elsewhere.
    pub name: String,
    /// The key of its cosignatures.
    pub key: VerifierKey,
    /// Where it takes checkpoints.
    pub url: Option<String>,
}

/// Witnesses and earlier groups, of which so many have to have witnessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) threshold: usize,
    pub(super) members: Vec<String>,
}

/// A witness of the policy that cosigned a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosigner<'policy> {
    /// Which.
    pub witness: &'policy Witness,
    /// When, by its clock.
    pub cosigned_at: Timestamp,
}

/// Why a checkpoint is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UntrustedCheckpoint {
    /// Its text is no checkpoint's.
    #[error(transparent)]
    Malformed(#[from] CheckpointError),
    /// It is of a log that the policy does not name.
    #[error("the policy does not name the log {0}")]
    UnknownLog(String),
    /// The log that it names did not sign it.
    #[error(transparent)]
    Unauthentic(UnauthenticCheckpoint),
    /// A signature in the name of one of the witnesses is not the witness's.
    #[error(transparent)]
    WrongCosignature(#[from] WrongSignature),
    /// Too few of the witnesses cosigned it.
    #[error("the cosignatures of the checkpoint do not meet the quorum {0}")]
    QuorumNotMet(String),
}

impl Policy {
    /// Returns the policy that trusts one log, and asks for no witness.
    pub fn of_log(key: VerifierKey) -> Self {
        Self {
            logs: vec![Log { key, url: None }],
            witnesses: Vec::new(),
            groups: Vec::new(),
            quorum: None,
        }
    }

    /// Returns the policy with the same witnesses and quorum that trusts this log alone.
    #[must_use]
    pub fn with_log(self, key: VerifierKey) -> Self {
        Self {
            logs: Self::of_log(key).logs,
            ..self
        }
    }

    /// Returns the logs, in the order of the file.
    pub fn logs(&self) -> &[Log] {
        &self.logs
    }

    /// Returns the witnesses, in the order of the file.
    pub fn witnesses(&self) -> &[Witness] {
        &self.witnesses
    }

    /// Returns the checkpoint in a note, if it is to be believed.
    pub fn authenticate(&self, note: &Note) -> Result<SignedCheckpoint, UntrustedCheckpoint> {
        let checkpoint: Checkpoint = note.text().parse()?;
        let signed = self.signed_by_a_log(note, checkpoint.origin())?;
        let cosigners = self.cosigners(note)?;
        let names = cosigners
            .iter()
            .map(|cosigner| cosigner.witness.name.as_str());
        match &self.quorum {
            Some(quorum) if !self.is_met_by(&names.collect()) => {
                Err(UntrustedCheckpoint::QuorumNotMet(quorum.clone()))
            }
            _ => Ok(signed),
        }
    }

    /// Returns the witnesses that cosigned a checkpoint, in the order of the file.
    pub fn cosigners(&self, checkpoint: &Note) -> Result<Vec<Cosigner<'_>>, WrongSignature> {
        let cosigners = self.witnesses.iter().map(|witness| {
            let cosigned_at = cosigned_at(checkpoint, &witness.key)?;
            Ok(cosigned_at.map(|cosigned_at| Cosigner {
                witness,
                cosigned_at,
            }))
        });
        cosigners.filter_map(Result::transpose).collect()
    }

    /// Returns whether cosignatures by the witnesses of these names are a quorum.
    pub fn is_met_by(&self, cosigners: &BTreeSet<&str>) -> bool {
        let names = self.witnesses.iter().map(|witness| witness.name.as_str());
        let mut witnessed: BTreeSet<&str> = names.filter(|name| cosigners.contains(name)).collect();
        for group in &self.groups {
            let members = group.members.iter().map(String::as_str);
            if members.filter(|member| witnessed.contains(member)).count() >= group.threshold {
                witnessed.insert(&group.name);
            }
        }
        self.quorum
            .as_deref()
            .is_none_or(|quorum| witnessed.contains(quorum))
    }

    /// A log may have several keys; a signature by one of them is enough, but none may be wrong.
    fn signed_by_a_log(
        &self,
        note: &Note,
        origin: &str,
    ) -> Result<SignedCheckpoint, UntrustedCheckpoint> {
        let keys = self.logs.iter().map(|log| &log.key);
        let mut outcome = Err(UntrustedCheckpoint::UnknownLog(origin.to_owned()));
        for key in keys.filter(|key| key.name().as_str() == origin) {
            match SignedCheckpoint::authenticate(note.clone(), key) {
                Ok(signed) => outcome = Ok(signed),
                Err(UnauthenticCheckpoint::Unsigned(_)) if outcome.is_ok() => {}
                Err(error @ UnauthenticCheckpoint::Unsigned(_)) => {
                    outcome = Err(UntrustedCheckpoint::Unauthentic(error));
                }
                Err(error) => return Err(UntrustedCheckpoint::Unauthentic(error)),
            }
        }
        outcome
    }
}
