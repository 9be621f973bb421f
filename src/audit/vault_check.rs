//! The vault beside a log: that it is the log's, and that no byte of it is damaged.

use super::data_directory::DataDirectory;
use super::finding::{Class, Findings};
use super::payload_check::Keys;
use crate::log::vault::KeySlot;
use crate::log::vault::reader::VaultReader;

/// Opens the vault of a data directory.
pub(super) fn vault_of(directory: &DataDirectory, findings: &mut Findings) -> Option<VaultReader> {
    let path = directory.path().join("vault");
    if !path.exists() {
        let what = "there is no vault: whether erased keys are gone was not checked";
        findings.add(Class::CouldNotCheck, what);
        return None;
    }
    let vault = VaultReader::open(&path);
    vault
        .inspect_err(|error| {
            findings.add(Class::Tampered, format!("{}: {error}", path.display()));
        })
        .ok()
}

/// Checks the vault, and with the master key every slot of it, against the identity of the log.
pub(super) fn check(
    directory: &DataDirectory,
    vault: Option<&VaultReader>,
    keys: &Keys,
    findings: &mut Findings,
) -> std::io::Result<()> {
    let id = directory.inspection().log_id()?;
    if id.is_none() {
        findings.add(Class::Tampered, "log/identity is missing or damaged");
    }
    let Some(vault) = vault else { return Ok(()) };
    if id.is_some_and(|id| id != vault.log()) {
        findings.add(Class::Tampered, "the vault belongs to another log");
    }
    if !directory.is_in_use() && !vault.header_is_whole()? {
        findings.add(Class::Tampered, "the header of the vault is damaged");
    }
    let Some(unsealer) = &keys.unsealer else {
        return Ok(());
    };
    if id.is_some() && !unsealer.is_of(directory.inspection())? {
        findings.add(
            Class::Tampered,
            "the vault's keys are not those of this log",
        );
    }
    for slot in 0..vault.slots_end()?.0 {
        if !unsealer.is_whole(KeySlot(slot))? {
            let what = format!("key slot {slot} of the vault holds neither a key nor zeros");
            findings.add(Class::CouldNotCheck, what);
        }
    }
    Ok(())
}
