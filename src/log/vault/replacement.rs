//! Exchanging the vault's file for another: each step leaves what the next opening finishes.
//!
//! | there are | we stopped | an opening |
//! |---|---|---|
//! | `vault`, `vault.new` | before the exchange | destroys `vault.new` |
//! | `vault.new`, `vault.old` | within the exchange | renames `vault.new` to `vault`, and goes on |
//! | `vault`, `vault.old` | after the exchange | destroys `vault.old` |
//!
//! Leftovers are destroyed only once `vault` has opened.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::log::durable::{overwrite_and_remove, sync_directory};

/// The names that take part.
pub(super) struct Replacement<'path> {
    vault: &'path Path,
    new: PathBuf,
    old: PathBuf,
}

impl<'path> Replacement<'path> {
    pub(super) fn of(vault: &'path Path) -> Self {
        Self {
            vault,
            new: vault.with_added_extension("new"),
            old: vault.with_added_extension("old"),
        }
    }

    /// Writes the file that is to replace the vault. If we stop here or before, the vault stands.
    pub(super) fn write<T, E: From<io::Error>>(
        &self,
        write: impl FnOnce(&File) -> Result<T, E>,
    ) -> Result<T, E> {
        let file = File::create(&self.new)?;
        let written = write(&file)?;
        file.sync_all()?;
        self.sync_names()?;
        Ok(written)
    }

    /// Takes the vault out of its place. If we stop here, the new file is whole and goes there.
    pub(super) fn set_aside(&self) -> io::Result<()> {
        fs::rename(self.vault, &self.old)?;
        // A file system that kept the next renaming and not this one would free the old blocks unwiped.
        self.sync_names()
    }

    /// Puts the new file in the vault's place. If we stop here, the old one is still to be destroyed.
    pub(super) fn put_in_place(&self) -> io::Result<()> {
        fs::rename(&self.new, self.vault)?;
        self.sync_names()
    }

    /// Finishes an exchange that stopped within.
    pub(super) fn finish(&self) -> io::Result<()> {
        if !self.vault.try_exists()? && self.new.try_exists()? && self.old.try_exists()? {
            self.put_in_place()?;
        }
        Ok(())
    }

    /// Returns where the vault lies whole, if an exchange stopped within, without finishing it.
    pub(super) fn whole(self) -> PathBuf {
        let stopped_within = !self.vault.exists() && self.new.exists() && self.old.exists();
        if stopped_within {
            self.new
        } else {
            self.vault.to_owned()
        }
    }

    /// Destroys whatever lies beside the vault.
    pub(super) fn destroy_leftovers(&self) -> io::Result<()> {
        overwrite_and_remove(&self.new)?;
        overwrite_and_remove(&self.old)
    }

    fn sync_names(&self) -> io::Result<()> {
        self.vault.parent().map_or(Ok(()), sync_directory)
    }
}
