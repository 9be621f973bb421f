//! The live projections: the store that is read and written now, in a slot that another one can take.
//!
//! Whoever reads holds the store that it began with, and ends there. A store that was replaced is closed and removed
//! when the last reader lets go of it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::generations::Generations;
use super::store::{Projections, StartedAfresh, StoreError};
use super::view::View;
use crate::log::Log;
use crate::log::panic_guard;

/// The projections of a log.
pub struct Live {
    generations: Generations,
    cache_bytes: u64,
    store: RwLock<Arc<Projections>>,
    is_closing: AtomicBool,
}

impl Live {
    /// Opens the projections of a log, or starts them afresh and says why.
    pub fn open(
        directory: &Path,
        cache_bytes: u64,
        log: &Log,
    ) -> Result<(Self, Option<StartedAfresh>), StoreError> {
        let generations = Generations::of(directory);
        let kept = match generations.current()? {
            Some(path) => open_kept(&path, cache_bytes, log),
            // What lies there without a pointer was written before there were generations.
            None if generations.is_used()? => Err(StartedAfresh::OtherReducer),
            None => {
                let store = begin(&generations, cache_bytes)?;
                return Self::of(generations, cache_bytes, store).map(|live| (live, None));
            }
        };
        match kept {
            Ok(store) => Self::of(generations, cache_bytes, store).map(|live| (live, None)),
            Err(reason) => {
                let store = begin(&generations, cache_bytes)?;
                let live = Self::of(generations, cache_bytes, store)?;
                Ok((live, Some(reason)))
            }
        }
    }

    fn of(
        generations: Generations,
        cache_bytes: u64,
        store: Arc<Projections>,
    ) -> Result<Self, StoreError> {
        generations.remove_leftovers()?;
        Ok(Self {
            generations,
            cache_bytes,
            store: RwLock::new(store),
            is_closing: AtomicBool::new(false),
        })
    }

    /// Returns the store that is live now.
    pub fn store(&self) -> Arc<Projections> {
        Arc::clone(&self.store.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a view in which nothing moves while it is read.
    pub fn view(&self) -> View {
        self.store().view()
    }

    /// Makes a store beside the live one, in which nothing is folded. It is removed when it is dropped, unless it has
    /// become the live one.
    pub fn shadow(&self) -> Result<Arc<Projections>, StoreError> {
        let shadow = Projections::create(&self.generations.begin()?, self.cache_bytes)?;
        shadow.retire();
        Ok(shadow)
    }

    /// Notes durably that everything is to be folded anew, so that the wish outlives the process; by which id.
    pub fn note_wish(&self, id: &str) -> Result<(), StoreError> {
        Ok(self.generations.note_wish(id)?)
    }

    /// Returns the id of what was wanted, and did not come to its end.
    pub fn wish(&self) -> Result<Option<String>, StoreError> {
        Ok(self.generations.wish()?)
    }

    /// Notes that nothing is wanted any more.
    pub fn forget_wish(&self) -> Result<(), StoreError> {
        Ok(self.generations.forget_wish()?)
    }

    /// Notes that the service ends: what is ended with it is still wanted.
    pub fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    /// Tells whether the service ends.
    pub fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }

    /// Makes a shadow the live store. If we stop before the pointer has moved, the next start opens the store that was
    /// live until here; and if after, the shadow.
    pub fn replace(&self, shadow: &Arc<Projections>) -> Result<(), StoreError> {
        shadow.make_durable()?;
        shadow.keep();
        if let Err(error) = self.generations.point_to(shadow.path()) {
            shadow.retire();
            return Err(error.into());
        }
        let mut slot = self.store.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *slot, Arc::clone(shadow));
        drop(slot);
        before.retire();
        Ok(())
    }
}

/// Opens the generation that counts, unless there is a reason not to believe it.
fn open_kept(path: &Path, cache_bytes: u64, log: &Log) -> Result<Arc<Projections>, StartedAfresh> {
    if !path.is_dir() {
        return Err(StartedAfresh::Unopenable);
    }
    // The store answers some damaged files with a panic.
    let opened = panic_guard::catch(|| {
        let store = Projections::open_as_is(path, cache_bytes)?;
        let reason = store.reason_to_start_afresh(log)?;
        Ok::<_, StoreError>((store, reason))
    });
    match opened {
        Ok(Ok((store, None))) => Ok(store),
        Ok(Ok((_, Some(reason)))) => Err(reason),
        Ok(Err(_)) | Err(_) => Err(StartedAfresh::Unopenable),
    }
}

/// Makes an empty store the one that counts.
fn begin(generations: &Generations, cache_bytes: u64) -> Result<Arc<Projections>, StoreError> {
    let path = generations.begin()?;
    let store = Projections::create(&path, cache_bytes)?;
    generations.point_to(&path).inspect_err(|_| {
        drop(fs::remove_dir_all(&path));
    })?;
    Ok(store)
}
