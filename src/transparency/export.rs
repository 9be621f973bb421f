//! What a log signs of an export: that the bundle with this manifest is its own.
//!
//! The text is none of a checkpoint's: its third line is no hash in base64. So the key signs nothing else by it.

use super::key::VerifierKey;
use super::note::{Note, WrongSignature};
use super::signing_key::SigningKey;

/// The SHA-256 of a manifest.
pub type ManifestHash = [u8; 32];

/// Why a note does not say that an export is the log's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnauthenticExport {
    /// It is of another log or of another manifest, or no such note.
    #[error("the note is not about this manifest of this log")]
    OtherText,
    /// It bears no signature by the key.
    #[error("the note is not signed by the log's key")]
    Unsigned,
    /// It bears a signature in the key's name that the key did not make.
    #[error(transparent)]
    WrongSignature(#[from] WrongSignature),
}

/// Signs that the bundle with this manifest is an export of the log that is named as the key is.
pub fn sign(manifest: &ManifestHash, key: &SigningKey) -> Note {
    Note::sign_checked(text(manifest, key.verifier_key()), key)
}

/// Checks that the log with this key signed this manifest.
pub fn authenticate(
    note: &Note,
    manifest: &ManifestHash,
    log: &VerifierKey,
) -> Result<(), UnauthenticExport> {
    if note.text() != text(manifest, log) {
        return Err(UnauthenticExport::OtherText);
    }
    match note.signature_by(log)? {
        Some(_) => Ok(()),
        None => Err(UnauthenticExport::Unsigned),
    }
}

fn text(manifest: &ManifestHash, log: &VerifierKey) -> String {
    format!(
        "avow export v1\n{}\n{}\n",
        log.name(),
        hex::encode(manifest)
    )
}

#[cfg(test)]
mod tests {
    use super::super::checkpoint::Checkpoint;
    use super::*;

    fn key(name: &str, seed: u8) -> SigningKey {
        SigningKey::new(name.parse().unwrap(), &[seed; 32])
    }

    #[test]
    fn a_signed_export_names_its_log_and_its_manifest() {
        let note = sign(&[0xab; 32], &key("avow/log", 1));

        assert_eq!(
            note.text(),
            format!("avow export v1\navow/log\n{}\n", "ab".repeat(32))
        );
    }

    #[test]
    fn only_the_logs_own_signature_of_this_manifest_is_believed() {
        let log = key("avow/log", 1);
        let note = sign(&[1; 32], &log);
        let impostor = key("avow/log", 2);
        let rows = [
            (&log, [1; 32], Ok(())),
            (&log, [2; 32], Err(UnauthenticExport::OtherText)),
            (
                &key("avow/other", 1),
                [1; 32],
                Err(UnauthenticExport::OtherText),
            ),
            (&impostor, [1; 32], Err(UnauthenticExport::Unsigned)),
        ];
        for (key, manifest, expected) in rows {
            assert_eq!(authenticate(&note, &manifest, key.verifier_key()), expected);
        }
    }

    #[test]
    fn no_manifest_makes_the_key_sign_a_checkpoint() {
        for origin in ["avow/log", "7", "0"] {
            for byte in 0..=u8::MAX {
                let note = sign(&[byte; 32], &key(origin, 1));
                assert!(note.text().parse::<Checkpoint>().is_err(), "{origin}");
            }
        }
    }
}
