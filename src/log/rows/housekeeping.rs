//! Housekeeping: the two threads of a database, of which one writes tables and the other merges them, so that whoever
//! writes rows need not wait.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use lsm_tree::AbstractTree;
use lsm_tree::compaction::Leveled;

use super::super::panic_guard;
use super::database::Shared;

/// How far each thread steps back, as `nice` counts, for whoever waits for an answer. The writer has as long as the next
/// memory takes to be full; to merge tables has time until there are very many.
const WRITER_STEPS_BACK: i32 = 5;
const MERGER_STEPS_BACK: i32 = 10;

/// What wakes the threads, and what ends them.
pub(super) struct Wakes {
    flushes: Receiver<()>,
    compactions: Receiver<()>,
}

/// Wakes a thread, unless it has been woken already.
pub(super) fn wake(thread: &Sender<()>) {
    let _is_first = thread.try_send(()).is_ok();
}

/// Returns what wakes the writer of tables, what wakes their merger, and the other ends of both.
pub(super) fn wakes() -> (Sender<()>, Sender<()>, Wakes) {
    // To be woken twice is to be woken once.
    let (flushes, flushes_wanted) = bounded(1);
    let (compactions, compactions_wanted) = bounded(1);
    let wakes = Wakes {
        flushes: flushes_wanted,
        compactions: compactions_wanted,
    };
    (flushes, compactions, wakes)
}

/// The running threads.
#[derive(Default)]
pub(super) struct Housekeeping(Vec<JoinHandle<()>>);

impl Housekeeping {
    pub(super) fn start(&mut self, shared: &Arc<Shared>, wakes: Wakes) -> io::Result<()> {
        let writer = ("rows-writer", WRITER_STEPS_BACK);
        self.spawn(writer, shared, wakes.flushes, write_tables)?;
        let merger = ("rows-merger", MERGER_STEPS_BACK);
        self.spawn(merger, shared, wakes.compactions, merge_tables)
    }

    fn spawn(
        &mut self,
        (name, steps_back): (&str, i32),
        shared: &Arc<Shared>,
        wakes: Receiver<()>,
        work: fn(&Shared),
    ) -> io::Result<()> {
        let shared = Arc::clone(shared);
        let run = move || {
            // Where that is refused, the work is done all the same.
            rustix::process::nice(steps_back).ok();
            while wakes.recv().is_ok() && !shared.is_closing() {
                work(&shared);
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run)?;
        self.0.push(thread);
        Ok(())
    }

    /// Waits for the threads of a database that is closing and has woken them.
    pub(super) fn end(&mut self) {
        for thread in self.0.drain(..) {
            // One that panicked has nothing left to say here; its panic was printed.
            drop(thread.join());
        }
    }
}

/// Writes the full memories as one table.
fn write_tables(shared: &Shared) {
    let written = guarded(shared, || shared.write_table());
    if let Err(error) = &written {
        tracing::error!(%error, "a table of derived rows could not be written; it is tried again");
    }
    shared.note(written);
    shared.memories.free();
    shared.want_merging();
}

/// Merges tables until they need it no more.
fn merge_tables(shared: &Shared) {
    let strategy = Arc::new(Leveled::default());
    loop {
        let before = shape(shared);
        let compact = || {
            let unseen_below = shared.unseen_below();
            shared.tree.compact(strategy.clone(), unseen_below)
        };
        let merged = guarded(shared, compact);
        if let Err(error) = &merged {
            tracing::error!(%error, "tables of derived rows could not be merged; it is tried again");
        }
        let has_failed = merged.is_err();
        shared.note(merged);
        shared.memories.free();
        if has_failed || shared.is_closing() || shape(shared) == before {
            return;
        }
    }
}

/// Returns how many tables there are in each level.
fn shape(shared: &Shared) -> Vec<usize> {
    (0..)
        .map_while(|level| shared.tree.level_table_count(level))
        .chain([shared.tree.l0_run_count()])
        .collect()
}

/// The tree answers some damaged files with a panic, behind which it may be in no state to go on.
pub(super) fn guarded(
    shared: &Shared,
    work: impl FnOnce() -> lsm_tree::Result<()>,
) -> lsm_tree::Result<()> {
    panic_guard::catch(work).unwrap_or_else(|panic| Err(shared.note_bug(panic)))
}
