//! The projector: one thread that folds what the log commits, and only then answers.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, SendError, Sender, unbounded};
use state_machine::id::{SequenceNumber, World};
use tokio::sync::watch;

use super::cache::UserCache;
use super::policy::PolicyInForce;
use crate::log::{Log, panic_guard};
use crate::projections::bulk::FoldError;
use crate::projections::bulk::watch::Watch;
use crate::projections::catch_up::catch_up;
use crate::projections::live::Live;
use crate::projections::rebuild::{fold_shadow, is_far_behind};

/// How long a failed fold waits for the next try.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// An event is durable, but the projections could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event is durable, but not in the projections yet")]
pub struct NotFolded;

type Reply = Box<dyn FnOnce(Result<(), NotFolded>) + Send>;

/// What is done while nothing is folded.
type Work = Box<dyn FnOnce() + Send>;

/// What the thread is asked for.
enum Wish {
    Wait(Waiting),
    Do(Work),
}

/// An answer that waits until an entry is folded.
struct Waiting {
    sequence: SequenceNumber,
    reply: Reply,
}

/// The thread, and what it publishes. Dropping it answers what waits, then ends the thread.
pub(super) struct Projector {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
    progress: watch::Receiver<Progress>,
    /// The fold of a whole log at start-up, for which nobody need wait who wants the service to end.
    start_up: Arc<Watch>,
}

/// How far the projector has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// The first entry that is not folded; `None` until start-up has caught up.
    pub cursor: Option<SequenceNumber>,
    /// Whether the last try to fold failed; the next delivery tries again.
    pub is_failing: bool,
}

impl Progress {
    /// Returns whether an entry is in the projections.
    pub fn has_folded(self, sequence: SequenceNumber) -> bool {
        self.cursor.is_some_and(|cursor| cursor > sequence)
    }
}

/// A way to wait for the projector. Bounded by the deliveries in flight, each of which waits for one entry.
#[derive(Clone)]
pub(super) struct Handle {
    sender: Option<Arc<Sender<Wish>>>, // `None` once the projector is being dropped
}

impl Handle {
    /// Calls `reply` once the entry is in the projections, or once folding it has failed.
    pub(super) fn when_folded(
        &self,
        sequence: SequenceNumber,
        reply: impl FnOnce(Result<(), NotFolded>) + Send + 'static,
    ) {
        let waiting = Waiting {
            sequence,
            reply: Box::new(reply),
        };
        let unsent = match &self.sender {
            Some(sender) => sender.send(Wish::Wait(waiting)).err(),
            None => Some(SendError(Wish::Wait(waiting))),
        };
        if let Some(SendError(Wish::Wait(unsent))) = unsent {
            (unsent.reply)(Err(NotFolded));
        }
    }

    /// Does something on the projector's thread, while nothing is folded and whoever waits for that goes on waiting; and
    /// returns what it came to, or `None` if the thread has ended, or a bug has ended it. The thread outlives that.
    pub(super) fn between_folds<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (sender, done) = crossbeam_channel::bounded(1);
        let work = Box::new(move || match panic_guard::catch(work) {
            Ok(done) => drop(sender.send(done)),
            Err(bug) => tracing::error!(bug, "what was done between two folds ended with a bug"),
        });
        self.sender.as_ref()?.send(Wish::Do(work)).ok()?;
        done.recv().ok()
    }
}

impl Projector {
    /// Starts the thread, which catches up first.
    pub(super) fn start(
        log: Arc<Log>,
        projections: Arc<Live>,
        users: Arc<UserCache>,
        policy: Arc<PolicyInForce>,
    ) -> io::Result<Self> {
        let (sender, receiver) = unbounded();
        let (publish, progress) = watch::channel(Progress::default());
        let start_up = Arc::new(Watch::default());
        let watched = Arc::clone(&start_up);
        let sender = Arc::new(sender);
        // Nobody waits for it, and nobody is to see an erasure as due that is done. It keeps no thread from ending.
        let weak = Arc::downgrade(&sender);
        log.when_erased(move |done| {
            let handle = Handle {
                sender: weak.upgrade(),
            };
            handle.when_folded(done, drop);
        });
        let thread = thread::Builder::new()
            .name("projector".into())
            .spawn(move || {
                let fold = || fold(&log, &projections, &users, &watched);
                run_guarded(&receiver, &publish, || {
                    let folded = fold()?;
                    if policy.record(&log, &projections.view()) {
                        return fold();
                    }
                    Ok(folded)
                });
            })?;
        Ok(Self {
            handle: Handle {
                sender: Some(sender),
            },
            thread: Some(thread),
            progress,
            start_up,
        })
    }

    /// Returns a way to wait for the projector.
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Returns whether start-up has caught up with the log.
    pub(super) fn is_caught_up(&self) -> bool {
        self.progress.borrow().cursor.is_some()
    }

    /// Returns a receiver of how far the projector has come.
    pub(super) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        // The thread ends when nobody can wait for it any more: the log still answers what it has accepted.
        self.handle.sender = None;
        self.start_up.cancel();
        if let Some(thread) = self.thread.take() {
            // Its panics are caught and reported by the thread itself.
            thread.join().ok();
        }
    }
}

/// Folds what the log has beyond the live projections: by catching up or, where that is the longer way, by folding all of it
/// into a shadow, as a rebuild does.
fn fold(
    log: &Log,
    live: &Live,
    users: &UserCache,
    watch: &Watch,
) -> Result<SequenceNumber, FoldError> {
    if is_far_behind(live.store().cursor()?.next, log) {
        let shadow = fold_shadow(live, log, watch)?;
        live.replace(&shadow)?;
        users.forget_all();
    }
    let forget = |world: &World, tag| users.forget(&(world.clone(), tag));
    Ok(catch_up(
        &live.store(),
        |next| log.entries_from(next),
        forget,
    )?)
}

/// Runs until nobody can wait any more. A bug ends it early, and must not look like health: deliveries are refused from
/// then on, and what is folded stays behind.
fn run_guarded(
    waiting: &Receiver<Wish>,
    publish: &watch::Sender<Progress>,
    catch_up: impl Fn() -> Result<SequenceNumber, FoldError>,
) {
    let run = AssertUnwindSafe(|| run(waiting, publish, catch_up));
    if panic::catch_unwind(run).is_err() {
        publish.send_modify(|progress| progress.is_failing = true);
        tracing::error!("the projector ended with a bug: nothing is folded until a restart");
    }
}

fn run(
    waiting: &Receiver<Wish>,
    publish: &watch::Sender<Progress>,
    catch_up: impl Fn() -> Result<SequenceNumber, FoldError>,
) {
    let fold = || {
        let folded = catch_up();
        publish.send_modify(|progress| {
            progress.is_failing = folded.is_err();
            progress.cursor = folded.as_ref().ok().copied().or(progress.cursor);
        });
        folded.map_err(|error| report(&error))
    };
    let mut folded = fold();
    loop {
        let first = match waiting.recv_timeout(RETRY_EVERY) {
            Ok(first) => Some(first),
            // What nobody waits for is folded too: what failed, if a balancer obeys `/readyz` and nobody asks any more;
            // and what the log states by itself.
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let (mut batch, mut work) = (Vec::new(), Vec::new());
        for wish in first.into_iter().chain(waiting.try_iter()) {
            match wish {
                Wish::Wait(one) => batch.push(one),
                Wish::Do(one) => work.push(one),
            }
        }
        let is_there = |cursor| batch.iter().all(|one| one.sequence < cursor);
        if batch.is_empty() || !folded.is_ok_and(is_there) {
            folded = fold();
        }
        for Waiting { reply, .. } in batch {
            reply(folded.map(|_| ()));
        }
        if !work.is_empty() {
            for one in work {
                one();
            }
            // Another store may stand further than the one that it replaced.
            folded = fold();
        }
    }
}

fn report(error: &FoldError) -> NotFolded {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, "the projections stay behind the log");
    NotFolded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_in_the_fold_is_published_as_a_failure() {
        let (_sender, receiver) = unbounded();
        let (publish, progress) = watch::channel(Progress::default());

        run_guarded(&receiver, &publish, || panic!("a bug"));

        assert!(progress.borrow().is_failing);
    }

    #[test]
    fn a_bug_between_two_folds_ends_neither_the_thread_nor_what_comes_after() {
        let (sender, receiver) = unbounded();
        let (publish, progress) = watch::channel(Progress::default());
        let handle = Handle {
            sender: Some(Arc::new(sender)),
        };
        let thread = thread::spawn(move || {
            run_guarded(&receiver, &publish, || Ok(SequenceNumber(7)));
        });

        let broken: Option<()> = handle.between_folds(|| panic!("a bug"));
        let next = handle.between_folds(|| 1);
        drop(handle);
        thread.join().unwrap();

        assert_eq!((broken, next), (None, Some(1)));
        assert!(!progress.borrow().is_failing);
    }
}
