//! Bringing the index up to the log, or building it anew from the leaves.

use std::iter;
use std::path::Path;
use std::sync::Arc;

use super::dedupe::{Identification, Known, facts_digest};
use super::entry::{Entry, Fact};
use super::identity::Identity;
use super::index::{Covered, Index, Indexed};
use super::open_error::OpenError;
use super::record::Record;
use super::store::Store;

/// How many entries are indexed at once.
const BATCH_ENTRIES_MAX: usize = 4_096;

/// An index that covers the log.
pub(super) struct UpToDate {
    pub(super) index: Index,
    pub(super) covered: Covered,
    /// Whether it was built anew.
    pub(super) is_rebuilt: bool,
}

/// Opens the index and brings it up to `size`; erasures below `erased_through` are done with. Builds it anew if it is missing, damaged, or claims more than
/// there is.
pub(super) fn bring_up(
    directory: &Path,
    identity: Identity,
    cache_bytes: u64,
    store: &Store,
    size: u64,
    erased_through: u64,
) -> Result<UpToDate, OpenError> {
    let was_there = size > 0 || directory.exists();
    let opened = Index::open(directory, identity, cache_bytes);
    let usable = opened.ok().and_then(|(index, covered)| {
        let covered = covered.filter(|covered| covered.entries <= size)?;
        index
            .answers_a_start(erased_through)
            .then_some((index, covered))
    });
    let brought_up = usable.map(|(index, covered)| {
        let covered = index_entries(&index, identity, store, covered, size)?;
        Ok((index, covered))
    });
    match brought_up {
        // What is damaged may be met only when it is read.
        None | Some(Err(OpenError::Index(_))) => {}
        Some(brought_up) => {
            let (index, covered) = brought_up?;
            return Ok(UpToDate {
                index,
                covered,
                is_rebuilt: false,
            });
        }
    }
    Index::delete(directory)?;
    let (index, _) = Index::open(directory, identity, cache_bytes)?;
    let covered = index.begin(identity)?;
    let covered = index_entries(&index, identity, store, covered, size)?;
    Ok(UpToDate {
        index,
        covered,
        is_rebuilt: was_there,
    })
}

/// Indexes the entries from what is covered up to `size`.
fn index_entries(
    index: &Index,
    identity: Identity,
    store: &Store,
    mut covered: Covered,
    size: u64,
) -> Result<Covered, OpenError> {
    let mut batch = Vec::new();
    for sequence in covered.entries..size {
        batch.push(entry(store, sequence)?);
        if batch.len() == BATCH_ENTRIES_MAX || sequence + 1 == size {
            let known: Vec<_> = batch.iter().map(|entry| known(entry)).collect();
            let indexed = batch.iter().zip(&known).map(|(entry, known)| Indexed {
                delivery: known
                    .as_ref()
                    .map(|(identification, known)| (identification, *known)),
                leaf: &entry.leaf,
                binds_key: true,
            });
            covered = index.apply(indexed, covered, identity)?;
            batch.clear();
        }
    }
    Ok(covered)
}

fn entry(store: &Store, sequence: u64) -> Result<Arc<Entry>, OpenError> {
    let missing = || OpenError::EntriesMissing {
        missing: iter::once(sequence..sequence + 1).collect(),
    };
    let bytes = store.record(sequence)?.ok_or_else(missing)?;
    let record = Record::parse(&bytes).ok_or_else(missing)?;
    record
        .entry()
        .map_err(|cause| OpenError::Leaf { sequence, cause })
}

/// Returns by what the delivery of an entry is known again.
fn known(entry: &Entry) -> Option<(Identification, Known)> {
    let facts = facts_digest(&entry.leaf.fact);
    let identification = Identification::of(&entry.leaf.fact);
    let identification = match &entry.leaf.fact {
        Fact::Override(fact) => Identification::of_request(&fact.request.as_ref()?.key),
        Fact::Conflict(_) => identification.of_conflict(&facts),
        Fact::Event(_) | Fact::Unreadable(_) => identification,
        Fact::Erasure(_)
        | Fact::ErasureDone(_)
        | Fact::Hold(_)
        | Fact::Release(_)
        | Fact::Configuration(_)
        | Fact::Access(_) => return None,
    };
    let sequence = entry.leaf.sequence;
    Some((identification, Known { sequence, facts }))
}
