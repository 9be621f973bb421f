//! Rebuilds: folding the log anew while the service goes on, one at a time. What they are, and the list of them.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use state_machine::time::ReceivedAt;

use super::Service;
use super::rebuilding::{self, Tools};
use crate::log::RandomError;
use crate::projections::bulk::FoldError;
use crate::projections::bulk::watch::{Priority, Watch};
use crate::projections::comparison::Comparison;
use crate::projections::part::Part;
use crate::projections::store::StoreError;

/// How many are remembered.
const KEPT_MAX: usize = 100;

/// What is to be folded anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Only this, if not everything.
    pub part: Option<Part>,
    /// Whether it is only to be said what would change.
    pub dry_run: bool,
}

impl Wanted {
    /// Tells whether the wish outlives the process.
    fn is_noted(&self) -> bool {
        self.part.is_none() && !self.dry_run
    }
}

/// A rebuild, as it stands.
#[derive(Debug, Clone)]
pub struct Rebuild {
    /// Its own id.
    pub id: String,
    /// What it folds.
    pub wanted: Wanted,
    /// Whether a process that ended had begun it.
    pub is_resumed: bool,
    /// When it began.
    pub began_at: ReceivedAt,
    /// When it ended.
    pub ended_at: Option<ReceivedAt>,
    /// How far it has come.
    pub state: State,
    /// How many entries are folded, and how many there are.
    pub progress: (u64, u64),
}

/// How far a rebuild has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It folds the log.
    Folding,
    /// It compares what it folded with what is there.
    Comparing,
    /// It has ended.
    Done(Arc<Comparison>),
    /// Somebody wanted it to end.
    Cancelled,
    /// It could not go on.
    Failed(String),
}

impl State {
    /// Tells whether it goes on.
    pub fn is_running(&self) -> bool {
        match self {
            Self::Folding | Self::Comparing => true,
            Self::Done(_) | Self::Cancelled | Self::Failed(_) => false,
        }
    }
}

/// Why a rebuild was not begun.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// Another one runs.
    #[error("the rebuild {0} is running; there is one at a time")]
    Running(String),
    /// Start-up has not caught up with the log.
    #[error("the projections are catching up with the log")]
    NotReady,
    /// The wish could not be noted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No id could be made.
    #[error(transparent)]
    Random(#[from] RandomError),
    /// No thread could be started.
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// The rebuilds of a service. Dropping them ends the one that runs, whose wish stays noted.
pub(super) struct Rebuilds {
    tools: Arc<Tools>,
    known: Arc<Mutex<VecDeque<Known>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// A rebuild, and how to end it.
struct Known {
    rebuild: Rebuild,
    watch: Arc<Watch>,
}

impl Known {
    fn seen(&self) -> Rebuild {
        Rebuild {
            progress: self.watch.progress(),
            ..self.rebuild.clone()
        }
    }
}

impl Rebuilds {
    pub(super) fn new(tools: Tools) -> Self {
        Self {
            tools: Arc::new(tools),
            known: Arc::default(),
            thread: Mutex::default(),
        }
    }

    /// Begins anew what a process that ended had begun, if anything.
    pub(super) fn resume(&self) {
        let begun = match self.tools.live.wish() {
            Ok(None) => return,
            Ok(Some(id)) => {
                let wanted = Wanted {
                    part: None,
                    dry_run: false,
                };
                self.start(&id, wanted, Priority::Lowest, true).map(drop)
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = begun {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(%error, cause, "the rebuild that had been begun is not begun anew");
        }
    }

    fn begin(&self, wanted: Wanted, priority: Priority) -> Result<Rebuild, BeginError> {
        let mut random = [0; 8];
        (self.tools.random)(&mut random)?;
        let id = format!("rebuild_{}", hex::encode(random));
        let is_noted = wanted.is_noted();
        let begun = self.start(&id, wanted, priority, false);
        // What was refused is not to be done at the next start.
        if is_noted && let Err(BeginError::Store(_) | BeginError::Thread(_)) = &begun {
            self.tools.forget_wish();
        }
        begun
    }

    fn start(
        &self,
        id: &str,
        wanted: Wanted,
        priority: Priority,
        is_resumed: bool,
    ) -> Result<Rebuild, BeginError> {
        // Held until it is known, so that no second one begins.
        let mut known = lock(&self.known);
        let running = known.iter().find(|known| known.rebuild.state.is_running());
        if let Some(running) = running {
            return Err(BeginError::Running(running.rebuild.id.clone()));
        }
        if wanted.is_noted() {
            self.tools.live.note_wish(id)?;
        }
        let watch = Arc::new(Watch::new(priority));
        let begun = Known {
            rebuild: Rebuild {
                id: id.to_owned(),
                wanted: wanted.clone(),
                is_resumed,
                began_at: (self.tools.clock)(),
                ended_at: None,
                state: State::Folding,
                progress: (0, self.tools.log.size()),
            },
            watch: Arc::clone(&watch),
        };
        let (tools, all) = (Arc::clone(&self.tools), Arc::clone(&self.known));
        let own = id.to_owned();
        let run = move || {
            let comparing = || update(&all, &own, |rebuild| rebuild.state = State::Comparing);
            let ended = rebuilding::run(&tools, &wanted, &watch, comparing);
            conclude(&tools, &all, (&own, &wanted), ended);
        };
        let thread = thread::Builder::new().name("rebuild".into()).spawn(run);
        let thread = thread.map_err(BeginError::Thread)?;
        let seen = begun.rebuild.clone();
        known.push_back(begun);
        if known.len() > KEPT_MAX {
            known.pop_front();
        }
        drop(known);
        // The one before has ended, or is about to.
        let before = lock(&self.thread).replace(thread);
        drop(before.map(JoinHandle::join));
        Ok(seen)
    }
}

/// Notes how a rebuild has ended. One that was ended with the service stays wanted.
fn conclude(
    tools: &Tools,
    known: &Mutex<VecDeque<Known>>,
    (id, wanted): (&str, &Wanted),
    ended: Result<Comparison, FoldError>,
) {
    let state = match ended {
        Ok(comparison) => {
            tracing::info!(rebuild.id = id, differences = comparison.count, "rebuilt");
            State::Done(Arc::new(comparison))
        }
        Err(FoldError::Cancelled) => State::Cancelled,
        Err(error) => {
            let cause = error.source().map(ToString::to_string);
            tracing::error!(rebuild.id = id, %error, cause, "the rebuild has failed");
            State::Failed(error.to_string())
        }
    };
    let is_wanted = state == State::Cancelled && tools.live.is_closing();
    if wanted.is_noted() && !is_wanted {
        tools.forget_wish();
    }
    let ended_at = (tools.clock)();
    update(known, id, |rebuild| {
        rebuild.state = state;
        rebuild.ended_at = Some(ended_at);
    });
}

fn update(known: &Mutex<VecDeque<Known>>, id: &str, change: impl FnOnce(&mut Rebuild)) {
    let mut known = lock(known);
    if let Some(known) = known.iter_mut().find(|known| known.rebuild.id == id) {
        change(&mut known.rebuild);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nobody who holds it can panic half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Rebuilds {
    fn drop(&mut self) {
        self.tools.live.close();
        for known in &*lock(&self.known) {
            known.watch.cancel();
        }
        let thread = lock(&self.thread).take();
        drop(thread.map(JoinHandle::join));
    }
}

impl Service {
    /// Begins to fold the log anew beside what is served.
    pub fn begin_rebuild(&self, wanted: Wanted, priority: Priority) -> Result<Rebuild, BeginError> {
        if !self.projector.is_caught_up() {
            return Err(BeginError::NotReady);
        }
        self.rebuilds.begin(wanted, priority)
    }

    /// Returns the rebuilds that are remembered, the latest first.
    pub fn rebuilds(&self) -> Vec<Rebuild> {
        let known = lock(&self.rebuilds.known);
        known.iter().rev().map(Known::seen).collect()
    }

    /// Returns the rebuild of that id.
    pub fn rebuild(&self, id: &str) -> Option<Rebuild> {
        let known = lock(&self.rebuilds.known);
        let found = known.iter().find(|known| known.rebuild.id == id);
        found.map(Known::seen)
    }

    /// Wants a rebuild to end, and returns it; one that has ended stays as it is.
    pub fn cancel_rebuild(&self, id: &str) -> Option<Rebuild> {
        let known = lock(&self.rebuilds.known);
        let found = known.iter().find(|known| known.rebuild.id == id)?;
        found.watch.cancel();
        Some(found.seen())
    }
}
