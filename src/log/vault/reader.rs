//! A vault that is read and never written: for those who audit it.

use std::fs::File;
use std::io;
use std::path::Path;

use super::header::{HEADER_BYTES, Header};
use super::slot::{SLOT_BYTES, SlotState, Wrapping};
use super::{KeySlot, VaultError, offset, slot_bytes};
use crate::log::durable::read_up_to;
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
