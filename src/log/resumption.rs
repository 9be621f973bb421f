//! Resumption: what start-up does about erasures that a process left unfinished, or that an older file has undone.

use std::sync::Arc;

use state_machine::id::SequenceNumber;

use super::custody::subject_of;
use super::entry::Subject;
use super::eraser::{Job, remove};
use super::open_error::OpenError;
use super::shared::Shared;

/// Carries out again what the vault does not know of, or, if a part of the journal was written anew from sled, every
/// erasure; and returns what is still to be carried out.
pub(super) fn resume_erasures(
    shared: &Arc<Shared>,
    is_rewritten: bool,
) -> Result<Vec<Job>, OpenError> {
    let failed = |error: Box<dyn std::error::Error>| OpenError::Erasure(error.to_string());
    let from = if is_rewritten {
        0
    } else {
        shared.keys.vault.erased_through()
    };
    for done in shared.index.finished_erasures(from)? {
        if let Some(subject) = subject(shared, done)? {
            remove(shared, subject.key_slot, &[]).map_err(failed)?;
            shared.keys.vault.note_erased_through(done + 1)?;
        }
    }
    let mut jobs = Vec::new();
    for slot in shared.index.unfinished_erasures()? {
        let custody = shared.index.custody(slot)?;
        if let Some(erasure) = custody.erasure.filter(|_| custody.is_due())
            && let Some(subject) = subject(shared, erasure.0)?
        {
            let key = shared.keys.key_in(&subject.name, slot, &shared.index);
            jobs.push(Job::Erase(key.map_err(|error| failed(error.into()))?));
        }
    }
    Ok(jobs)
}

/// Returns whose custody an entry changes.
fn subject(shared: &Shared, sequence: u64) -> Result<Option<Subject>, OpenError> {
    let entry = shared.entry(SequenceNumber(sequence));
    let entry = entry.map_err(|error| OpenError::Erasure(error.to_string()))?;
    Ok(entry.and_then(|entry| subject_of(&entry.leaf.fact).cloned()))
}
