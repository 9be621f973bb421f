//! Rebuilding: the log folded into a shadow beside the live store, and up to where the live store stands.

use std::sync::Arc;

use state_machine::id::SequenceNumber;

use super::bulk::watch::Watch;
use super::bulk::{self, FoldError, RUN_BYTES};
use super::catch_up::catch_up;
use super::live::Live;
use super::store::Projections;
use crate::log::Log;

/// How near to the end of the log a shadow comes by itself; the rest is folded while the live store waits.
const NEAR_ENTRIES: u64 = 512;
/// A store this far behind, and behind by more than a part of the log, is sooner folded anew than caught up.
const BEHIND_ENTRIES_MIN: u64 = 20_000;
const BEHIND_PART_MIN: u64 = 8;

/// Tells whether folding the whole log is the shorter way to its end.
pub fn is_far_behind(cursor: SequenceNumber, log: &Log) -> bool {
    let size = log.size();
    let behind = size.saturating_sub(cursor.0);
    behind >= BEHIND_ENTRIES_MIN && behind >= size / BEHIND_PART_MIN
}

/// Folds the log into a shadow, and then what has come meanwhile, until little is left.
pub fn fold_shadow(live: &Live, log: &Log, watch: &Watch) -> Result<Arc<Projections>, FoldError> {
    let shadow = live.shadow()?;
    // Not before: the threads of the shadow are those of the live store once it has taken its place, and would begin as
    // low as this one.
    watch.lower_priority();
    let mut cursor = bulk::fold(log, &shadow, watch, RUN_BYTES)?;
    while log.size().saturating_sub(cursor.0) > NEAR_ENTRIES {
        watch.check()?;
        cursor = catch_up(&shadow, |next| log.entries_from(next), |_, _| {})?;
    }
    Ok(shadow)
}

/// Folds what a shadow lacks up to an entry, which has to be little.
pub fn fold_up_to(
    shadow: &Arc<Projections>,
    log: &Log,
    end: SequenceNumber,
) -> Result<(), FoldError> {
    let entries = |next: SequenceNumber| {
        let left = usize::try_from(end.0.saturating_sub(next.0)).unwrap_or(usize::MAX);
        log.entries_from(next).take(left)
    };
    catch_up(shadow, entries, |_, _| {})?;
    Ok(())
}
