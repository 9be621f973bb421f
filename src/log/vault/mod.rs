//! The vault: one random key for each session, wrapped under the master key, in slots of a file.
//!
//! The file is overwritten in place. To destroy a key is to overwrite its slot with zeros: no copy of it is in the file from then on.
//!
//! Slots 0 and 1 are the log's own and stand for good. A slot is given to one session only, ever; the file's length
//! says how many were minted. A copy of the vault brings destroyed keys back: the header tells, and the log destroys
//! them again.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

mod error;
mod header;
mod slot;

pub use error::VaultError;
use header::{HEADER_BYTES, Header};
pub use slot::KeySlot;
use slot::{Random, SLOT_BYTES, Wrapping};
pub(super) use slot::{Secret, SlotState};

use super::durable::{create_whole, read_up_to};
use super::keys::MasterKey;

/// How many keys are minted ahead, so that one write and one sync serve as many sessions.
const BATCH_SLOTS: u64 = 512;

/// An open vault, shared by reference between threads.
pub(super) struct Vault {
    file: File,
    wrapping: Wrapping,
    random: Random,
    header: Mutex<Header>,
    /// The minted slots that no session has, from the first that was not given out yet. Held by whoever changes a slot.
    unused: Mutex<Range<u64>>,
    /// Whether a sync has failed. Held by whoever syncs: a failure is told once, to one of them, and concerns all.
    sync_failed: Mutex<bool>,
}

impl Vault {
    /// Creates the vault of a log that begins, with the log's own secrets.
    pub(super) fn create(
        path: &Path,
        master: &MasterKey,
        log: [u8; 16],
        random: Random,
    ) -> Result<Self, VaultError> {
        let wrapping = Wrapping::of(log, master);
        let mut header = Header::new(log, 0);
        let slots = mint(&wrapping, 0..KeySlot::FIRST_OF_SESSIONS.0, random)?;
        create_whole(path, |file| {
            // Twice, so that both places stand from the beginning.
            header.write(file)?;
            header.write(file)?;
            file.write_all_at(&slots, HEADER_BYTES)
        })?;
        Self::open(path, master, random)?.ok_or_else(|| VaultError::Damaged {
            path: path.to_owned(),
        })
    }

    /// Opens the vault; `None` if there is none.
    pub(super) fn open(
        path: &Path,
        master: &MasterKey,
        random: Random,
    ) -> Result<Option<Self>, VaultError> {
        let file = match File::options().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let header = Header::read(&file)?.ok_or_else(|| VaultError::Damaged {
            path: path.to_owned(),
        })?;
        let vault = Self {
            wrapping: Wrapping::of(header.log, master),
            file,
            random,
            header: Mutex::new(header),
            unused: Mutex::new(0..0),
            sync_failed: Mutex::new(false),
        };
        vault.check_master_key()?;
        // Who wrote last may have been killed before its sync; what is read here must not be lost in a power cut.
        vault.sync()?;
        vault.begin(KeySlot(vault.slots_end()?))?;
        Ok(Some(vault))
    }

    /// Returns the log that the vault belongs to.
    pub(super) fn log(&self) -> [u8; 16] {
        lock(&self.header).log
    }

    /// Returns the first slot that was never minted.
    pub(super) fn slots_end(&self) -> Result<u64, VaultError> {
        let slots_bytes = self.file.metadata()?.len().saturating_sub(HEADER_BYTES);
        Ok(slots_bytes / slot_bytes())
    }

    /// Tells which is the first slot that no leaf names. No slot before it is given out; what was minted behind it is.
    pub(super) fn begin(&self, next: KeySlot) -> Result<(), VaultError> {
        let next = next.max(KeySlot::FIRST_OF_SESSIONS);
        *lock(&self.unused) = next.0..self.slots_end()?;
        Ok(())
    }

    /// Returns a key that no session has, and that a power cut does not take away.
    pub(super) fn take(&self) -> Result<(KeySlot, Secret), VaultError> {
        let mut unused = lock(&self.unused);
        if let Some(taken) = self.next_of(&mut unused)? {
            return Ok(taken);
        }
        // The end is looked up again: after a failed write, or one that was cut short, nothing is assumed.
        let first = unused.start.max(self.slots_end()?);
        let minted = first..first + BATCH_SLOTS;
        let slots = mint(&self.wrapping, minted.clone(), self.random)?;
        self.file.write_all_at(&slots, offset(KeySlot(first)))?;
        // If we stop here, the keys are lost or not; no leaf names them, since nobody has been given one.
        self.sync()?;
        *unused = minted;
        self.next_of(&mut unused)?.ok_or(VaultError::DamagedSlot {
            slot: KeySlot(first),
        })
    }

    /// Returns what a slot holds.
    pub(super) fn secret(&self, slot: KeySlot) -> Result<SlotState, VaultError> {
        match self.read(slot)? {
            SlotState::Damaged => {
                // It may have been read while it was destroyed: half key, half zeros.
                let _unchanging = lock(&self.unused);
                self.read(slot)
            }
            state @ (SlotState::Key(_) | SlotState::Destroyed) => Ok(state),
        }
    }

    /// Returns one of the log's own secrets, which always stand.
    pub(super) fn permanent(&self, slot: KeySlot) -> Result<Secret, VaultError> {
        match self.secret(slot)? {
            SlotState::Key(secret) => Ok(secret),
            SlotState::Destroyed | SlotState::Damaged => Err(VaultError::DamagedSlot { slot }),
        }
    }

    /// Overwrites a slot with zeros; when this returns, no copy of its key is in the file. Doing so again is harmless.
    pub(super) fn destroy(&self, slot: KeySlot) -> Result<(), VaultError> {
        if slot < KeySlot::FIRST_OF_SESSIONS {
            return Err(VaultError::Permanent { slot });
        }
        let unused = lock(&self.unused);
        if slot.0 < self.slots_end()? {
            self.file.write_all_at(&[0; SLOT_BYTES], offset(slot))?;
        }
        drop(unused);
        // If we stop here, the key may still be on the disk; so is the erasure that was to destroy it, and the log
        // does it again when it opens.
        self.sync()
    }

    /// Returns the sequence number below which every finished erasure has been carried out on this file.
    pub(super) fn erased_through(&self) -> u64 {
        lock(&self.header).erased_through
    }

    /// Notes that every erasure that was finished below `sequence` has been carried out on this file.
    ///
    /// It is not synced: if we stop here, a few keys are destroyed once more. The place that is not written is
    /// durable, since to destroy a key is to sync the file, and nothing is noted without that.
    pub(super) fn note_erased_through(&self, sequence: u64) -> Result<(), VaultError> {
        let mut header = lock(&self.header);
        if sequence > header.erased_through {
            header.erased_through = sequence;
            header.write(&self.file)?;
        }
        Ok(())
    }

    fn check_master_key(&self) -> Result<(), VaultError> {
        let of_log = self.read(KeySlot::LOG)?;
        let of_signing = self.read(KeySlot::SIGNING)?;
        match (of_log, of_signing) {
            (SlotState::Key(_), _) => Ok(()),
            (_, SlotState::Key(_)) | (SlotState::Destroyed, _) => {
                Err(VaultError::DamagedSlot { slot: KeySlot::LOG })
            }
            (SlotState::Damaged, _) => Err(VaultError::OtherMasterKey),
        }
    }

    /// Returns the next unused slot that holds a key. One that does not was torn when we stopped while minting.
    fn next_of(&self, unused: &mut Range<u64>) -> Result<Option<(KeySlot, Secret)>, VaultError> {
        for slot in unused.map(KeySlot) {
            if let SlotState::Key(secret) = self.read(slot)? {
                return Ok(Some((slot, secret)));
            }
        }
        Ok(None)
    }

    fn read(&self, slot: KeySlot) -> Result<SlotState, VaultError> {
        let mut bytes = [0; SLOT_BYTES];
        read_up_to(&self.file, &mut bytes, offset(slot))?;
        Ok(self.wrapping.open(slot, &bytes))
    }

    fn sync(&self) -> Result<(), VaultError> {
        let mut failed = lock(&self.sync_failed);
        if *failed {
            return Err(VaultError::SyncFailed);
        }
        let synced = self.file.sync_data();
        *failed = synced.is_err();
        Ok(synced?)
    }
}

/// Returns the bytes of these slots, each with a secret of its own.
fn mint(wrapping: &Wrapping, slots: Range<u64>, random: Random) -> Result<Vec<u8>, VaultError> {
    let mut bytes = Vec::new();
    for slot in slots.map(KeySlot) {
        bytes.extend_from_slice(&wrapping.wrap(slot, &Secret::mint(random)?, random)?);
    }
    Ok(bytes)
}

fn offset(slot: KeySlot) -> u64 {
    HEADER_BYTES.saturating_add(slot.0.saturating_mul(slot_bytes()))
}

fn slot_bytes() -> u64 {
    u64::try_from(SLOT_BYTES).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::thread;

    use tempfile::TempDir;

    use super::*;
    use crate::system::fill_random;

    const LOG: [u8; 16] = *b"a log of its own";

    fn master(seed: u8) -> MasterKey {
        let bytes: Vec<u8> = (0..32)
            .map(|index: u8| index.wrapping_mul(index).wrapping_add(seed))
            .collect();
        MasterKey::parse(&hex::encode(bytes)).unwrap()
    }

    fn create(directory: &TempDir) -> Vault {
        let path = directory.path().join("vault");
        Vault::create(&path, &master(1), LOG, fill_random).unwrap()
    }

    fn reopen(directory: &TempDir) -> Result<Option<Vault>, VaultError> {
        Vault::open(&directory.path().join("vault"), &master(1), fill_random)
    }

    fn bytes_of(directory: &TempDir) -> Vec<u8> {
        fs::read(directory.path().join("vault")).unwrap()
    }

    fn key_of(vault: &Vault, slot: KeySlot) -> [u8; 32] {
        match vault.secret(slot).unwrap() {
            SlotState::Key(secret) => *secret.expose(),
            SlotState::Destroyed => panic!("{slot:?} is destroyed"),
            SlotState::Damaged => panic!("{slot:?} is damaged"),
        }
    }

    fn is_destroyed(vault: &Vault, slot: KeySlot) -> bool {
        matches!(vault.secret(slot).unwrap(), SlotState::Destroyed)
    }

    #[test]
    fn a_key_that_was_taken_is_read_again_after_reopening() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        let (slot, secret) = vault.take().unwrap();
        drop(vault);

        let vault = reopen(&directory).unwrap().unwrap();

        assert_eq!(slot, KeySlot::FIRST_OF_SESSIONS);
        assert_eq!(key_of(&vault, slot), *secret.expose());
        assert_eq!(vault.log(), LOG);
    }

    #[test]
    fn a_destroyed_key_is_in_no_byte_of_the_file_and_stays_destroyed() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        let (slot, _) = vault.take().unwrap();
        let (neighbour, kept) = vault.take().unwrap();
        let start = usize::try_from(offset(slot)).unwrap();
        let wrapped = bytes_of(&directory)[start..start + SLOT_BYTES].to_vec();

        vault.destroy(slot).unwrap();
        vault.destroy(slot).unwrap();
        drop(vault);

        let (nonce, ciphertext) = (&wrapped[8..32], &wrapped[32..80]);
        let bytes = bytes_of(&directory);
        for part in nonce.chunks(8).chain(ciphertext.chunks(8)) {
            assert!(!bytes.windows(8).any(|window| window == part));
        }
        let vault = reopen(&directory).unwrap().unwrap();
        assert!(is_destroyed(&vault, slot));
        assert_eq!(key_of(&vault, neighbour), *kept.expose());
    }

    #[test]
    fn concurrent_takes_never_give_one_slot_twice() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);

        let taken: Vec<(KeySlot, [u8; 32])> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..BATCH_SLOTS)
                            .map(|_| vault.take().unwrap())
                            .map(|(slot, secret)| (slot, *secret.expose()))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap())
                .collect()
        });

        let slots: BTreeSet<KeySlot> = taken.iter().map(|(slot, _)| *slot).collect();
        let keys: BTreeSet<[u8; 32]> = taken.iter().map(|(_, key)| *key).collect();
        assert_eq!((slots.len(), keys.len()), (taken.len(), taken.len()));
    }
}
