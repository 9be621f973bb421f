//! The bytes of what erases, holds and releases.

use state_machine::id::{AccountId, SequenceNumber, SessionId, World};

use super::binary::{Fields, put_text};
use super::entry::{ErasureCause, ErasureDoneFact, ErasureFact, Subject, SubjectName};
use super::leaf::LeafError;
use super::vault::KeySlot;

const SUBJECT_SESSION: u8 = 1;
const SUBJECT_ENTRY: u8 = 2;
const CAUSE_REDACTED: u8 = 1;
const CAUSE_OPERATOR: u8 = 2;

pub(super) fn put_erasure(bytes: &mut Vec<u8>, fact: &ErasureFact) {
    match fact.cause {
        ErasureCause::Redacted(sequence) => {
            bytes.push(CAUSE_REDACTED);
            bytes.extend_from_slice(&sequence.0.to_le_bytes());
        }
        ErasureCause::Operator => bytes.push(CAUSE_OPERATOR),
    }
    put_subject(bytes, &fact.subject);
}

pub(super) fn put_erasure_done(bytes: &mut Vec<u8>, fact: &ErasureDoneFact) {
    bytes.extend_from_slice(&fact.erasure.0.to_le_bytes());
    bytes.extend_from_slice(&fact.payloads.to_le_bytes());
    put_subject(bytes, &fact.subject);
}

pub(super) fn put_subject(bytes: &mut Vec<u8>, subject: &Subject) {
    bytes.extend_from_slice(&subject.key_slot.0.to_le_bytes());
    match &subject.name {
        SubjectName::Session(world, session) => {
            let account = world.account.as_ref().map_or("", AccountId::as_str);
            bytes.extend_from_slice(&[SUBJECT_SESSION, u8::from(world.livemode)]);
            put_text(bytes, account);
            put_text(bytes, session.as_str());
        }
        SubjectName::Entry(sequence) => {
            bytes.push(SUBJECT_ENTRY);
            bytes.extend_from_slice(&sequence.0.to_le_bytes());
        }
    }
}

pub(super) fn erasure(fields: &mut Fields<'_>) -> Result<ErasureFact, LeafError> {
    let cause = match fields.u8() {
        Some(CAUSE_REDACTED) => ErasureCause::Redacted(sequence(fields, "redacted entry")?),
        Some(CAUSE_OPERATOR) => ErasureCause::Operator,
        _ => return Err(LeafError::Field("cause of erasure")),
    };
    Ok(ErasureFact {
        cause,
        subject: subject(fields)?,
    })
}

pub(super) fn erasure_done(fields: &mut Fields<'_>) -> Result<ErasureDoneFact, LeafError> {
    Ok(ErasureDoneFact {
        erasure: sequence(fields, "erasure's entry")?,
        payloads: fields.u64().ok_or(LeafError::Field("payload count"))?,
        subject: subject(fields)?,
    })
}

pub(super) fn subject(fields: &mut Fields<'_>) -> Result<Subject, LeafError> {
    let key_slot = KeySlot(fields.u64().ok_or(LeafError::Field("subject's key slot"))?);
    let name = match fields.u8() {
        Some(SUBJECT_SESSION) => session(fields).ok_or(LeafError::Field("subject's session"))?,
        Some(SUBJECT_ENTRY) => SubjectName::Entry(sequence(fields, "subject's entry")?),
        _ => return Err(LeafError::Field("subject")),
    };
    Ok(Subject { key_slot, name })
}

fn session(fields: &mut Fields<'_>) -> Option<SubjectName> {
    let livemode = match fields.u8()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let account = match fields.text()? {
        "" => None,
        account => Some(AccountId::parse(account).ok()?),
    };
    let session = SessionId::parse(fields.text()?).ok()?;
    Some(SubjectName::Session(World { livemode, account }, session))
}

fn sequence(fields: &mut Fields<'_>, name: &'static str) -> Result<SequenceNumber, LeafError> {
    fields
        .u64()
        .map(SequenceNumber)
        .ok_or(LeafError::Field(name))
}
