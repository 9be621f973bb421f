//! Looking at the vault without changing a byte of it: opening it finishes what was interrupted, and syncs.

use std::fs::File;
use std::io;
use std::path::Path;

use super::error::VaultError;
use super::header::{HEADER_BYTES, Header};
use super::slot::{KeySlot, SLOT_BYTES, SlotState, WRAPPED_BYTES, Wrapping};
use super::{offset, slot_bytes};
use crate::log::durable::read_up_to;
use crate::log::keys::MasterKey;

/// Which keys are a vault's.
pub(in crate::log) struct Inspection {
    wrapping: Wrapping,
    slots_end: u64,
}

impl Inspection {
    /// Where slot 0 lies in a vault.
    pub(in crate::log) const OF_SLOT_0: u64 = HEADER_BYTES;
    /// The bytes from one slot to the next.
    pub(in crate::log) const SLOT_BYTES: u64 = 128;
    /// The bytes of a wrapped key.
    pub(in crate::log) const WRAPPED_BYTES: usize = WRAPPED_BYTES;

    /// Looks at a vault; `None` if there is none.
    pub(in crate::log) fn open(
        path: &Path,
        master: &MasterKey,
    ) -> Result<Option<Self>, VaultError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let header = Header::read(&file)?.ok_or_else(|| VaultError::Damaged {
            path: path.to_owned(),
        })?;
        let vault = Self {
            wrapping: Wrapping::of(header.log, master),
            slots_end: file.metadata()?.len().saturating_sub(HEADER_BYTES) / slot_bytes(),
        };
        for own in [KeySlot::LOG, KeySlot::SIGNING] {
            let mut bytes = [0; WRAPPED_BYTES];
            read_up_to(&file, &mut bytes, offset(own))?;
            if vault.opens_in(own, &bytes) {
                return Ok(Some(vault));
            }
        }
        Err(VaultError::OtherMasterKey)
    }

    /// Returns the first slot that was never minted.
    pub(in crate::log) fn slots_end(&self) -> u64 {
        self.slots_end
    }

    /// Tells whether a wrapped key is that of a slot.
    pub(in crate::log) fn opens_in(&self, slot: KeySlot, wrapped: &[u8; WRAPPED_BYTES]) -> bool {
        let mut bytes = [0; SLOT_BYTES];
        bytes
            .iter_mut()
            .zip(wrapped)
            .for_each(|(to, from)| *to = *from);
        match self.wrapping.open(slot, &bytes) {
            SlotState::Key(_) => true,
            SlotState::Destroyed | SlotState::Damaged => false,
        }
    }
}
