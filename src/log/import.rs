//! Import: the files of a log written from its leaves and sealed payloads, so that opening it finds them as if it had
//! committed them itself.
//!
//! They are written beside their place. Only when all of them are durable do they take it: until then there is no log.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use state_machine::id::SequenceNumber;

use super::durable::{create_whole, sync_directory};
use super::entry::Leaf;
use super::journal::{End, Journal, JournalError, create_segment};
use super::paths::Paths;
use super::payload::{OpenedPayload, PayloadError};
use super::record::{self, GENESIS, Link, put_record};
use super::room::Room;
use super::segment::{HEADER_BYTES, SegmentHeader};
use super::unsealer::Unsealer;
use super::vault::{KeySlot, VaultError};
use super::{Options, default_origin};
use crate::transparency::hash::leaf_hash;
use crate::transparency::key::{KeyName, NotAKeyName, VerifierKey};

/// How many bytes are made durable at once, about.
const GROUP_BYTES: usize = 1024 * 1024;

/// Why a log was not written.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Something is there already.
    #[error("{} is not empty; a log is imported into a directory of its own", .0.display())]
    NotEmpty(PathBuf),
    /// The vault could not be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The vault's key did not sign the export.
    #[error(
        "the vault is of another log: its key is {found}, and the export was signed by {expected}"
    )]
    OtherVault {
        /// The key that the vault holds.
        found: Box<VerifierKey>,
        /// The key that signed.
        expected: Box<VerifierKey>,
    },
    /// The log would be opened under another name.
    #[error("the export is of the log {0}: set `log.origin` to that, here and where it is served")]
    OtherOrigin(KeyName),
    /// The log cannot have a name of its own.
    #[error(transparent)]
    Origin(#[from] NotAKeyName),
    /// The vault was copied before keys were made that the log uses.
    #[error(
        "the vault is older than the export: it ends before key slot {named}; give a later copy"
    )]
    VaultBehind {
        /// The slot that a leaf names.
        named: u64,
    },
    /// The operating system refused.
    #[error("the log cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The journal could not be written.
    #[error(transparent)]
    Journal(#[from] JournalWriteError),
}

/// Why the journal could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JournalWriteError(String);

impl From<JournalError> for ImportError {
    fn from(error: JournalError) -> Self {
        Self::Journal(JournalWriteError(error.to_string()))
    }
}

/// A vault whose key signed an export. Nothing of its file is changed.
pub struct ImportedVault(Unsealer);

impl ImportedVault {
    /// Checks a vault against the key that signed, under the name that the log would be opened with.
    pub fn check(
        vault: Unsealer,
        options: &Options,
        log: &VerifierKey,
    ) -> Result<Self, ImportError> {
        let found = vault.verifier_key(log.name().clone())?;
        if found != *log {
            return Err(ImportError::OtherVault {
                found: Box::new(found),
                expected: Box::new(log.clone()),
            });
        }
        let origin = options.origin.clone();
        if origin.map_or_else(|| default_origin(vault.vault().log()), Ok)? != *log.name() {
            return Err(ImportError::OtherOrigin(log.name().clone()));
        }
        Ok(Self(vault))
    }

    /// Says whether the vault is so new that it has, or had, the key in a slot that a leaf names.
    pub fn check_slot(&self, named: KeySlot) -> Result<(), ImportError> {
        if named < self.0.vault().slots_end()? {
            Ok(())
        } else {
            Err(ImportError::VaultBehind { named: named.0 })
        }
    }

    /// Opens a sealed payload and checks it against its leaf.
    pub fn open(&mut self, leaf: &Leaf, sealed: &[u8]) -> Result<OpenedPayload, PayloadError> {
        self.0.open(leaf, sealed)
    }
}

/// A log that is being written.
pub struct Import<'vault> {
    vault: &'vault Unsealer,
    /// Where it lies until it is whole.
    unfinished: PathBuf,
    /// Where it belongs.
    directory: PathBuf,
    paths: Paths,
    journal: Journal,
    group: Vec<u8>,
    next: u64,
    link: Link,
}

impl<'vault> Import<'vault> {
    /// Begins to write the log of a data directory that is empty, or not there.
    pub fn begin(
        data_dir: &Path,
        vault: &'vault ImportedVault,
        options: &Options,
    ) -> Result<Self, ImportError> {
        fs::create_dir_all(data_dir)?;
        if fs::read_dir(data_dir)?.next().is_some() {
            return Err(ImportError::NotEmpty(data_dir.to_owned()));
        }
        let unfinished = data_dir.join("log.importing");
        let paths = Paths::under(&unfinished);
        fs::create_dir_all(&paths.journal)?;
        let ImportedVault(vault) = vault;
        let identity = vault.identity();
        identity.write(&paths.identity)?;
        let first = SegmentHeader {
            identity,
            first: 0,
            previous_first: 0,
            before: GENESIS,
        };
        create_segment(&paths.journal, &first, |_| Ok(()))?;
        let start = End {
            next: 0,
            link: GENESIS,
            segment_first: 0,
            offset: HEADER_BYTES,
        };
        let journal = Journal::open(
            &paths.journal,
            identity,
            (options.journal_segment_bytes, Room::Reserved),
            (start, false),
        )?;
        Ok(Self {
            vault,
            unfinished,
            directory: data_dir.join("log"),
            paths,
            journal,
            group: Vec::new(),
            next: 0,
            link: GENESIS,
        })
    }

    /// Appends an entry: the bytes of its leaf and, if it is kept, its sealed payload.
    pub fn append(&mut self, leaf: &[u8], sealed: &[u8]) -> Result<(), ImportError> {
        let places = (
            SequenceNumber(self.next),
            SequenceNumber(self.journal.end().next),
        );
        put_record(&mut self.group, places, &self.link, (leaf, sealed));
        self.link = record::link(&self.link, &leaf_hash(leaf));
        self.next += 1;
        if self.group.len() >= GROUP_BYTES {
            self.commit()?;
        }
        Ok(())
    }

    /// Writes the checkpoints, gives the log its place, and the vault its own.
    pub fn finish(mut self, checkpoints: &mut impl Read) -> Result<(), ImportError> {
        if !self.group.is_empty() {
            self.commit()?;
        }
        create_whole(&self.paths.checkpoints, |mut file| {
            io::copy(checkpoints, &mut file)
        })?;
        sync_directory(&self.paths.journal)?;
        sync_directory(&self.unfinished)?;
        // If we stop before this, what is there is no log, and nothing opens it as one that ends too early.
        fs::rename(&self.unfinished, &self.directory)?;
        self.directory.parent().map_or(Ok(()), sync_directory)?;
        // The vault comes last: one without a log would let another begin, under the key of this one. If we stop before
        // this, the log does not open, and says that its vault is missing.
        self.vault.vault().copy_to(&self.paths.vault, self.next)?;
        Ok(())
    }

    fn commit(&mut self) -> Result<(), ImportError> {
        self.journal.append(&self.group, self.next, self.link)?;
        self.group.clear();
        Ok(())
    }
}
