//! C2SP cosignature/v1: a witness's statement of what it saw, and when.

use state_machine::time::Timestamp;

use super::key::{SignatureType, VerifierKey};
use super::note::{Note, WrongSignature, signatures_by};

/// Returns when the witness with this key cosigned a checkpoint, the latest time if it did so more than once.
pub fn cosigned_at(
    checkpoint: &Note,
    witness: &VerifierKey,
) -> Result<Option<Timestamp>, WrongSignature> {
    let signatures = signatures_by(witness, checkpoint.text(), checkpoint.signatures())?;
    let times = signatures
        .iter()
        .filter_map(|signature| match witness.signature_type() {
            SignatureType::Ed25519 => None,
            SignatureType::Cosignature => Some(split(signature.bytes())?.0),
        });
    Ok(times.max())
}

/// Returns what is signed for a checkpoint with this text.
pub(super) fn message(at: Timestamp, text: &str) -> String {
    format!("cosignature/v1\ntime {}\n{text}", at.0)
}

/// Returns the time and the Ed25519 signature that the bytes of a cosignature hold.
pub(super) fn split(cosignature: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (seconds, signature) = cosignature.split_first_chunk()?;
    // The format ends at 2⁶³ - 1 seconds, as does the type.
    let seconds = i64::try_from(u64::from_be_bytes(*seconds)).ok()?;
    Some((Timestamp(seconds), signature))
}

/// Returns the bytes of a cosignature.
pub(super) fn join(at: Timestamp, signature: &[u8; 64]) -> Vec<u8> {
    [at.0.to_be_bytes().as_slice(), signature].concat()
}
