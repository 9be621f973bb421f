//! The vault: the log's keys, wrapped under the master key, in slots of one file that is overwritten in place.
//!
//! To destroy a key is to overwrite its slot with zeros: no copy of it is in the file from then on. A slot is given to
//! one session only, ever; the file's length says how many were minted. A copy of the vault put back brings destroyed
//! keys back: the header tells, and the log destroys them again.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub mod copy;
mod error;
pub mod file_system;
mod header;
mod inspection;
pub(super) mod minting;
pub mod reader;
mod replacement;
pub mod rotation;
mod slot;

pub use error::VaultError;
use header::{HEADER_BYTES, Header};
pub(super) use inspection::Inspection;
use replacement::Replacement;
pub use slot::KeySlot;
pub(super) use slot::MAGIC as SLOT_MAGIC;
use slot::{Random, SLOT_BYTES, Wrapping};
pub(super) use slot::{Secret, SlotState};

use super::durable::{create_whole, read_up_to};
use super::keys::MasterKey;

/// An open vault, shared by reference between threads.
pub(super) struct Vault {
    file: File,
    wrapping: Wrapping,
    random: Random,
    header: Mutex<Header>,
    /// Held by whoever changes a slot that may have been given out.
    slots: Mutex<Slots>,
    /// Held by whoever mints.
    minting: Mutex<()>,
    /// Whether a sync has failed. Held by whoever syncs: a failure is told once, to one of them, and concerns all.
    sync_failed: Mutex<bool>,
}

/// Which slots there are.
struct Slots {
    /// The first that was not given out yet.
    next: u64,
    /// The first that was never minted.
    end: u64,
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
        let slots = wrapping.mint(0..KeySlot::FIRST_OF_SESSIONS.0, random)?;
        create_whole(path, |file| {
            keep_from_others(file)?;
            header.write_first(file)?;
            file.write_all_at(&slots, HEADER_BYTES)
        })?;
        Self::open(path, master, random)?.ok_or_else(|| VaultError::Damaged {
            path: path.to_owned(),
        })
    }

    /// Opens the vault, and finishes the exchange of its file if one was interrupted; `None` if there is none.
    pub(super) fn open(
        path: &Path,
        master: &MasterKey,
        random: Random,
    ) -> Result<Option<Self>, VaultError> {
        let replacement = Replacement::of(path);
        replacement.finish()?;
        let file = match File::options().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let header = Header::read(&file)?.ok_or_else(|| VaultError::Damaged {
            path: path.to_owned(),
        })?;
        let end = file.metadata()?.len().saturating_sub(HEADER_BYTES) / slot_bytes();
        let vault = Self {
            wrapping: Wrapping::of(header.log, master),
            file,
            random,
            header: Mutex::new(header),
            slots: Mutex::new(Slots { next: end, end }),
            minting: Mutex::new(()),
            sync_failed: Mutex::new(false),
        };
        vault.check_master_key()?;
        // Not before: what lies beside a vault that does not open may be all there is.
        replacement.destroy_leftovers()?;
        // Who wrote last may have been killed before its sync; what is read here must not be lost in a power cut.
        vault.sync()?;
        Ok(Some(vault))
    }

    /// Returns the log that the vault belongs to.
    pub(super) fn log(&self) -> [u8; 16] {
        lock(&self.header).log
    }

    /// Returns the log's own secret.
    pub(super) fn log_secret(&self) -> Result<Secret, VaultError> {
        self.own(KeySlot::LOG)
    }

    /// Returns the seed of the key with which the log signs.
    pub(super) fn signing_seed(&self) -> Result<Secret, VaultError> {
        self.own(KeySlot::SIGNING)
    }

    /// Returns the first slot that was never minted.
    pub(super) fn slots_end(&self) -> KeySlot {
        KeySlot(lock(&self.slots).end)
    }

    /// Tells which is the first slot that no leaf names. No slot before it is given out; what was minted behind it is.
    pub(super) fn begin(&self, next: KeySlot) {
        lock(&self.slots).next = next.max(KeySlot::FIRST_OF_SESSIONS).0;
    }

    /// Returns what a slot holds.
    pub(super) fn secret(&self, slot: KeySlot) -> Result<SlotState, VaultError> {
        match self.read(slot)? {
            SlotState::Damaged => {
                // It may have been read while it was destroyed: half key, half zeros.
                let _unchanging = lock(&self.slots);
                self.read(slot)
            }
            state @ (SlotState::Key(_) | SlotState::Destroyed) => Ok(state),
        }
    }

    /// Tells whether a slot still holds a key.
    pub(super) fn holds(&self, slot: KeySlot) -> Result<bool, VaultError> {
        Ok(matches!(self.secret(slot)?, SlotState::Key(_)))
    }

    /// Overwrites a slot with zeros; when this returns, no copy of its key is in the file. Doing so again is harmless.
    pub(super) fn destroy(&self, slot: KeySlot) -> Result<(), VaultError> {
        if slot < KeySlot::FIRST_OF_SESSIONS {
            return Err(VaultError::Permanent { slot });
        }
        let slots = lock(&self.slots);
        if slot.0 < slots.end {
            self.file.write_all_at(&[0; SLOT_BYTES], offset(slot))?;
        }
        drop(slots);
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

    fn own(&self, slot: KeySlot) -> Result<Secret, VaultError> {
        match self.read(slot)? {
            SlotState::Key(secret) => Ok(secret),
            SlotState::Destroyed | SlotState::Damaged => Err(VaultError::DamagedSlot { slot }),
        }
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

/// Lets the owner alone read a file: its keys are wrapped, and still nobody else's business.
fn keep_from_others(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(0o600))
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
    use std::collections::{BTreeSet, HashSet};
    use std::fs;
    use std::path::PathBuf;
    use std::thread;

    use tempfile::TempDir;

    use super::super::options::RandomError;
    use super::minting::BATCH_SLOTS;
    use super::*;
    use crate::system::fill_random;

    pub(super) const LOG: [u8; 16] = *b"a log of its own";

    pub(super) fn master(seed: u8) -> MasterKey {
        let bytes: Vec<u8> = (0..32)
            .map(|index: u8| index.wrapping_mul(index).wrapping_add(seed))
            .collect();
        MasterKey::parse(&hex::encode(bytes)).unwrap()
    }

    /// Makes a vault under `master(1)`.
    pub(super) fn create(directory: &TempDir) -> Vault {
        Vault::create(&path(directory), &master(1), LOG, fill_random).unwrap()
    }

    pub(super) fn path(directory: &TempDir) -> PathBuf {
        directory.path().join("vault")
    }

    pub(super) fn key_of(vault: &Vault, slot: KeySlot) -> [u8; 32] {
        match vault.secret(slot).unwrap() {
            SlotState::Key(secret) => *secret.expose(),
            SlotState::Destroyed => panic!("{slot:?} is destroyed"),
            SlotState::Damaged => panic!("{slot:?} is damaged"),
        }
    }

    pub(super) fn is_destroyed(vault: &Vault, slot: KeySlot) -> bool {
        matches!(vault.secret(slot).unwrap(), SlotState::Destroyed)
    }

    /// Returns the bytes by which the key that lies in this slot would be found anywhere.
    pub(super) fn traces_of(directory: &TempDir, slot: KeySlot) -> Vec<[u8; 8]> {
        let start = usize::try_from(offset(slot)).unwrap();
        let nonce_and_key = &fs::read(path(directory)).unwrap()[start + 8..start + 80];
        assert!(nonce_and_key.iter().any(|byte| *byte != 0));
        nonce_and_key.as_chunks().0.to_vec()
    }

    /// Tells whether a trace lies anywhere; slots and headers, and so traces, begin at multiples of eight.
    pub(super) fn holds_any(bytes: &[u8], traces: &[[u8; 8]]) -> bool {
        let traces: HashSet<&[u8; 8]> = traces.iter().collect();
        bytes
            .as_chunks()
            .0
            .iter()
            .any(|chunk| traces.contains(chunk))
    }

    fn reopen(directory: &TempDir) -> Result<Vault, VaultError> {
        Vault::open(&path(directory), &master(1), fill_random).map(Option::unwrap)
    }

    fn overwrite(directory: &TempDir, bytes: &[u8], offset: u64) {
        let file = File::options().write(true).open(path(directory)).unwrap();
        file.write_all_at(bytes, offset).unwrap();
    }

    #[test]
    fn a_key_that_was_taken_is_read_again_after_reopening() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        let (slot, secret) = vault.take().unwrap();
        let own = [vault.log_secret(), vault.signing_seed()].map(|key| *key.unwrap().expose());
        drop(vault);

        let vault = reopen(&directory).unwrap();

        assert_eq!(slot, KeySlot::FIRST_OF_SESSIONS);
        assert_eq!(key_of(&vault, slot), *secret.expose());
        assert_eq!(
            [KeySlot::LOG, KeySlot::SIGNING].map(|own| key_of(&vault, own)),
            own
        );
        assert_ne!(own[0], own[1]);
        assert_eq!(vault.log(), LOG);
    }

    #[test]
    fn where_there_is_no_vault_none_is_opened() {
        let directory = TempDir::new().unwrap();

        let vault = Vault::open(&path(&directory), &master(1), fill_random).unwrap();

        assert!(vault.is_none());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn nobody_but_the_owner_may_read_the_vault() {
        let directory = TempDir::new().unwrap();

        drop(create(&directory));

        let mode = fs::metadata(path(&directory)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    type Damage<'damage> = &'damage dyn Fn(&TempDir);

    #[test]
    fn another_master_key_is_told_from_damage() {
        let header_damaged = |directory: &TempDir| {
            overwrite(directory, b"damage", 0);
            overwrite(directory, b"damage", 4096);
        };
        #[rustfmt::skip]
        let rows: [(u8, Damage<'_>, &str); 4] = [
            (2, &|_| (),                                             "the master key is not the vault's"),
            (1, &|at| overwrite(at, b"damage", offset(KeySlot::LOG)), "key slot 0 of the vault is damaged"),
            (1, &|at| overwrite(at, &[0; SLOT_BYTES], HEADER_BYTES),  "key slot 0 of the vault is damaged"),
            (1, &header_damaged,                                     "the header of "),
        ];
        for (key, damage, sentence) in rows {
            let directory = TempDir::new().unwrap();
            drop(create(&directory));
            damage(&directory);

            let opened = Vault::open(&path(&directory), &master(key), fill_random);

            let told = opened.err().unwrap().to_string();
            assert!(told.starts_with(sentence), "{told}");
        }
    }

    #[test]
    fn a_destroyed_key_is_in_no_byte_of_the_file_and_stays_destroyed() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        let (slot, _) = vault.take().unwrap();
        let (neighbour, kept) = vault.take().unwrap();
        let traces = traces_of(&directory, slot);

        vault.destroy(slot).unwrap();
        vault.destroy(slot).unwrap();
        drop(vault);

        assert!(!holds_any(&fs::read(path(&directory)).unwrap(), &traces));
        let vault = reopen(&directory).unwrap();
        assert!(is_destroyed(&vault, slot));
        assert_eq!(key_of(&vault, neighbour), *kept.expose());
    }

    #[test]
    fn the_own_keys_of_the_log_are_never_destroyed() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        for slot in [KeySlot::LOG, KeySlot::SIGNING] {
            let before = key_of(&vault, slot);

            let refused = vault.destroy(slot);

            assert!(matches!(refused, Err(VaultError::Permanent { .. })));
            assert_eq!(key_of(&vault, slot), before);
        }
    }

    #[test]
    fn a_damaged_signing_key_is_no_signing_key() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        overwrite(&directory, b"damage", offset(KeySlot::SIGNING));

        let told = vault.signing_seed().err().unwrap().to_string();

        assert!(told.starts_with("key slot 1 of the vault is damaged"));
    }

    #[test]
    fn to_destroy_what_was_never_minted_changes_nothing() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        let before = fs::read(path(&directory)).unwrap();

        vault.destroy(KeySlot(1_000_000)).unwrap();

        assert!(is_destroyed(&vault, KeySlot(1_000_000)));
        assert_eq!(fs::read(path(&directory)).unwrap(), before);
    }

    #[test]
    fn keys_minted_ahead_survive_and_are_given_out_once() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        for _ in 0..3 {
            vault.take().unwrap();
        }
        let (fourth, key) = vault.take().unwrap();
        let minted = vault.slots_end().0;
        drop(vault);

        // The fourth was taken, and the power went before a leaf named it.
        let vault = reopen(&directory).unwrap();
        vault.begin(fourth);
        let again = vault.take().unwrap();
        let left: Vec<KeySlot> = (fourth.0 + 1..minted)
            .map(|_| vault.take().unwrap().0)
            .collect();

        assert_eq!((again.0, again.1.expose()), (fourth, key.expose()));
        assert_eq!(left.first(), Some(&KeySlot(fourth.0 + 1)));
        assert_eq!(left.last(), Some(&KeySlot(minted - 1)));
        assert_eq!(vault.slots_end().0, minted);
        assert_eq!(vault.take().unwrap().0, KeySlot(minted));
    }

    #[test]
    fn a_slot_that_a_leaf_names_is_never_given_out() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        for next in [0, 2, 100, 514, 515, 2_000, 1_999] {
            vault.begin(KeySlot(next));
            assert!(vault.take().unwrap().0 >= KeySlot(next.max(2)), "{next}");
        }
    }

    #[test]
    fn concurrent_takes_never_give_one_slot_twice() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        let take = || {
            let (slot, secret) = vault.take().unwrap();
            (slot, *secret.expose())
        };

        let taken: Vec<(KeySlot, [u8; 32])> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| (0..*BATCH_SLOTS.end()).map(|_| take()).collect::<Vec<_>>())
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

    #[test]
    fn a_batch_that_was_torn_while_it_was_minted_is_passed_over() {
        // What of the batch reached the disk before the power went: some bytes, or the length alone.
        for kept_bytes in [0, 1, 128, 129, 1_024] {
            for length_kept in [true, false] {
                let directory = TempDir::new().unwrap();
                let vault = create(&directory);
                let start = offset(KeySlot(vault.slots_end().0));
                vault.take().unwrap();
                let end = offset(KeySlot(vault.slots_end().0));
                vault.file.set_len(start + kept_bytes).unwrap();
                if length_kept {
                    vault.file.set_len(end).unwrap();
                }
                drop(vault);

                let vault = reopen(&directory).unwrap();
                vault.begin(KeySlot::FIRST_OF_SESSIONS);
                let taken: BTreeSet<KeySlot> = (0..=*BATCH_SLOTS.end())
                    .map(|_| vault.take().unwrap())
                    .filter(|(slot, secret)| key_of(&vault, *slot) == *secret.expose())
                    .map(|(slot, _)| slot)
                    .collect();

                assert_eq!(taken.len(), 513, "{kept_bytes} {length_kept}");
            }
        }
    }

    #[test]
    fn an_older_copy_put_back_tells_which_erasures_are_to_be_done_again() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        let (slot, _) = vault.take().unwrap();
        vault.note_erased_through(5).unwrap();
        let copy = fs::read(path(&directory)).unwrap();

        vault.destroy(slot).unwrap();
        vault.note_erased_through(9).unwrap();
        vault.note_erased_through(8).unwrap();
        drop(vault);
        let kept = reopen(&directory).unwrap().erased_through();
        fs::write(path(&directory), copy).unwrap();
        let put_back = reopen(&directory).unwrap();

        assert_eq!(kept, 9);
        assert_eq!(put_back.erased_through(), 5);
        assert!(!is_destroyed(&put_back, slot));
    }

    #[test]
    fn after_a_failed_sync_nothing_more_is_promised() {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        *lock(&vault.sync_failed) = true;

        let taken = vault.take().map(|(slot, _)| slot);
        let destroyed = vault.destroy(KeySlot::FIRST_OF_SESSIONS);

        assert!(matches!(taken, Err(VaultError::SyncFailed)));
        assert!(matches!(destroyed, Err(VaultError::SyncFailed)));
    }

    #[test]
    fn a_random_source_that_gives_nothing_mints_nothing() {
        let directory = TempDir::new().unwrap();
        drop(create(&directory));
        let nothing: Random = |_| Err(RandomError);

        let vault = Vault::open(&path(&directory), &master(1), nothing).unwrap();
        let taken = vault.unwrap().take().map(|(slot, _)| slot);

        assert!(matches!(taken, Err(VaultError::Random(_))));
        assert_eq!(reopen(&directory).unwrap().slots_end().0, 2);
    }
}
