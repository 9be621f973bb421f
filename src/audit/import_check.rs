//! The check of an export before it is imported, in one pass over its entries.

use std::collections::VecDeque;

use sha2::{Digest, Sha256};
use state_machine::time::ReceivedAt;

use super::heads::Seen;
use super::import::ImportError;
use super::import_custody::Unexplained;
use super::manifest::Manifest;
use super::source::{Source, StoredEntry};
use crate::log::entry::Leaf;
use crate::log::import::ImportedVault;
use crate::log::vault::KeySlot;
use crate::transparency::checkpoint::SignedCheckpoint;
use crate::transparency::frontier::Frontier;
use crate::transparency::hash::{TreeHead, leaf_hash};
use crate::transparency::key::VerifierKey;

/// What the check came to.
pub(super) struct Checked {
    /// The checkpoint that covers all of it.
    pub(super) checkpoint: SignedCheckpoint,
    /// What the log does not know of its own payloads.
    pub(super) unexplained: Unexplained,
    /// When its last entry was received.
    pub(super) last_received_at: Option<ReceivedAt>,
}

/// Holds the entries of an export to its checkpoints and to those that others have seen, its payloads to its entries and to
/// the keys in the vault, and all of it to its manifest.
pub(super) fn check(
    source: &Source,
    manifest: &Manifest,
    key: &VerifierKey,
    (vault, seen): (&mut ImportedVault, &[Seen]),
    mut progress: impl FnMut(u64),
) -> Result<Checked, ImportError> {
    let mut check = Check::begin(source, key, vault)?;
    check.see(seen, key)?;
    check.meet_checkpoints()?;
    for chunk in source.chunks(true) {
        let chunk = chunk?;
        for entry in &chunk.entries {
            check.entry(entry)?;
            check.meet_checkpoints()?;
        }
        progress(check.frontier.size());
    }
    check.finish(manifest)
}

/// How far the entries are checked.
struct Check<'source> {
    checkpoints: Box<dyn Iterator<Item = Result<SignedCheckpoint, ImportError>> + 'source>,
    due: Option<SignedCheckpoint>,
    latest: SignedCheckpoint,
    /// What others have seen, by size.
    seen: VecDeque<(TreeHead, String)>,
    frontier: Frontier,
    vault: &'source mut ImportedVault,
    unexplained: Unexplained,
    last_slot: Option<KeySlot>,
    last_received_at: Option<ReceivedAt>,
}

impl<'source> Check<'source> {
    fn begin(
        source: &'source Source,
        key: &'source VerifierKey,
        vault: &'source mut ImportedVault,
    ) -> Result<Self, ImportError> {
        let authenticate = |note| Ok(SignedCheckpoint::authenticate(note, key)?);
        let checkpoints = source.checkpoints()?;
        let mut checkpoints = checkpoints.map(move |note| authenticate(note?));
        let latest = source.checkpoint().cloned();
        let latest = latest.ok_or(ImportError::OtherCheckpoint)?;
        Ok(Self {
            due: checkpoints.next().transpose()?,
            checkpoints: Box::new(checkpoints),
            latest: authenticate(latest)?,
            seen: VecDeque::new(),
            frontier: Frontier::new(),
            vault,
            unexplained: Unexplained::default(),
            last_slot: None,
            last_received_at: None,
        })
    }

    fn see(&mut self, seen: &[Seen], key: &VerifierKey) -> Result<(), ImportError> {
        let mut heads = Vec::new();
        for Seen { name, note } in seen {
            let cause = |cause| ImportError::Seen {
                name: name.clone(),
                cause,
            };
            let checkpoint = SignedCheckpoint::authenticate(note.clone(), key).map_err(cause)?;
            heads.push((checkpoint.tree(), name.clone()));
        }
        heads.sort_by_key(|(head, _)| head.size);
        self.seen = heads.into();
        Ok(())
    }

    fn entry(&mut self, StoredEntry { leaf, sealed }: &StoredEntry) -> Result<(), ImportError> {
        let sequence = self.frontier.size();
        let cause = |cause| ImportError::Leaf { sequence, cause };
        let decoded = Leaf::decode(leaf).map_err(cause)?;
        let says = decoded.sequence.0;
        if says != sequence {
            return Err(ImportError::OtherSequence { sequence, says });
        }
        let digest = decoded
            .payload
            .as_ref()
            .map(|payload| payload.sealed_sha256);
        // One that is not there was erased: the log has signed the manifest without it.
        if !sealed.is_empty() && digest != Some(Sha256::digest(sealed).into()) {
            return Err(ImportError::OtherPayload(sequence));
        }
        let opened = (digest.is_some() && !sealed.is_empty())
            .then(|| self.vault.open(&decoded, sealed).map(drop));
        self.unexplained.take(&decoded, opened)?;
        self.last_slot = self.last_slot.max(Some(decoded.key_slot));
        self.last_received_at = Some(decoded.received_at);
        self.frontier.push(leaf_hash(leaf), |_, _| {});
        Ok(())
    }

    /// Holds the entries so far to the checkpoints of their number.
    fn meet_checkpoints(&mut self) -> Result<(), ImportError> {
        let size = self.frontier.size();
        while let Some((head, name)) = self.seen.pop_front_if(|(head, _)| head.size <= size) {
            if head != self.frontier.head() {
                return Err(ImportError::Forked { name });
            }
        }
        while let Some(due) = self.due.take_if(|due| due.tree().size <= size) {
            if due.tree() != self.frontier.head() {
                return Err(ImportError::OtherRoot(due.tree().size));
            }
            self.due = self.checkpoints.next().transpose()?;
        }
        Ok(())
    }

    fn finish(self, manifest: &Manifest) -> Result<Checked, ImportError> {
        let tree = self.frontier.head();
        if let Some(due) = &self.due {
            return Err(ImportError::OtherRoot(due.tree().size));
        }
        if tree != self.latest.tree() {
            return Err(ImportError::OtherRoot(self.latest.tree().size));
        }
        if (tree.size, tree.root.to_string()) != (manifest.size, manifest.root.clone()) {
            return Err(ImportError::OtherCheckpoint);
        }
        self.last_slot
            .map_or(Ok(()), |slot| self.vault.check_slot(slot))?;
        Ok(Checked {
            checkpoint: self.latest,
            unexplained: self.unexplained,
            last_received_at: self.last_received_at,
        })
    }
}
