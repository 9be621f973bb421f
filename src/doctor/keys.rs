//! The vault and the checkpoints: what opens payloads, and what was signed.

use super::finding::Findings;
use super::{End, Patient};
use crate::audit::data_directory::DataDirectory;
use crate::log::unsealer::Unsealer;
use crate::log::vault::VaultError;
use crate::log::vault::reader::VaultReader;
use crate::transparency::checkpoint::{Checkpoint, SignedCheckpoint};

/// Checks the vault; returns what opens its keys.
pub(super) fn check_vault(
    patient: &mut Patient<'_>,
    end: End<'_>,
    findings: &mut Findings,
) -> Option<Unsealer> {
    const PART: &str = "vault";
    let put_back = format!("cp -p FILE {}", patient.path("vault"));
    let vault = match VaultReader::open(&patient.data_dir.join("vault")) {
        Ok(vault) => vault,
        Err(VaultError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            if end.is_some() {
                let what =
                    "it is missing, and with it the keys of every payload: the log does not open";
                findings.wrong(PART, what, put_back);
            } else {
                findings.note(PART, "there is none yet; the first start makes it", None);
            }
            return None;
        }
        Err(error) => {
            findings.wrong(PART, error.to_string(), put_back);
            return None;
        }
    };
    let there = vault.slots_end().map_or(0, |slots| slots.0);
    let named = end.map_or(0, |end| end.slots_end.0);
    let Some(master_key) = patient.master_key.take() else {
        let why = "there is no master key to open it with: see the configuration";
        findings.not_checked(PART, why, None);
        return None;
    };
    let unsealer = match Unsealer::new(vault, &master_key) {
        Ok(unsealer) => unsealer,
        Err(error @ VaultError::OtherMasterKey) => {
            findings.wrong(PART, error.to_string(), "export AVOW_MASTER_KEY_FILE=FILE");
            return None;
        }
        Err(error) => {
            findings.wrong(PART, error.to_string(), put_back);
            return None;
        }
    };
    let is_own = unsealer.is_of(&patient.files).unwrap_or(true);
    let has_identity = patient.files.log_id().is_ok_and(|id| id.is_some());
    if !is_own && has_identity {
        findings.wrong(PART, "it belongs to another log", put_back);
    } else if there < named {
        let what =
            format!("it is older than the log: entries name {named} keys, and it has {there}");
        findings.wrong(PART, what, put_back);
    } else {
        findings.good(PART, format!("it opens, with {there} slots"));
    }
    Some(unsealer)
}

/// Checks that the last checkpoint is this log's, and that the log has what it covers.
pub(super) fn check_checkpoints(
    patient: &Patient<'_>,
    unsealer: Option<&Unsealer>,
    end: End<'_>,
    findings: &mut Findings,
) {
    const PART: &str = "checkpoints";
    let Some(end) = end else {
        return;
    };
    let directory = match DataDirectory::open(&patient.data_dir) {
        Ok(directory) => directory,
        Err(error) => return findings.not_checked(PART, error.to_string(), None),
    };
    let Some(note) = directory.checkpoint() else {
        let what = "there is none: either nothing was signed yet, or the file is lost, and only those who kept one can \
                    tell what it said";
        return findings.wrong(PART, what, patient.opening());
    };
    let restore = patient.restoring();
    let checkpoint = match note.text().parse::<Checkpoint>() {
        Ok(checkpoint) => checkpoint,
        Err(error) => return findings.wrong(PART, error.to_string(), restore),
    };
    let size = checkpoint.tree().size;
    let key = unsealer.map(|unsealer| {
        let origin = checkpoint.origin().parse().ok()?;
        unsealer.verifier_key(origin).ok()
    });
    let is_authentic = key.map(|key| {
        key.is_some_and(|key| SignedCheckpoint::authenticate(note.clone(), &key).is_ok())
    });
    if size > end.entries {
        let what = format!(
            "the last one was signed over {size} entries, and the log has {}: entries are gone, and it does not open",
            end.entries
        );
        findings.wrong(PART, what, restore);
    } else if is_authentic == Some(false) {
        findings.wrong(
            PART,
            "the last one is not signed with this log's key",
            restore,
        );
    } else if is_authentic.is_none() {
        let why = "the last one cannot be authenticated without the vault and its master key";
        findings.not_checked(PART, why, None);
    } else {
        findings.good(
            PART,
            format!("the last one covers {size} entries, and is this log's"),
        );
    }
}
