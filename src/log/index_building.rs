//! Bringing the index up to the log, or building it anew from the leaves.

use std::iter;
use std::path::Path;

use super::dedupe::{Identification, Known, facts_digest};
use super::entry::Fact;
use super::identity::Identity;
use super::index::Index;
use super::open_error::OpenError;
use super::record::Record;
use super::store::Store;

/// How many entries are indexed at once.
const BATCH_ENTRIES_MAX: usize = 4_096;

/// Opens the index and brings it up to `size`. Builds it anew if it is missing, damaged, or claims more than
/// there is, and tells whether it did.
pub(super) fn bring_up(
    directory: &Path,
    identity: Identity,
    cache_bytes: u64,
    store: &Store,
    size: u64,
) -> Result<(Index, bool), OpenError> {
    let opened = Index::open(directory, identity, cache_bytes);
    let usable = opened
        .ok()
        .filter(|(_, covered)| *covered <= size && (*covered > 0 || size == 0));
    let is_rebuilt = usable.is_none();
    let (index, covered) = if let Some(usable) = usable {
        usable
    } else {
        Index::delete(directory)?;
        Index::open(directory, identity, cache_bytes)?
    };
    let mut batch = Vec::new();
    for sequence in covered..size {
        batch.push(known_entry(store, sequence)?);
        if batch.len() == BATCH_ENTRIES_MAX || sequence + 1 == size {
            let entries = batch
                .iter()
                .map(|(identification, known)| (identification, *known));
            index.apply(entries, sequence + 1, identity)?;
            batch.clear();
        }
    }
    Ok((index, is_rebuilt))
}

fn known_entry(store: &Store, sequence: u64) -> Result<(Identification, Known), OpenError> {
    let missing = || OpenError::EntriesMissing {
        missing: iter::once(sequence..sequence + 1).collect(),
    };
    let bytes = store.record(sequence)?.ok_or_else(missing)?;
    let record = Record::parse(&bytes).ok_or_else(missing)?;
    let entry = record
        .entry()
        .map_err(|cause| OpenError::Leaf { sequence, cause })?;
    let facts = facts_digest(&entry.leaf.fact);
    let identification = Identification::of(&entry.leaf.fact);
    let identification = match &entry.leaf.fact {
        Fact::Conflict(_) => identification.of_conflict(&facts),
        Fact::Event(_) | Fact::Unreadable(_) => identification,
    };
    Ok((
        identification,
        Known {
            sequence: entry.leaf.sequence,
            facts,
        },
    ))
}
