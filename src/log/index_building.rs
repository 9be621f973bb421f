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

/// Opens the index and brings it up to `size`. Builds it anew if it is missing, damaged, or claims more than
/// there is.
pub(super) fn bring_up(
    directory: &Path,
    identity: Identity,
    cache_bytes: u64,
    store: &Store,
    size: u64,
) -> Result<UpToDate, OpenError> {
    let opened = Index::open(directory, identity, cache_bytes);
    let usable = opened
        .ok()
        .filter(|(_, covered)| covered.entries <= size && (covered.entries > 0 || size == 0));
    let is_rebuilt = usable.is_none();
    let (index, mut covered) = if let Some(usable) = usable {
        usable
    } else {
        Index::delete(directory)?;
        Index::open(directory, identity, cache_bytes)?
    };
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
    Ok(UpToDate {
        index,
        covered,
        is_rebuilt,
    })
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
