//! The third step: a record of each user, from what every session says of its users.

use state_machine::id::SessionId;
use state_machine::time::Timestamp;
use state_machine::user::{Outline, current_of};

use super::FoldError;
use super::sorter::{Sorted, Sorter};
use crate::log::entry::Leaf;
use crate::log::rows::keyspace::Keyspace;
use crate::projections::key;
use crate::projections::listing::rows_of_user;
use crate::projections::record::UserRecord;
use crate::projections::store::StoreError;
use crate::projections::stored::DamagedRecord;

/// What goes into a user's record.
pub(super) enum Contribution<'bytes> {
    /// An entry that concerns the user: the bytes of its leaf.
    Entry(&'bytes [u8]),
    /// What a session says of a user whom it names.
    Session {
        id: &'bytes str,
        owns: bool,
        outline: Outline,
    },
}

/// Says which of the two stands behind it.
const ENTRY: u8 = 0;
const SESSION: u8 = 1;

impl<'bytes> Contribution<'bytes> {
    /// Appends the form that it has while it is sorted.
    pub(super) fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Entry(leaf) => {
                bytes.push(ENTRY);
                bytes.extend_from_slice(leaf);
            }
            Self::Session { id, owns, outline } => {
                bytes.extend_from_slice(&[SESSION, u8::from(*owns), key::state(outline.state)]);
                bytes.push(u8::from(outline.since.is_some()));
                let since = outline.since.unwrap_or(Timestamp(0));
                bytes.extend_from_slice(&since.0.to_le_bytes());
                bytes.extend_from_slice(&outline.created.0.to_le_bytes());
                bytes.extend_from_slice(id.as_bytes());
            }
        }
    }

    fn of(bytes: &'bytes [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        if *kind == ENTRY {
            return Some(Self::Entry(rest));
        }
        let ([owns, state, has_since], rest) = rest.split_first_chunk()?;
        let (since, rest) = rest.split_first_chunk()?;
        let (created, id) = rest.split_first_chunk()?;
        let since = Timestamp(i64::from_le_bytes(*since));
        Some(Self::Session {
            id: str::from_utf8(id).ok()?,
            owns: *owns != 0,
            outline: Outline {
                state: key::state_of_byte(*state).ok()?,
                since: (*has_since != 0).then_some(since),
                created: Timestamp(i64::from_le_bytes(*created)),
            },
        })
    }
}

/// A user of whom not everything is known yet.
#[derive(Default)]
struct User {
    key: Vec<u8>,
    record: UserRecord,
    outlines: Vec<(SessionId, Outline)>,
}

/// Makes the records of all users from what sessions say of them, which comes sorted by the user's key; `rows` gets those
/// by which they are listed.
pub(super) fn fold(
    mut sorted: Sorted,
    users: &Keyspace,
    rows: &mut Sorter,
) -> Result<(), FoldError> {
    let mut records = users.start_ingestion()?;
    let mut user: Option<User> = None;
    while let Some((key, contribution)) = sorted.next()? {
        if user.as_ref().is_none_or(|user| user.key != key) {
            let begun = User {
                key: key.to_vec(),
                ..User::default()
            };
            if let Some(whole) = user.replace(begun) {
                let (key, record) = whole.finish(rows)?;
                records.write(key, record)?;
            }
        }
        let contribution = Contribution::of(contribution).ok_or(DamagedRecord::Key);
        if let Some(user) = &mut user {
            user.take_in(&contribution.map_err(StoreError::from)?)?;
        }
    }
    if let Some(whole) = user {
        let (key, record) = whole.finish(rows)?;
        records.write(key, record)?;
    }
    Ok(records.finish()?)
}

impl User {
    fn take_in(&mut self, contribution: &Contribution<'_>) -> Result<(), FoldError> {
        match contribution {
            Contribution::Entry(bytes) => match Leaf::decode(bytes) {
                Ok(leaf) => self.record.take_in(&leaf),
                // It was decoded when it was sorted, and is still the same.
                Err(_) => return Err(StoreError::from(DamagedRecord::Key).into()),
            },
            Contribution::Session { id, owns, outline } => {
                let id = SessionId::parse(id)
                    .map_err(|error| StoreError::from(DamagedRecord::from(error)))?;
                self.record.set_owns(&id, *owns);
                if *owns {
                    self.outlines.push((id, *outline));
                }
            }
        }
        Ok(())
    }

    /// Lists the user, and returns the record with its key.
    fn finish(mut self, rows: &mut Sorter) -> Result<(Vec<u8>, Vec<u8>), FoldError> {
        let outlines = self.outlines.iter().map(|(id, outline)| (id, *outline));
        self.record.listed_as = current_of(outlines).map(|(_, current)| current.state);
        let (world, tag) = key::user_of(&self.key).map_err(StoreError::from)?;
        for (key, row) in rows_of_user(&world, tag, self.record.listed_as) {
            rows.push(&key, &row)?;
        }
        let record = self.record.encode().map_err(StoreError::from)?;
        Ok((self.key, record))
    }
}
