//! The bytes of an override: flags first, which say what is there, and then what is there.

use state_machine::id::{AccountId, OverrideId, UserTag, World};
use state_machine::overrides::Action;
use state_machine::time::Timestamp;

use super::binary::{Fields, put_text};
use super::entry::{OverrideFact, RequestTag};
use super::leaf::LeafError;

const LIVEMODE: u8 = 1;
const ACCOUNT: u8 = 1 << 1;
const EXPIRES: u8 = 1 << 2;
const REQUEST: u8 = 1 << 3;
const FLAGS_ALL: u8 = (1 << 4) - 1;

const ACTION_GRANT: u8 = 1;
const ACTION_RESET: u8 = 2;
const ACTION_BLOCK: u8 = 3;
const ACTION_UNBLOCK: u8 = 4;

/// Appends the bytes of an override.
pub(super) fn put_override(bytes: &mut Vec<u8>, fact: &OverrideFact) {
    put_decision(bytes, fact);
    put_text(bytes, fact.id.as_str());
    if let Some(RequestTag { key, content }) = &fact.request {
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(content);
    }
}

/// Appends what is decided, about whom: all that two requests for the same have in common.
pub(super) fn put_decision(bytes: &mut Vec<u8>, fact: &OverrideFact) {
    let flags = [
        (LIVEMODE, fact.world.livemode),
        (ACCOUNT, fact.world.account.is_some()),
        (EXPIRES, fact.expires.is_some()),
        (REQUEST, fact.request.is_some()),
    ];
    let flags = flags.into_iter().filter(|(_, is_set)| *is_set);
    bytes.push(flags.fold(0, |all, (flag, _)| all | flag));
    match fact.action {
        Action::Grant { attempts } => {
            bytes.push(ACTION_GRANT);
            bytes.extend_from_slice(&attempts.to_le_bytes());
        }
        Action::Reset => bytes.push(ACTION_RESET),
        Action::Block => bytes.push(ACTION_BLOCK),
        Action::Unblock => bytes.push(ACTION_UNBLOCK),
    }
    bytes.extend_from_slice(&fact.user.0);
    if let Some(account) = &fact.world.account {
        put_text(bytes, account.as_str());
    }
    if let Some(expires) = fact.expires {
        bytes.extend_from_slice(&expires.0.to_le_bytes());
    }
}

/// Reads an override.
pub(super) fn override_fact(fields: &mut Fields<'_>) -> Result<OverrideFact, LeafError> {
    let flags = fields.u8().filter(|flags| flags & !FLAGS_ALL == 0);
    let flags = flags.ok_or(LeafError::Field("override's flags"))?;
    let has = |flag: u8| flags & flag != 0;
    let action = action(fields).ok_or(LeafError::Field("action"))?;
    let user = UserTag(fields.array().ok_or(LeafError::Field("user tag"))?);
    let account = has(ACCOUNT).then(|| {
        let account = fields.text().and_then(|text| AccountId::parse(text).ok());
        account.ok_or(LeafError::Field("account"))
    });
    let account = account.transpose()?;
    let expires = has(EXPIRES).then(|| fields.i64().ok_or(LeafError::Field("expiry")));
    let expires = expires.transpose()?.map(Timestamp);
    let id = fields.text().and_then(|text| OverrideId::parse(text).ok());
    let id = id.ok_or(LeafError::Field("override id"))?;
    let request = has(REQUEST).then(|| request(fields).ok_or(LeafError::Field("request tag")));
    Ok(OverrideFact {
        world: World {
            livemode: has(LIVEMODE),
            account,
        },
        user,
        id,
        action,
        expires,
        request: request.transpose()?,
    })
}

fn action(fields: &mut Fields<'_>) -> Option<Action> {
    Some(match fields.u8()? {
        ACTION_GRANT => Action::Grant {
            attempts: fields.u32()?,
        },
        ACTION_RESET => Action::Reset,
        ACTION_BLOCK => Action::Block,
        ACTION_UNBLOCK => Action::Unblock,
        _ => return None,
    })
}

fn request(fields: &mut Fields<'_>) -> Option<RequestTag> {
    Some(RequestTag {
        key: fields.array()?,
        content: fields.array()?,
    })
}
