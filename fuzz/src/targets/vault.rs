//! A vault that was copied from anywhere is read or refused: no key comes out of what its master key did not wrap.

use avow::log::keys::MasterKey;
use avow::log::unsealer::Unsealer;
use avow::log::vault::KeySlot;
use avow::log::vault::reader::VaultReader;

/// The key of the vault of which the corpus has a part.
const MASTER_KEY: &str = "5f2b9c04e17da386f0c4317b8e9256ad08e3d15b7fc96240a1be8d3372f60c59";

/// Reads the bytes as the file of a vault.
pub(crate) fn holds(bytes: &[u8]) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let Ok(vault) = VaultReader::open(file.path()) else {
        return;
    };
    assert!(vault.header_is_whole().is_ok());
    let end = vault.slots_end().unwrap();
    for slot in (0..end.0.min(8)).map(KeySlot) {
        assert!(vault.is_zeroed(slot).is_ok());
    }
    let is_destroyed = vault.is_zeroed(KeySlot::SIGNING).unwrap();
    let master = MasterKey::parse(MASTER_KEY).unwrap();
    if let Ok(unsealer) = Unsealer::new(vault, &master) {
        let key = unsealer.verifier_key("avow/log".parse().unwrap());
        let is_there = unsealer.is_whole(KeySlot::SIGNING).unwrap() && !is_destroyed;
        assert_eq!(key.is_ok(), is_there);
    }
}
