//! Backup: an export that grows. Each run makes a whole one beside the one before, shares with it what has not changed,
//! and removes it last; if we stop at any moment, one that is whole is there.
//!
//! The vault is copied to a place of its own, never among them: without it nothing in a backup can be read, and with it
//! every erasure since can be undone.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::export::{ExportError, ExportSource, Exported, export, export_into};
use super::export_directory::ExportDirectory;
use super::export_earlier::{Continued, Earlier};
use super::export_entries::ExportEntries;
use super::manifest::{MANIFEST_NOTE, ManifestError};
use crate::log::durable::sync_directory;
use crate::log::keys::MasterKey;
use crate::log::vault::copy::{VaultCopyError, copy_vault};

/// How an export's directory is named; its number follows.
const PREFIX: &str = "backup-";

/// The vault, and where its copy goes.
pub struct VaultCopy<'backup> {
    /// The vault of the log.
    pub from: &'backup Path,
    /// The copy.
    pub to: &'backup Path,
    /// The key that wraps the keys in it.
    pub master_key: &'backup MasterKey,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// What was exported.
    pub exported: Exported,
    /// Where it lies.
    pub directory: PathBuf,
    /// How many entries the one before had.
    pub entries_before: u64,
}

/// Why no backup was made. The one before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Another process writes there.
    #[error("another process backs up into {}", .0.display())]
    InUse(PathBuf),
    /// The copy of the vault would lie among the copies of the log.
    #[error(
        "{} lies within the backup: keep the copy of the vault in another place, for with it the backup can be read, and \
         what was erased since can be read again", .0.display()
    )]
    VaultWithin(PathBuf),
    /// The one before is not what the log signed.
    #[error("{}: {source}; remove it, or back up into another directory", path.display())]
    Earlier {
        /// The one before.
        path: PathBuf,
        /// What is wrong.
        source: ManifestError,
    },
    /// The log does not go on from the one before.
    #[error(
        "the entries of the log do not follow from those of {}: the log was forked, or changed; back up into another \
         directory, and keep both for an auditor", .0.display()
    )]
    Forked(PathBuf),
    /// The log was not exported.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The vault was not copied.
    #[error(transparent)]
    Vault(#[from] VaultCopyError),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl BackupError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Returns the latest whole export of a backup.
pub fn latest(directory: &Path) -> io::Result<Option<PathBuf>> {
    let whole = numbered(directory)?.filter(|(_, path)| path.join(MANIFEST_NOTE).exists());
    Ok(whole.max().map(|(_, path)| path))
}

/// Backs up a log, and then its vault, if it is told where. `progress` is told how many entries of how many are done.
pub fn back_up(
    source: &impl ExportSource,
    directory: &Path,
    vault: Option<VaultCopy<'_>>,
    progress: impl FnMut(u64, u64),
) -> Result<BackedUp, BackupError> {
    let io = BackupError::io(directory);
    fs::create_dir_all(directory).map_err(io)?;
    if let Some(copy) = vault.as_ref().filter(|copy| is_within(copy.to, directory)) {
        return Err(BackupError::VaultWithin(copy.to.to_owned()));
    }
    let _lock = lock(directory)?;
    let number = sweep(directory).map_err(BackupError::io(directory))?;
    let place = |number: u64| directory.join(format!("{PREFIX}{number}"));
    let earlier = number.map(|number| {
        let path = place(number);
        Earlier::open(&path).map_err(|source| BackupError::Earlier { path, source })
    });
    let earlier = earlier.transpose()?;
    let path = place(number.map_or(1, |number| number + 1));
    let unfinished = path.with_added_extension("new");
    let exported = match &earlier {
        Some(earlier) => continue_with(source, earlier, &unfinished, progress)?,
        None => export(source, &unfinished, true, progress)?,
    };
    if let Some(copy) = vault {
        // After the entries, so that no key which they name is missing; before they count, so that none ever is. If we
        // stop here, the copy is newer than the backup that stands.
        copy_vault(copy.from, copy.to, copy.master_key, &source.verifier_key()?)?;
    }
    fs::rename(&unfinished, &path).map_err(BackupError::io(&path))?;
    sync_directory(directory).map_err(BackupError::io(directory))?;
    // If we stop here, both are whole, and the later one counts.
    sweep(directory).map_err(BackupError::io(directory))?;
    Ok(BackedUp {
        exported,
        directory: path,
        entries_before: earlier.map_or(0, |earlier| earlier.size()),
    })
}

fn continue_with(
    log: &impl ExportSource,
    earlier: &Earlier,
    unfinished: &Path,
    progress: impl FnMut(u64, u64),
) -> Result<Exported, BackupError> {
    let files = ExportDirectory::begin(unfinished)?.sharing(earlier.directory());
    let entries = ExportEntries::after(earlier.size(), earlier.root());
    let exported = export_into(&Continued { log, earlier }, files, entries, progress);
    exported.map_err(|error| {
        if matches!(error, ExportError::OtherRoot(_)) {
            BackupError::Forked(earlier.directory().to_owned())
        } else {
            error.into()
        }
    })
}

/// Removes everything but the latest whole export, and returns its number.
fn sweep(directory: &Path) -> io::Result<Option<u64>> {
    let kept = latest(directory)?;
    let mut number = None;
    for (named, path) in numbered(directory)? {
        if Some(&path) == kept.as_ref() {
            number = Some(named);
            continue;
        }
        // First, so that what we stop in the middle of is not taken for whole.
        remove_if_there(&path.join(MANIFEST_NOTE))?;
        fs::remove_dir_all(&path)?;
    }
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        let unfinished = path.extension().is_some_and(|extension| extension == "new");
        if unfinished && number_of(&path.with_extension("")).is_some() {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(number)
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn numbered(directory: &Path) -> io::Result<impl Iterator<Item = (u64, PathBuf)>> {
    let paths: io::Result<Vec<_>> = fs::read_dir(directory)?
        .map(|file| Ok(file?.path()))
        .collect();
    let numbered = |path: PathBuf| Some((number_of(&path)?, path));
    Ok(paths?.into_iter().filter_map(numbered))
}

fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?
        .to_str()?
        .strip_prefix(PREFIX)?
        .parse()
        .ok()
}

fn lock(directory: &Path) -> Result<File, BackupError> {
    let path = directory.join("lock");
    let file = File::create(&path).map_err(BackupError::io(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackupError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(BackupError::io(&path)(error)),
    }
}

/// Tells whether a file lies, or would lie, somewhere in a directory.
fn is_within(file: &Path, directory: &Path) -> bool {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let there = absolute
        .ancestors()
        .skip(1)
        .find_map(|parent| parent.canonicalize().ok());
    let directory = directory.canonicalize().ok();
    there
        .zip(directory)
        .is_some_and(|(there, directory)| there.starts_with(directory))
}
