//! Wrapped keys, wherever they lie: which slot one belongs to is told by where it opens.

use std::fs::File;
use std::io;

use crate::log::durable::read_up_to;
use crate::log::vault::{Inspection, KeySlot};

/// Tries wrapped keys, in the order in which they lie in a file.
pub(super) struct WrappedKeys {
    vault: Inspection,
    /// Where in this file slot 0 would lie, by the key that opened last: a copy of the vault is a copy of many slots.
    of_slot_0: u64,
    /// Where the key lay that opened nowhere: those beside it are as little of this log, or of this master key.
    unopened: Option<u64>,
}

impl WrappedKeys {
    pub(super) fn of(vault: Inspection) -> Self {
        Self {
            of_slot_0: Inspection::OF_SLOT_0,
            unopened: None,
            vault,
        }
    }

    pub(super) fn begin_file(&mut self) {
        self.of_slot_0 = Inspection::OF_SLOT_0;
        self.unopened = None;
    }

    /// Returns to which slot the key at `offset` belongs; none if it opens in no slot.
    pub(super) fn slot_of(&mut self, file: &File, offset: u64) -> io::Result<Option<KeySlot>> {
        let mut bytes = [0; Inspection::WRAPPED_BYTES];
        read_up_to(file, &mut bytes, offset)?;
        let distance = offset.wrapping_sub(self.of_slot_0);
        let likely = KeySlot(distance / Inspection::SLOT_BYTES);
        if distance.is_multiple_of(Inspection::SLOT_BYTES) && self.vault.opens_in(likely, &bytes) {
            return Ok(Some(likely));
        }
        let is_beside = |unopened| offset.checked_sub(Inspection::SLOT_BYTES) == Some(unopened);
        let found = if self.unopened.is_some_and(is_beside) {
            None
        } else {
            let mut slots = (0..self.vault.slots_end()).map(KeySlot);
            slots.find(|slot| self.vault.opens_in(*slot, &bytes))
        };
        match found {
            Some(slot) => {
                self.of_slot_0 = offset.wrapping_sub(slot.0.wrapping_mul(Inspection::SLOT_BYTES));
            }
            None => self.unopened = Some(offset),
        }
        Ok(found)
    }
}
