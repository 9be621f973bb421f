//! The bytes of what is configured: the retry policy, in one form for each policy.

use std::collections::BTreeMap;

use state_machine::id::{ErrorCode, InvalidIdentifier};
use state_machine::retry::policy::{ErrorClass, Policy};

use super::binary::{Fields, put_text};
use super::leaf::LeafError;

/// What is configured; there may be more one day.
const RETRY_POLICY: u8 = 1;

const CLASS_FINAL: u8 = 1;
const CLASS_ALTERNATIVE: u8 = 2;
const CLASS_UNCOUNTED: u8 = 3;
const CLASS_COUNTED: u8 = 4;

/// How many error codes a policy may list, so that a leaf stays below what a bundle holds.
pub const CLASSES_MAX: usize = 128;

/// Appends the bytes of a retry policy.
pub(super) fn put_policy(bytes: &mut Vec<u8>, policy: &Policy) {
    // Taken apart in full, so that a new field cannot be forgotten here.
    let Policy {
        attempts_max,
        window_seconds,
        cooldown_seconds,
        cooldown_factor,
        cooldown_max_seconds,
        classes,
    } = policy;
    bytes.push(RETRY_POLICY);
    for number in [
        attempts_max,
        window_seconds,
        cooldown_seconds,
        cooldown_factor,
        cooldown_max_seconds,
    ] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    // The configuration has bounded their number.
    let count = u32::try_from(classes.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&count.to_le_bytes());
    for (code, class) in classes {
        bytes.push(match class {
            ErrorClass::Final => CLASS_FINAL,
            ErrorClass::Alternative => CLASS_ALTERNATIVE,
            ErrorClass::Uncounted => CLASS_UNCOUNTED,
            ErrorClass::Counted => CLASS_COUNTED,
        });
        put_text(bytes, code.as_str());
    }
}

/// Reads a retry policy.
pub(super) fn policy(fields: &mut Fields<'_>) -> Result<Policy, LeafError> {
    if fields.u8() != Some(RETRY_POLICY) {
        return Err(LeafError::Field("configuration"));
    }
    let mut number = || fields.u32().ok_or(LeafError::Field("retry policy"));
    let (attempts_max, window_seconds) = (number()?, number()?);
    let (cooldown_seconds, cooldown_factor, cooldown_max_seconds) =
        (number()?, number()?, number()?);
    let count = number()?;
    let mut classes = BTreeMap::new();
    for _ in 0..count {
        let (code, class) = class_of(fields).ok_or(LeafError::Field("error classes"))?;
        // Each code once, and in order: a policy has one form.
        let is_next = classes
            .last_key_value()
            .is_none_or(|(last, _)| *last < code);
        if !is_next {
            return Err(LeafError::Field("error classes"));
        }
        classes.insert(code, class);
    }
    Ok(Policy {
        attempts_max,
        window_seconds,
        cooldown_seconds,
        cooldown_factor,
        cooldown_max_seconds,
        classes,
    })
}

fn class_of(fields: &mut Fields<'_>) -> Option<(ErrorCode, ErrorClass)> {
    let class = match fields.u8()? {
        CLASS_FINAL => ErrorClass::Final,
        CLASS_ALTERNATIVE => ErrorClass::Alternative,
        CLASS_UNCOUNTED => ErrorClass::Uncounted,
        CLASS_COUNTED => ErrorClass::Counted,
        _ => return None,
    };
    let code: Result<_, InvalidIdentifier> = ErrorCode::parse(fields.text()?);
    Some((code.ok()?, class))
}

/// Returns the bytes of a retry policy.
pub fn policy_bytes(policy: &Policy) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    put_policy(&mut bytes, policy);
    bytes
}

/// Returns the retry policy of which these are the bytes.
pub fn policy_of_bytes(bytes: &[u8]) -> Result<Policy, LeafError> {
    let mut fields = Fields::of(bytes);
    let policy = policy(&mut fields)?;
    if fields.rest().is_empty() {
        Ok(policy)
    } else {
        Err(LeafError::TrailingBytes)
    }
}
