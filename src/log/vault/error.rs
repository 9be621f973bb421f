//! Why the vault cannot be used: sentences for the operator. None tells a byte of a key.

use std::io;
use std::path::PathBuf;

use super::KeySlot;
use crate::log::options::RandomError;

/// Why the vault cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The operating system refused.
    #[error("the vault: {0}")]
    Io(#[from] io::Error),
    /// The random source gave nothing.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// The vault was wrapped under another master key.
    #[error(
        "the master key is not the vault's; if `avow keys rotate` was run, the new key is the one to use"
    )]
    OtherMasterKey,
    /// Neither place of the header is whole.
    #[error("the header of {path} is damaged: put a copy of the vault back")]
    Damaged {
        /// The vault.
        path: PathBuf,
    },
    /// A slot that must hold a key does not.
    #[error("key slot {} of the vault is damaged: put a copy of the vault back", slot.0)]
    DamagedSlot {
        /// Which.
        slot: KeySlot,
    },
    /// The log's own slots are never destroyed.
    #[error("key slot {} is the log's own and is never destroyed", slot.0)]
    Permanent {
        /// Which.
        slot: KeySlot,
    },
    /// A sync failed, so what the disk holds is not known.
    #[error("a sync of the vault failed; nothing more is written to it until a restart")]
    SyncFailed,
}
