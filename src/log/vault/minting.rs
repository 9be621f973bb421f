//! Minting: keys are made in batches, ahead of the sessions that will have them.

use std::io;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, bounded};

use super::{KeySlot, Secret, SlotState, Slots, Vault, VaultError, lock, offset};

/// How many keys are minted ahead, so that one write and one sync serve as many sessions: as many as there are, between
/// these bounds. A vault that begins does not pay for sessions that may never come.
pub(super) const BATCH_SLOTS: RangeInclusive<u64> = 16..=512;

impl Vault {
    /// Returns a key that no session has, and that a power cut does not take away.
    pub(in super::super) fn take(&self) -> Result<(KeySlot, Secret), VaultError> {
        let mut has_minted = false;
        loop {
            let mut slots = lock(&self.slots);
            let next = slots.next;
            if let Some(taken) = self.next_of(&mut slots)? {
                return Ok(taken);
            }
            // A batch that was torn is passed over once. If there is no key in a fresh one, none will be in the next.
            if has_minted && slots.next > next {
                let slot = KeySlot(next);
                return Err(VaultError::DamagedSlot { slot });
            }
            let end = slots.end;
            drop(slots);
            self.mint_behind(end)?;
            has_minted = true;
        }
    }

    /// Says whether it is time to mint ahead: less than half of a large batch is left. A vault that begins mints when it
    /// has to.
    fn is_running_low(&self) -> bool {
        let batch = *BATCH_SLOTS.end();
        let slots = lock(&self.slots);
        slots.end >= batch && slots.end.saturating_sub(slots.next) < batch / 2
    }

    /// Mints a batch, unless there are slots behind `end` by now.
    fn mint_behind(&self, end: u64) -> Result<(), VaultError> {
        let _minting = lock(&self.minting);
        let slots = lock(&self.slots);
        if slots.end > end {
            return Ok(());
        }
        let first = slots.next.max(slots.end);
        drop(slots);
        let end = first + first.clamp(*BATCH_SLOTS.start(), *BATCH_SLOTS.end());
        let minted = self.wrapping.mint(first..end, self.random)?;
        self.file.write_all_at(&minted, offset(KeySlot(first)))?;
        // If we stop here, the keys are lost or not; no leaf names them, since nobody has been given one.
        self.sync()?;
        lock(&self.slots).end = end;
        Ok(())
    }

    /// Returns the next key that is not given out yet. A slot without one was torn when we stopped while minting.
    fn next_of(&self, slots: &mut Slots) -> Result<Option<(KeySlot, Secret)>, VaultError> {
        while slots.next < slots.end {
            let slot = KeySlot(slots.next);
            slots.next += 1;
            if let SlotState::Key(secret) = self.read(slot)? {
                return Ok(Some((slot, secret)));
            }
        }
        Ok(None)
    }
}

/// A thread that mints while others take, so that none of them waits for its sync. It ends when this is dropped.
pub(in super::super) struct Minter {
    wishes: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Minter {
    pub(in super::super) fn start(vault: &Arc<Vault>) -> io::Result<Self> {
        let (wishes, requests) = bounded(1);
        let vault = Arc::clone(vault);
        let thread = thread::Builder::new()
            .name("log-minter".into())
            .spawn(move || {
                for () in requests {
                    if !vault.is_running_low() {
                        continue;
                    }
                    let end = lock(&vault.slots).end;
                    if let Err(error) = vault.mint_behind(end) {
                        tracing::warn!(%error, "no keys could be minted ahead; who needs one tries again");
                    }
                }
            })?;
        Ok(Self {
            wishes: Some(wishes),
            thread: Some(thread),
        })
    }

    /// Has keys be minted, if few are left.
    pub(in super::super) fn look_after(&self, vault: &Vault) {
        if vault.is_running_low()
            && let Some(wishes) = &self.wishes
        {
            // If it is full, that was said already.
            wishes.try_send(()).ok();
        }
    }
}

impl Drop for Minter {
    fn drop(&mut self) {
        self.wishes = None;
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use tempfile::TempDir;

    use super::super::tests::{create, path};
    use super::*;

    #[test]
    fn keys_that_cannot_be_read_again_are_told_of_and_not_minted_for_ever() {
        let directory = TempDir::new().unwrap();
        let mut vault = create(&directory);
        // Whatever is written at the end lands a byte behind it.
        let mut file = File::options()
            .read(true)
            .append(true)
            .open(path(&directory))
            .unwrap();
        file.write_all(&[1]).unwrap();
        vault.file = file;

        let taken = vault.take();

        assert!(matches!(taken, Err(VaultError::DamagedSlot { .. })));
    }

    #[test]
    fn a_vault_that_begins_is_not_minted_ahead() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        while vault.slots_end().0 < *BATCH_SLOTS.end() {
            assert!(!vault.is_running_low());
            vault.take().unwrap();
        }
    }

    #[test]
    fn before_the_last_key_is_taken_the_thread_has_minted_more() {
        let directory = TempDir::new().unwrap();
        let vault = Arc::new(create(&directory));
        let minter = Minter::start(&vault).unwrap();
        while !vault.is_running_low() {
            vault.take().unwrap();
        }
        let end = vault.slots_end();

        minter.look_after(&vault);
        while vault.slots_end() == end {
            thread::yield_now();
        }
        minter.look_after(&vault);
        drop(minter);

        assert_eq!(vault.slots_end().0, end.0 + *BATCH_SLOTS.end());
        assert!(!vault.is_running_low());
    }
}
