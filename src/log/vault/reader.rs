//! A vault that is read and never written: for those who audit it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::header::{HEADER_BYTES, Header};
use super::slot::{SLOT_BYTES, SlotState, Wrapping};
use super::{KeySlot, VaultError, keep_from_others, offset, slot_bytes};
use crate::log::durable::{create_whole, read_up_to};
use crate::log::keys::MasterKey;

/// How many bytes are copied at once: whole slots.
const COPIED_BYTES: usize = 64 * 1024;

/// The file of a vault, or a copy of it.
pub struct VaultReader {
    file: File,
    header: Header,
}

impl VaultReader {
    /// Opens a vault.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let file = File::open(path)?;
        let header = Header::read(&file)?.ok_or_else(|| VaultError::Damaged {
            path: path.to_owned(),
        })?;
        Ok(Self { file, header })
    }

    /// Returns the log that the vault belongs to.
    pub fn log(&self) -> [u8; 16] {
        self.header.log
    }

    /// Tells whether every byte before the first slot is what was written: two headers, and zeros.
    pub fn header_is_whole(&self) -> io::Result<bool> {
        Header::is_whole(&self.file)
    }

    /// Returns the first slot that was never minted.
    pub fn slots_end(&self) -> io::Result<KeySlot> {
        let slots = self.file.metadata()?.len().saturating_sub(HEADER_BYTES);
        Ok(KeySlot(slots.div_ceil(slot_bytes())))
    }

    /// Makes the vault of a log of this size. A vault that has seen more than that log says that it has carried out none
    /// of the erasures behind it: they are others than those that it has seen.
    pub(in crate::log) fn copy_to(&self, path: &Path, size: u64) -> io::Result<()> {
        create_whole(path, |file| {
            self.copy_into(file)?;
            if self.header.erased_through > size {
                Header::new(self.header.log, size).write_first(file)?;
            }
            Ok(())
        })
    }

    /// Writes what is in the file to another, as it is. A service may be destroying keys meanwhile: what it is writing is
    /// read again until it stands still.
    pub(super) fn copy_into(&self, file: &File) -> io::Result<()> {
        keep_from_others(file)?;
        let (mut bytes, mut again) = (vec![0; COPIED_BYTES], vec![0; COPIED_BYTES]);
        let mut offset = 0;
        loop {
            let count = read_up_to(&self.file, &mut bytes, offset)?;
            let count_again = read_up_to(&self.file, &mut again, offset)?;
            if (count, &bytes) != (count_again, &again) {
                continue;
            }
            let Some(copied) = bytes.get(..count).filter(|copied| !copied.is_empty()) else {
                return Ok(());
            };
            file.write_all_at(copied, offset)?;
            offset += u64::try_from(count).unwrap_or(u64::MAX);
        }
    }

    /// Tells whether a slot holds nothing but zeros, as one does whose key was destroyed.
    pub fn is_zeroed(&self, slot: KeySlot) -> io::Result<bool> {
        Ok(self.bytes(slot)? == [0; SLOT_BYTES])
    }

    pub(in crate::log) fn wrapping(&self, master: &MasterKey) -> VaultWrapping {
        VaultWrapping(Wrapping::of(self.header.log, master))
    }

    pub(in crate::log) fn secret(
        &self,
        wrapping: &VaultWrapping,
        slot: KeySlot,
    ) -> io::Result<SlotState> {
        Ok(wrapping.0.open(slot, &self.bytes(slot)?))
    }

    fn bytes(&self, slot: KeySlot) -> io::Result<[u8; SLOT_BYTES]> {
        let mut bytes = [0; SLOT_BYTES];
        read_up_to(&self.file, &mut bytes, offset(slot))?;
        Ok(bytes)
    }
}

/// What opens the slots of one vault.
pub(in crate::log) struct VaultWrapping(Wrapping);
