//! A vault that is read and never written: for those who audit it.

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use super::header::{HEADER_BYTES, Header};
use super::slot::{SLOT_BYTES, SlotState, Wrapping};
use super::{KeySlot, VaultError, keep_from_others, offset, slot_bytes};
use crate::log::durable::{create_whole, read_up_to};
use crate::log::keys::MasterKey;

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

    /// Writes what is in the file to another, as it is.
    pub(in crate::log) fn copy_to(&self, path: &Path) -> io::Result<()> {
        let mut own = &self.file;
        own.rewind()?;
        create_whole(path, |mut file| {
            keep_from_others(file)?;
            io::copy(&mut own, &mut file).map(drop)
        })
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
