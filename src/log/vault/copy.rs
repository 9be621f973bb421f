//! A copy of the vault, kept apart from copies of the log. A later copy takes an earlier one's place, and the earlier one
//! is overwritten where it lies: it has keys that have been destroyed since.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::error::VaultError;
use super::reader::VaultReader;
use super::replacement::Replacement;
use crate::log::keys::MasterKey;
use crate::log::unsealer::Unsealer;
use crate::transparency::key::VerifierKey;

/// Why the vault was not copied.
#[derive(Debug, thiserror::Error)]
pub enum VaultCopyError {
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It belongs to another log than is backed up.
    #[error("the vault {} is another log's: its key is not {log}", path.display())]
    OtherLog {
        /// The vault.
        path: PathBuf,
        /// The key of the log.
        log: Box<VerifierKey>,
    },
    /// What is in the way is no earlier copy.
    #[error("{} is no copy of this log's vault, and is left as it is", .0.display())]
    InTheWay(PathBuf),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The copy.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Copies the vault of the log with this key, in use or not, over an earlier copy of it, if there is one.
pub fn copy_vault(
    from: &Path,
    to: &Path,
    master: &MasterKey,
    log: &VerifierKey,
) -> Result<(), VaultCopyError> {
    let vault = VaultReader::open(from)?;
    let keys = Unsealer::new(VaultReader::open(from)?, master)?;
    if keys.verifier_key(log.name().clone())? != *log {
        return Err(VaultCopyError::OtherLog {
            path: from.to_owned(),
            log: Box::new(log.clone()),
        });
    }
    let io = |source| VaultCopyError::Io {
        path: to.to_owned(),
        source,
    };
    to.parent().map_or(Ok(()), fs::create_dir_all).map_err(io)?;
    let replacement = Replacement::of(to);
    replacement.finish().map_err(io)?;
    let has_earlier = to.try_exists().map_err(io)?;
    if has_earlier && VaultReader::open(to).map(|earlier| earlier.log()).ok() != Some(vault.log()) {
        return Err(VaultCopyError::InTheWay(to.to_owned()));
    }
    replacement.destroy_leftovers().map_err(io)?;
    let written: io::Result<()> = replacement.write(|file| vault.copy_into(file));
    written.map_err(io)?;
    if has_earlier {
        replacement.set_aside().map_err(io)?;
    }
    replacement.put_in_place().map_err(io)?;
    replacement.destroy_leftovers().map_err(io)
}

/// Returns where a copy lies whole, if the making of it was killed between two of its steps.
pub fn whole_copy(path: &Path) -> PathBuf {
    Replacement::of(path).whole()
}
