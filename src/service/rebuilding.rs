//! Rebuilding: what one rebuild does, on its own thread, from the fold to the swap.

use std::sync::Arc;

use state_machine::time::ReceivedAt;

use super::cache::UserCache;
use super::projector::Handle;
use super::rebuilds::Wanted;
use crate::log::{Log, Options, Random, panic_guard};
use crate::projections::bulk::FoldError;
use crate::projections::bulk::watch::Watch;
use crate::projections::catch_up::catch_up;
use crate::projections::comparison::{Comparison, compare};
use crate::projections::live::Live;
use crate::projections::part::{FoldedPart, fold_part};
use crate::projections::rebuild::{fold_shadow, fold_up_to};
use crate::projections::store::Projections;
use crate::projections::view::View;

/// What a rebuild works with.
pub(super) struct Tools {
    pub(super) log: Arc<Log>,
    pub(super) live: Arc<Live>,
    pub(super) users: Arc<UserCache>,
    pub(super) projector: Handle,
    pub(super) random: Random,
    pub(super) clock: fn() -> ReceivedAt,
}

impl Tools {
    pub(super) fn new(
        log: &Arc<Log>,
        live: &Arc<Live>,
        users: &Arc<UserCache>,
        projector: Handle,
        options: &Options,
    ) -> Self {
        Self {
            log: Arc::clone(log),
            live: Arc::clone(live),
            users: Arc::clone(users),
            projector,
            random: options.random,
            clock: options.clock,
        }
    }

    /// Notes that nothing is wanted any more.
    pub(super) fn forget_wish(&self) {
        if let Err(error) = self.live.forget_wish() {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%error, cause, "the next start rebuilds once more");
        }
    }
}

/// Folds what is wanted anew, compares it with what is served and, unless that is all that is wanted, has it served.
/// A bug is a failure like others: the next one can be begun.
pub(super) fn run(
    tools: &Arc<Tools>,
    wanted: &Wanted,
    watch: &Watch,
    comparing: impl Fn(),
) -> Result<Comparison, FoldError> {
    guarded(|| run_unguarded(tools, wanted, watch, comparing))
}

fn guarded<T>(work: impl FnOnce() -> Result<T, FoldError>) -> Result<T, FoldError> {
    panic_guard::catch(work).unwrap_or_else(|bug| Err(FoldError::Bug(bug)))
}

fn run_unguarded(
    tools: &Arc<Tools>,
    wanted: &Wanted,
    watch: &Watch,
    comparing: impl Fn(),
) -> Result<Comparison, FoldError> {
    let Tools { log, live, .. } = &**tools;
    if let Some(part) = &wanted.part {
        watch.lower_priority();
        let folded = fold_part(log, &live.view(), part, watch)?;
        comparing();
        return mend(tools, folded, wanted.dry_run);
    }
    let shadow = fold_shadow(live, log, watch)?;
    comparing();
    let (before, after) = views(tools, &shadow)?;
    let comparison = compare(&before, &after, watch)?;
    drop((before, after));
    if watch.is_cancelled() {
        return Err(FoldError::Cancelled);
    }
    if !wanted.dry_run {
        swap(tools, shadow)?;
    }
    Ok(comparison)
}

/// Returns views of both stores at one sequence number.
fn views(tools: &Arc<Tools>, shadow: &Arc<Projections>) -> Result<(View, View), FoldError> {
    let (inside, shadow) = (Arc::clone(tools), Arc::clone(shadow));
    let views = tools.projector.between_folds(move || {
        let Tools { log, live, .. } = &*inside;
        catch_up_live(&inside)?;
        let before = live.view();
        fold_up_to(&shadow, log, before.cursor()?.next)?;
        Ok((before, shadow.view()))
    });
    views.ok_or(FoldError::Thread)?
}

/// Has the shadow served. Between two folds, so that it stands nowhere behind what it replaces.
fn swap(tools: &Arc<Tools>, shadow: Arc<Projections>) -> Result<(), FoldError> {
    let inside = Arc::clone(tools);
    let swapped = tools.projector.between_folds(move || {
        let Tools {
            log, live, users, ..
        } = &*inside;
        catch_up(&shadow, |next| log.entries_from(next), |_, _| {})?;
        live.replace(&shadow)?;
        users.forget_all();
        Ok(())
    });
    swapped.ok_or(FoldError::Thread)?
}

/// Puts a part in the place of what is stored.
fn mend(tools: &Arc<Tools>, part: FoldedPart, is_dry_run: bool) -> Result<Comparison, FoldError> {
    let inside = Arc::clone(tools);
    let mended = tools.projector.between_folds(move || {
        let Tools {
            log, live, users, ..
        } = &*inside;
        catch_up_live(&inside)?;
        let (comparison, changed) = part.put(log, &live.store(), is_dry_run)?;
        for user in &changed {
            users.forget(user);
        }
        Ok(comparison)
    });
    mended.ok_or(FoldError::Thread)?
}

fn catch_up_live(tools: &Tools) -> Result<(), FoldError> {
    let Tools {
        log, live, users, ..
    } = tools;
    let entries = |next| log.entries_from(next);
    catch_up(&live.store(), entries, |world, tag| {
        users.forget(&(world.clone(), tag));
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_is_a_failure_that_says_what_it_was() {
        let failed: Result<(), _> = guarded(|| panic!("a bug"));

        assert_eq!(
            failed.unwrap_err().to_string(),
            "it ended with a bug: a bug"
        );
    }
}
