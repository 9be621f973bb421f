//! Why a log does not open, and what was mended where it does: sentences for the operator.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::leaf::LeafError;
use super::store::StoreError;
use crate::transparency::checkpoint::UnauthenticCheckpoint;
use crate::transparency::key::NotAKeyName;

/// Why the log could not be opened, and what is missing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system refused.
    #[error("opening the log: {0}")]
    Io(#[from] io::Error),
    /// Another process has it open.
    #[error("{path} is in use by another process")]
    InUse {
        /// The lock file.
        path: PathBuf,
    },
    /// The random source gave nothing for the identity of a log that begins.
    #[error(transparent)]
    Random(#[from] super::RandomError),
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] super::vault::VaultError),
    /// Entries are there, but not the vault with their keys.
    #[error("{path} is missing, and with it the keys of every payload: put it back")]
    VaultLost {
        /// Where it belongs.
        path: PathBuf,
    },
    /// The vault is another log's.
    #[error("the vault belongs to another log")]
    OtherVault,
    /// The vault lacks keys that entries name.
    #[error(
        "the vault is older than the log: the entries name {named} keys, and it has {there}; put the newer one back"
    )]
    VaultBehind {
        /// How many slots the entries name.
        named: u64,
        /// How many slots the vault has.
        there: u64,
    },
    /// A file is another log's.
    #[error("{path} belongs to another log")]
    OtherLog {
        /// Which.
        path: PathBuf,
    },
    /// Entries are there, but nothing says whose they are.
    #[error("{path} is missing or damaged, and so is the journal that repeats it")]
    IdentityLost {
        /// The identity file.
        path: PathBuf,
    },
    /// Acknowledged entries are gone.
    #[error("{missing} cannot be read from the journal or from sled")]
    EntriesMissing {
        /// Which.
        missing: MissingEntries,
    },
    /// An entry is whole but not the one that belongs there.
    #[error(
        "entry {sequence} does not follow from the entry before it: files of different times were mixed, or changed"
    )]
    ChainBroken {
        /// Which.
        sequence: u64,
    },
    /// The log is not the one that the head file was written for.
    #[error(
        "the first {size} entries are not the ones that the head file names: files were mixed, or changed"
    )]
    HeadMismatch {
        /// The head's size.
        size: u64,
    },
    /// An entry cannot be understood.
    #[error("entry {sequence}: {cause}")]
    Leaf {
        /// Which.
        sequence: u64,
        /// Why.
        cause: LeafError,
    },
    /// sled cannot be opened although its files are whole.
    #[error("the store cannot be used: {0}")]
    Store(String),
    /// The log has lost entries that were signed.
    #[error(
        "the log has {there} entries, and its last checkpoint was signed over {signed}: entries {there} to {} are gone",
        signed.saturating_sub(1)
    )]
    BehindCheckpoint {
        /// How many there are.
        there: u64,
        /// How many were signed.
        signed: u64,
    },
    /// Entries are not those that were signed.
    #[error("{} are not the ones that a checkpoint was signed over: the first that differs is among them",
        MissingEntries(vec![entries.clone()]))]
    EntriesChanged {
        /// Among which the first is that differs.
        entries: Range<u64>,
    },
    /// The last checkpoint is not this log's.
    #[error("the last checkpoint in {path} is not this log's: {cause}")]
    Checkpoint {
        /// Where it lies.
        path: PathBuf,
        /// Why.
        cause: UnauthenticCheckpoint,
    },
    /// The name under which the log is to sign cannot be one.
    #[error(transparent)]
    Origin(#[from] NotAKeyName),
    /// The tree's files cannot be used.
    #[error("the tree: {0}")]
    Tree(String),
    /// An erasure that is wanted cannot be carried out.
    #[error("an erasure that the log wants cannot be carried out: {0}")]
    Erasure(String),
    /// The index cannot be built.
    #[error("the index cannot be built: {0}")]
    Index(String),
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.to_string())
    }
}

/// Sequence numbers of entries, as ranges in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingEntries(pub Vec<Range<u64>>);

impl FromIterator<Range<u64>> for MissingEntries {
    fn from_iter<I: IntoIterator<Item = Range<u64>>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

impl fmt::Display for MissingEntries {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("entries ")?;
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(formatter, "{comma}{}", range.start)?;
            if range.end - range.start > 1 {
                write!(formatter, "–{}", range.end - 1)?;
            }
        }
        Ok(())
    }
}

/// What was found and mended at opening; each is a sentence for the operator.
pub type Repairs = Vec<Repair>;

/// One thing that was mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repair {
    /// The end of the journal was torn while it was written; nobody had been told of it.
    JournalTailCut {
        /// Where.
        segment: PathBuf,
        /// At which byte.
        offset: u64,
    },
    /// A segment was missing or damaged, and was written anew with what sled has.
    JournalRewritten {
        /// Which.
        segment: PathBuf,
        /// What came from sled.
        from_store: MissingEntries,
    },
    /// sled was damaged: it was set aside, and built anew from the journal.
    StoreRebuilt {
        /// What was wrong.
        reason: String,
        /// Where it lies; `None` if nothing was there.
        set_aside: Option<PathBuf>,
    },
    /// sled lacked entries, and got them from the journal.
    StoreFilled {
        /// Which.
        missing: MissingEntries,
    },
    /// sled had not finished a snapshot, beside which it would not open.
    SnapshotRemoved {
        /// Which.
        path: PathBuf,
    },
    /// The index was damaged or missing, and was built anew.
    IndexRebuilt,
    /// The Merkle tree was missing or damaged, and was hashed anew from the leaves.
    TreeRebuilt,
    /// A recorded checkpoint is damaged, and whole ones follow it. It is left as it is.
    CheckpointDamaged {
        /// The file.
        path: PathBuf,
        /// At which byte.
        offset: u64,
    },
    /// The head file was missing or damaged, and was written anew.
    HeadRewritten,
    /// The identity file was missing or damaged, and was written anew from the journal.
    IdentityRewritten,
    /// The disk was full, so the ballast was given up.
    BallastReleased,
}

impl fmt::Display for Repair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JournalTailCut { segment, offset } => {
                write!(
                    formatter,
                    "cut the torn, never acknowledged end of {} at byte {offset}",
                    segment.display()
                )
            }
            Self::JournalRewritten {
                segment,
                from_store,
            } => {
                write!(
                    formatter,
                    "rewrote {} with {from_store} from sled",
                    segment.display()
                )
            }
            Self::StoreRebuilt {
                reason,
                set_aside: Some(path),
            } => {
                write!(
                    formatter,
                    "rebuilt sled from the journal ({reason}); the damaged one lies in {}",
                    path.display()
                )
            }
            Self::StoreRebuilt {
                reason,
                set_aside: None,
            } => {
                write!(formatter, "rebuilt sled from the journal ({reason})")
            }
            Self::StoreFilled { missing } => {
                write!(formatter, "gave sled {missing} from the journal")
            }
            Self::SnapshotRemoved { path } => {
                write!(
                    formatter,
                    "removed {}, which sled had not finished",
                    path.display()
                )
            }
            Self::IndexRebuilt => {
                formatter.write_str("rebuilt the index, which was missing or damaged")
            }
            Self::TreeRebuilt => formatter
                .write_str("hashed the Merkle tree anew, which was missing or damaged; it is the one that was signed"),
            Self::CheckpointDamaged { path, offset } => {
                write!(
                    formatter,
                    "left a damaged checkpoint in {} at byte {offset}: those behind it are whole, and the log is held to \
                     them",
                    path.display()
                )
            }
            Self::HeadRewritten => {
                formatter.write_str("rewrote the head file, which was missing or damaged")
            }
            Self::IdentityRewritten => formatter.write_str(
                "rewrote the identity file, which was missing or damaged, from the journal",
            ),
            Self::BallastReleased => {
                formatter.write_str("gave up the ballast, because the disk is full")
            }
        }
    }
}
