//! The keys of the store: big-endian and prefixed by world, so that order of bytes is order of meaning.

use std::ops::Bound;

use state_machine::id::{AccountId, SessionId, UserTag, World};
use state_machine::time::Timestamp;
use state_machine::transition::StateName;

use super::stored::DamagedRecord;

/// Returns the prefix that separates one world from every other.
pub(super) fn world(world: &World) -> Vec<u8> {
    let account = world
        .account
        .as_ref()
        .map_or("", |account| account.as_str());
    let mut key = Vec::with_capacity(account.len() + 48);
    key.push(u8::from(world.livemode));
    push_text(&mut key, account);
    key
}

/// Returns the key of a session's record.
pub(super) fn session(of: &World, id: &SessionId) -> Vec<u8> {
    let mut key = world(of);
    key.extend_from_slice(id.as_str().as_bytes());
    key
}

/// Makes `key` that of a session's record, of the texts that name the session.
pub(super) fn put_session(key: &mut Vec<u8>, (livemode, account): (bool, &str), id: &str) {
    key.clear();
    key.push(u8::from(livemode));
    push_text(key, account);
    key.extend_from_slice(id.as_bytes());
}

/// Returns whose key a user's record has.
pub(super) fn user_of(key: &[u8]) -> Result<(World, UserTag), DamagedRecord> {
    let (world, rest) = world_of(key)?;
    let tag = rest.try_into().map_err(|_| DamagedRecord::Key)?;
    Ok((world, UserTag(tag)))
}

/// Returns whose key a session's record has.
pub(super) fn session_of(key: &[u8]) -> Result<(World, SessionId), DamagedRecord> {
    let (world, id) = world_of(key)?;
    let id = str::from_utf8(id).map_err(|_| DamagedRecord::Key)?;
    Ok((world, SessionId::parse(id)?))
}

/// Returns the world that a key begins with, and what follows.
pub(super) fn world_of(key: &[u8]) -> Result<(World, &[u8]), DamagedRecord> {
    let (livemode, rest) = key.split_first().ok_or(DamagedRecord::Key)?;
    let (account_bytes, rest) = rest.split_first().ok_or(DamagedRecord::Key)?;
    let (account, rest) = rest
        .split_at_checked(usize::from(*account_bytes))
        .ok_or(DamagedRecord::Key)?;
    let account = match account {
        [] => None,
        account => {
            let account = str::from_utf8(account).map_err(|_| DamagedRecord::Key)?;
            Some(AccountId::parse(account)?)
        }
    };
    let livemode = *livemode != 0;
    Ok((World { livemode, account }, rest))
}

/// Returns the key of a user's record.
pub(super) fn user(of: &World, tag: UserTag) -> Vec<u8> {
    let mut key = world(of);
    key.extend_from_slice(&tag.0);
    key
}

/// Returns the first key that no longer starts with `prefix`.
pub(super) fn end_of(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

/// Appends a text of at most 255 bytes with its length before it, so that none is a prefix of another.
fn push_text(key: &mut Vec<u8>, text: &str) {
    key.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(text.as_bytes());
}

/// Returns bytes that sort the latest time first.
pub(super) fn latest_first(time: Timestamp) -> [u8; 8] {
    // The sign bit is flipped so that negative times sort before positive ones; the complement reverses the order.
    let mut bytes = time.0.to_be_bytes();
    bytes[0] ^= 0x80;
    bytes.map(|byte| !byte)
}

/// Returns the time that [`latest_first`] was made of.
pub(super) fn time_of(bytes: [u8; 8]) -> Timestamp {
    let mut bytes = bytes.map(|byte| !byte);
    bytes[0] ^= 0x80;
    Timestamp(i64::from_be_bytes(bytes))
}

/// Returns the byte that stands for a state in a key; never reused for another.
pub(super) const fn state(name: StateName) -> u8 {
    match name {
        StateName::Unseen => 0,
        StateName::RequiresInput => 1,
        StateName::Processing => 2,
        StateName::Verified => 3,
        StateName::Canceled => 4,
        StateName::Redacted => 5,
    }
}

/// Returns the state that a byte of a key stands for.
pub(super) const fn state_of_byte(byte: u8) -> Result<StateName, DamagedRecord> {
    Ok(match byte {
        0 => StateName::Unseen,
        1 => StateName::RequiresInput,
        2 => StateName::Processing,
        3 => StateName::Verified,
        4 => StateName::Canceled,
        5 => StateName::Redacted,
        code => return Err(DamagedRecord::Code(code)),
    })
}
