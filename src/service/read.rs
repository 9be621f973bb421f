//! Reading: what every question shares, and the list of anomalies.

use state_machine::id::{SequenceNumber, World};

use super::Service;
use crate::projections::listing::ListedAnomaly;
use crate::projections::store::StoreError;
use crate::projections::view::{Position, View};

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Start-up has not caught up with the log.
    #[error("the projections are catching up with the log")]
    NotReady,
    /// The position of a page names nothing that is known.
    #[error("the position of the page names nothing that is known")]
    PositionUnknown,
    /// The projections could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The items, in the order of the list.
    pub items: Vec<T>,
    /// Whether more follow in the direction of reading.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// Makes a page of items read in order of nearness, of which one more than `limit` tells that more follow.
    pub(super) fn of(mut items: Vec<T>, limit: usize, is_backwards: bool) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        if is_backwards {
            items.reverse();
        }
        Self { items, has_more }
    }
}

impl Service {
    /// Returns a page of anomalies, the latest entry first: those of the world, and those of entries of no world.
    pub fn anomalies(
        &self,
        world: &World,
        position: Option<Position<(SequenceNumber, String)>>,
        limit: usize,
    ) -> Result<Page<ListedAnomaly>, ReadError> {
        let is_backwards = matches!(position, Some(Position::Before(_)));
        let anomalies = self
            .view()?
            .anomalies(world, position, limit.saturating_add(1))?;
        Ok(Page::of(anomalies, limit, is_backwards))
    }

    /// Returns the projections as they stand, once start-up has caught up.
    pub(super) fn view(&self) -> Result<View, ReadError> {
        self.ready()?;
        Ok(self.projections.view())
    }

    /// Blocks until start-up has caught up with the log, or cannot.
    pub fn wait_until_caught_up(&self) {
        let (sender, caught_up) = crossbeam_channel::bounded(1);
        // The projector answers nobody before its first fold.
        self.projector
            .handle()
            .when_folded(SequenceNumber(0), move |folded| {
                sender.send(folded).ok();
            });
        caught_up.recv().ok();
    }

    /// Refuses to answer before start-up has caught up.
    pub(super) fn ready(&self) -> Result<(), ReadError> {
        if self.projector.is_caught_up() {
            Ok(())
        } else {
            Err(ReadError::NotReady)
        }
    }
}
