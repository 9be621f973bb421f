//! A log's identity: random bytes that all of its files carry, and what tells its vault from any other.
//!
//! Its file is written once. Every journal segment repeats it, so that losing the file loses nothing.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::binary::{Fields, checked, with_checksum};
use super::durable::create_whole;
use super::journal::segments;
use super::keys::LogKeys;
use super::open_error::{OpenError, Repair, Repairs};
use super::paths::Paths;
use super::segment::{self, SegmentHeader};

const MAGIC: [u8; 8] = *b"AVOWLOG1";
/// The bytes of an identity, without magic and checksum.
pub(super) const BYTES: usize = 32;
/// The length of the file: checksum, magic and identity.
pub(super) const FILE_BYTES: u64 = 4 + 8 + 32;

/// Which log this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    log: [u8; 16],
    key_check: [u8; 16],
}

impl Identity {
    pub(super) fn new(log: [u8; 16], keys: &LogKeys) -> Self {
        Self {
            log,
            key_check: keys.check(&log),
        }
    }

    /// Returns the log's 16 random bytes.
    pub(super) fn log(self) -> [u8; 16] {
        self.log
    }

    pub(super) fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes
            .iter_mut()
            .zip(self.log.into_iter().chain(self.key_check))
            .for_each(|(to, from)| *to = from);
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::of(bytes);
        Some(Self {
            log: fields.array()?,
            key_check: fields.array()?,
        })
    }

    /// Returns what the file says, or `None` if it is not there or damaged.
    pub(super) fn read(path: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let identity =
            checked(&bytes, MAGIC.len() + BYTES).and_then(|bytes| bytes.strip_prefix(&MAGIC));
        Ok(identity.and_then(Self::parse))
    }

    pub(super) fn write(self, path: &Path) -> io::Result<()> {
        let bytes = with_checksum(&[MAGIC.as_slice(), &self.to_bytes()].concat());
        create_whole(path, |mut file| file.write_all(&bytes))
    }
}

/// Returns the identity of the log that these keys belong to, and gives it to a log that begins.
pub(super) fn establish(
    paths: &Paths,
    log: [u8; 16],
    keys: &LogKeys,
    repairs: &mut Repairs,
) -> Result<Identity, OpenError> {
    let own = Identity::new(log, keys);
    let written = Identity::read(&paths.identity)?;
    let found = written.map_or_else(|| in_journal(&paths.journal), |found| Ok(Some(found)))?;
    match found {
        Some(found) if found != own => return Err(OpenError::OtherVault),
        None if paths.store.exists() => {
            return Err(OpenError::IdentityLost {
                path: paths.identity.clone(),
            });
        }
        Some(_) | None => {}
    }
    if written.is_none() {
        own.write(&paths.identity)?;
        repairs.extend(found.map(|_| Repair::IdentityRewritten));
    }
    Ok(own)
}

/// Tells whether anything is there of a log that has begun.
pub(super) fn has_begun(paths: &Paths) -> io::Result<bool> {
    Ok(paths.identity.exists() || paths.store.exists() || !segments(&paths.journal)?.is_empty())
}

fn in_journal(directory: &Path) -> io::Result<Option<Identity>> {
    for first in segments(directory)? {
        if let Some(header) = SegmentHeader::read(&File::open(segment::path(directory, first))?)? {
            return Ok(Some(header.identity));
        }
    }
    Ok(None)
}
