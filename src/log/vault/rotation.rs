//! Changing the master key: every key of the vault is wrapped anew, and the old file is overwritten.
//!
//! Slots keep their numbers and their secrets, so that no leaf and no payload changes.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::error::VaultError;
use super::header::{HEADER_BYTES, Header};
use super::replacement::Replacement;
use super::slot::{KeySlot, Random, SLOT_BYTES, SlotState, Wrapping};
use super::{Vault, keep_from_others};
use crate::log::keys::MasterKey;
use crate::log::open_error::OpenError;
use crate::log::paths::Paths;

/// What a rotation came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// Every key is wrapped under the new master key.
    Rewrapped {
        /// How many there are.
        keys: u64,
    },
    /// The vault was wrapped under the new master key already: an earlier rotation had done it.
    AlreadyDone,
}

/// Why a rotation stopped. To run it again with the same keys is always safe: it goes on where it stopped.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// There is no vault.
    #[error("there is no vault at {path}")]
    NoVault {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The log is in use, or its lock cannot be had.
    #[error(transparent)]
    Lock(OpenError),
    /// Neither key opens the vault.
    #[error("the vault opens neither with the old master key nor with the new one")]
    OtherMasterKey,
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Wraps the keys of the log in `data_dir` under another master key. No service may be running on it.
pub fn rotate_master_key(
    data_dir: &Path,
    old: &MasterKey,
    new: &MasterKey,
    random: Random,
) -> Result<Rotated, RotationError> {
    let log = data_dir.join("log");
    let path = data_dir.join("vault");
    if !log.is_dir() {
        return Err(RotationError::NoVault { path });
    }
    let _lock = crate::log::lock(&Paths::under(&log).lock).map_err(RotationError::Lock)?;
    rotate(&path, old, new, random)
}

/// Wraps the keys of the vault at `path` under another master key. The caller holds the log's lock.
pub(super) fn rotate(
    path: &Path,
    old: &MasterKey,
    new: &MasterKey,
    random: Random,
) -> Result<Rotated, RotationError> {
    if opened(path, new, random)?.is_some() {
        return Ok(Rotated::AlreadyDone);
    }
    let vault = opened(path, old, random)?.ok_or(RotationError::OtherMasterKey)?;
    let replacement = Replacement::of(path);
    let written = replacement.write(|file| rewrap(&vault, new, file));
    let keys = written.inspect_err(|_| {
        // What is wrong with the vault matters more than what is left beside it; the next opening destroys that.
        drop(replacement.destroy_leftovers());
    })?;
    replacement.set_aside().map_err(VaultError::from)?;
    replacement.put_in_place().map_err(VaultError::from)?;
    // To open the vault is to destroy the old file.
    opened(path, new, random)?.ok_or(RotationError::OtherMasterKey)?;
    Ok(Rotated::Rewrapped { keys })
}

/// Opens the vault; `None` if the master key is not its own.
fn opened(path: &Path, master: &MasterKey, random: Random) -> Result<Option<Vault>, RotationError> {
    match Vault::open(path, master, random) {
        Ok(Some(vault)) => Ok(Some(vault)),
        Ok(None) => Err(RotationError::NoVault {
            path: path.to_owned(),
        }),
        Err(VaultError::OtherMasterKey) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Fills `file` with the keys of the vault, and returns how many there are.
fn rewrap(vault: &Vault, master: &MasterKey, file: &File) -> Result<u64, VaultError> {
    keep_from_others(file)?;
    Header::new(vault.log(), vault.erased_through()).write_first(file)?;
    let wrapping = Wrapping::of(vault.log(), master);
    let mut writer = BufWriter::new(file);
    writer.seek(SeekFrom::Start(HEADER_BYTES))?;
    let mut keys = 0;
    for slot in (0..vault.slots_end().0).map(KeySlot) {
        let bytes = match vault.secret(slot)? {
            SlotState::Key(secret) => {
                keys += 1;
                wrapping.wrap(slot, &secret, vault.random)?
            }
            SlotState::Destroyed => [0; SLOT_BYTES],
            SlotState::Damaged => return Err(VaultError::DamagedSlot { slot }),
        };
        writer.write_all(&bytes)?;
    }
    writer.flush()?;
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::super::tests::{create, holds_any, is_destroyed, key_of, master, path, traces_of};
    use super::*;
    use crate::system::fill_random;

    const KEPT: KeySlot = KeySlot(2);
    const DESTROYED: KeySlot = KeySlot(3);

    /// A vault under `master(1)` with one key of a session, one destroyed key, and some minted ahead.
    struct Fixture {
        directory: TempDir,
        keys: Vec<(KeySlot, [u8; 32])>,
        /// By which the old wrapped keys would be found anywhere.
        traces: Vec<[u8; 8]>,
    }

    fn fixture() -> Fixture {
        let directory = TempDir::new().unwrap();
        let vault = create(&directory);
        assert_eq!(vault.take().unwrap().0, KEPT);
        assert_eq!(vault.take().unwrap().0, DESTROYED);
        vault.destroy(DESTROYED).unwrap();
        vault.note_erased_through(9).unwrap();
        let slots = (0..vault.slots_end().0).map(KeySlot);
        let slots: Vec<KeySlot> = slots.filter(|slot| *slot != DESTROYED).collect();
        let keys = slots.iter().map(|slot| (*slot, key_of(&vault, *slot)));
        let traces = slots.iter().flat_map(|slot| traces_of(&directory, *slot));
        Fixture {
            keys: keys.collect(),
            traces: traces.collect(),
            directory,
        }
    }

    impl Fixture {
        fn rotate(&self) -> Result<Rotated, RotationError> {
            rotate(&path(&self.directory), &master(1), &master(2), fill_random)
        }

        fn open(&self, key: u8) -> Result<Vault, VaultError> {
            Vault::open(&path(&self.directory), &master(key), fill_random).map(Option::unwrap)
        }

        /// The same keys in the same slots, under this master key and no other, and nothing beside the vault.
        fn check(&self, key: u8, other: u8) {
            let vault = self.open(key).unwrap();
            for (slot, secret) in &self.keys {
                assert_eq!(key_of(&vault, *slot), *secret);
            }
            assert!(is_destroyed(&vault, DESTROYED));
            assert_eq!(vault.erased_through(), 9);
            assert_eq!(vault.slots_end().0, 18);
            assert!(matches!(self.open(other), Err(VaultError::OtherMasterKey)));
            assert_eq!(self.names(), ["vault"]);
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.directory.path()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        }

        fn no_old_key_is_left(&self) -> bool {
            self.names().iter().all(|name| {
                let bytes = fs::read(self.directory.path().join(name)).unwrap();
                !holds_any(&bytes, &self.traces)
            })
        }

        /// Takes the first `count` steps of a rotation, and stops.
        fn stop_after(&self, count: usize) {
            let path = path(&self.directory);
            let replacement = Replacement::of(&path);
            let vault = self.open(1).unwrap();
            let tear = |file: &File| -> Result<(), VaultError> {
                rewrap(&vault, &master(2), file)?;
                Ok(file.set_len(10_000)?)
            };
            let whole = |file: &File| rewrap(&vault, &master(2), file).map(drop);
            let old = self.directory.path().join("vault.old");
            let zero = |bytes| {
                let mut file = File::options().write(true).open(&old)?;
                file.write_all(&vec![0; bytes])
            };
            #[rustfmt::skip]
            let steps: [&dyn Fn(); STEPS] = [
                &|| replacement.write(tear).unwrap(),
                &|| replacement.write(whole).unwrap(),
                &|| replacement.set_aside().unwrap(),
                &|| replacement.put_in_place().unwrap(),
                &|| zero(10_000).unwrap(),
                &|| zero(usize::try_from(fs::metadata(&old).unwrap().len()).unwrap()).unwrap(),
            ];
            for step in &steps[..count] {
                step();
            }
        }
    }

    const STEPS: usize = 6;
    /// After so many steps, the new file is the vault.
    const EXCHANGED: usize = 3;

    #[test]
    fn a_rotation_wraps_every_key_anew_and_leaves_no_old_one() {
        let fixture = fixture();
        let keys = u64::try_from(fixture.keys.len()).unwrap();
        assert!(!fixture.no_old_key_is_left());

        let rotated = fixture.rotate().unwrap();

        assert_eq!(rotated, Rotated::Rewrapped { keys });
        fixture.check(2, 1);
        assert!(fixture.no_old_key_is_left());
        assert_eq!(fixture.rotate().unwrap(), Rotated::AlreadyDone);
    }

    #[test]
    fn an_interrupted_rotation_is_finished_or_undone_by_the_next_opening() {
        for count in 0..=STEPS {
            let fixture = fixture();
            fixture.stop_after(count);

            let is_exchanged = count >= EXCHANGED;
            let (own, other) = if is_exchanged { (2, 1) } else { (1, 2) };

            assert!(matches!(
                fixture.open(other),
                Err(VaultError::OtherMasterKey)
            ));
            fixture.check(own, other);
            assert_eq!(fixture.no_old_key_is_left(), is_exchanged, "{count}");
        }
    }

    #[test]
    fn an_interrupted_rotation_is_finished_by_the_next_rotation() {
        for count in 0..=STEPS {
            let fixture = fixture();
            fixture.stop_after(count);

            let rotated = fixture.rotate().unwrap();

            assert_eq!(
                rotated == Rotated::AlreadyDone,
                count >= EXCHANGED,
                "{count}"
            );
            fixture.check(2, 1);
            assert!(fixture.no_old_key_is_left(), "{count}");
        }
    }

    #[test]
    fn the_old_file_is_kept_until_the_new_one_has_opened() {
        let fixture = fixture();
        fixture.stop_after(4);

        let refused = fixture.open(1);

        assert!(matches!(refused, Err(VaultError::OtherMasterKey)));
        assert_eq!(fixture.names(), ["vault", "vault.old"]);
    }

    #[test]
    fn a_damaged_slot_stops_a_rotation_before_anything_is_replaced() {
        let fixture = fixture();
        let path = path(&fixture.directory);
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - SLOT_BYTES;
        bytes[last + 40] ^= 1;
        fs::write(&path, &bytes).unwrap();

        let told = fixture.rotate().err().unwrap().to_string();

        assert_eq!(
            told,
            "key slot 17 of the vault is damaged: put a copy of the vault back"
        );
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(fixture.names(), ["vault"]);
    }

    #[test]
    fn a_rotation_needs_the_key_that_the_vault_has() {
        let fixture = fixture();
        let path = path(&fixture.directory);

        let refused = rotate(&path, &master(3), &master(4), fill_random);

        assert!(matches!(refused, Err(RotationError::OtherMasterKey)));
        fixture.check(1, 3);
    }

    #[test]
    fn a_log_that_is_open_is_not_rotated() {
        let fixture = fixture();
        let data = fixture.directory.path();
        let rotated = || rotate_master_key(data, &master(1), &master(2), fill_random);
        let without_log = rotated().err().unwrap();
        fs::create_dir(data.join("log")).unwrap();

        let lock = crate::log::lock(&data.join("log/lock")).unwrap();
        let in_use = rotated().err().unwrap();
        drop(lock);
        let free = rotated().unwrap();

        assert!(matches!(without_log, RotationError::NoVault { .. }));
        assert!(
            in_use
                .to_string()
                .ends_with("log/lock is in use by another process")
        );
        assert!(matches!(free, Rotated::Rewrapped { keys: 17 }));
    }
}
