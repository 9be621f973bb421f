//! The bytes of an access: who, what, and on what.

use state_machine::id::{AccountId, SequenceNumber, SessionId, UserTag, World};

use super::access::{Access, AccessFact, Accessed, Accessor};
use super::binary::{Fields, put_text};
use super::leaf::LeafError;
use crate::access::token::TokenId;

const BY_LOCAL: u8 = 1;
const BY_ANONYMOUS: u8 = 2;
const BY_TOKEN: u8 = 3;

const ON_EVERYTHING: u8 = 1;
const ON_WORLD: u8 = 2;
const ON_USER: u8 = 3;
const ON_SESSION: u8 = 4;
const ON_ENTRIES: u8 = 5;

/// Appends the bytes of an access.
pub(super) fn put_access(bytes: &mut Vec<u8>, fact: &AccessFact) {
    match &fact.by {
        Accessor::Local => bytes.push(BY_LOCAL),
        Accessor::Anonymous => bytes.push(BY_ANONYMOUS),
        Accessor::Token(id) => {
            bytes.push(BY_TOKEN);
            put_text(bytes, id.as_str());
        }
    }
    bytes.push(code(fact.access));
    match &fact.on {
        Accessed::Everything => bytes.push(ON_EVERYTHING),
        Accessed::World(world) => {
            bytes.push(ON_WORLD);
            put_world(bytes, world);
        }
        Accessed::User(world, tag) => {
            bytes.push(ON_USER);
            put_world(bytes, world);
            bytes.extend_from_slice(&tag.0);
        }
        Accessed::Session(world, session) => {
            bytes.push(ON_SESSION);
            put_world(bytes, world);
            put_text(bytes, session.as_str());
        }
        Accessed::Entries { first, count } => {
            bytes.push(ON_ENTRIES);
            bytes.extend_from_slice(&first.0.to_le_bytes());
            bytes.extend_from_slice(&count.to_le_bytes());
        }
    }
}

/// Reads an access.
pub(super) fn access(fields: &mut Fields<'_>) -> Result<AccessFact, LeafError> {
    let by = accessor(fields).ok_or(LeafError::Field("accessor"))?;
    let access = fields
        .u8()
        .and_then(access_of)
        .ok_or(LeafError::Field("access"))?;
    let on = accessed(fields).ok_or(LeafError::Field("what is accessed"))?;
    Ok(AccessFact { by, access, on })
}

fn accessor(fields: &mut Fields<'_>) -> Option<Accessor> {
    Some(match fields.u8()? {
        BY_LOCAL => Accessor::Local,
        BY_ANONYMOUS => Accessor::Anonymous,
        BY_TOKEN => Accessor::Token(TokenId::parse(fields.text()?)?),
        _ => return None,
    })
}

fn accessed(fields: &mut Fields<'_>) -> Option<Accessed> {
    Some(match fields.u8()? {
        ON_EVERYTHING => Accessed::Everything,
        ON_WORLD => Accessed::World(world(fields)?),
        ON_USER => Accessed::User(world(fields)?, UserTag(fields.array()?)),
        ON_SESSION => {
            let world = world(fields)?;
            Accessed::Session(world, SessionId::parse(fields.text()?).ok()?)
        }
        ON_ENTRIES => Accessed::Entries {
            first: SequenceNumber(fields.u64()?),
            count: fields.u64()?,
        },
        _ => return None,
    })
}

fn put_world(bytes: &mut Vec<u8>, world: &World) {
    bytes.push(u8::from(world.livemode));
    put_text(bytes, world.account.as_ref().map_or("", AccountId::as_str));
}

fn world(fields: &mut Fields<'_>) -> Option<World> {
    let livemode = match fields.u8()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let account = match fields.text()? {
        "" => None,
        account => Some(AccountId::parse(account).ok()?),
    };
    Some(World { livemode, account })
}

/// Returns the number that stands for an access in a leaf; never reused for another. 2 and 8 stand for none.
fn code(access: Access) -> u8 {
    match access {
        Access::Export => 1,
        Access::Rebuild => 3,
        Access::RebuildDryRun => 4,
        Access::Tokens => 5,
        Access::Users => 6,
        Access::Sessions => 7,
        Access::Words => 9,
        Access::Payloads => 10,
    }
}

fn access_of(number: u8) -> Option<Access> {
    Access::ALL
        .into_iter()
        .find(|access| code(*access) == number)
}
