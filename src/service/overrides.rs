//! Overrides: what an operator decides about a user, known or not yet.

use state_machine::id::{OverrideId, SequenceNumber, UserTag, World};
use state_machine::overrides::Override;
use state_machine::time::Timestamp;

use super::Service;
use super::projector::NotFolded;
use super::read::{Page, ReadError};
use super::words::{self, WordsError};
use crate::log::{AppendError, PrepareError, Prepared, WantedOverride, Words};
use crate::projections::view::Position;

/// Why an override was not made. Nothing of it is on disk, unless the answer alone was lost.
#[derive(Debug, thiserror::Error)]
pub enum OverrideError {
    /// Nobody says who wants it and why, or at too great length.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// It could not be sealed.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// It is durable, but not folded.
    #[error(transparent)]
    NotFolded(#[from] NotFolded),
}

/// An override that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeOverride {
    /// The entry that holds it.
    pub sequence: SequenceNumber,
    /// Whether the same request had made it before.
    pub is_repeated: bool,
}

impl Service {
    /// Makes an override at `now`, unless the same request has made it before. `reply` is called once: when it is durable
    /// and folded. It may be called on another thread, and must not block.
    pub fn make_override(
        &self,
        wanted: &WantedOverride,
        words: &Words,
        now: Timestamp,
        reply: impl FnOnce(Result<MadeOverride, OverrideError>) + Send + 'static,
    ) {
        let prepared = match self.prepare_override(wanted, words, now) {
            Ok(prepared) => prepared,
            Err(error) => return reply(Err(error)),
        };
        let projector = self.projector.handle();
        self.log.append(prepared, move |appended| match appended {
            Ok(appended) => projector.when_folded(appended.sequence, move |folded| {
                let made = MadeOverride {
                    sequence: appended.sequence,
                    is_repeated: appended.duplicate,
                };
                reply(folded.map(|()| made).map_err(OverrideError::from));
            }),
            Err(error) => reply(Err(error.into())),
        });
    }

    fn prepare_override(
        &self,
        wanted: &WantedOverride,
        words: &Words,
        now: Timestamp,
    ) -> Result<Prepared, OverrideError> {
        words::check(words)?;
        let prepared = self.log.prepare_override(wanted, words)?;
        if wanted.expires.is_none_or(|expires| now < expires) {
            return Ok(prepared);
        }
        // Only the sequencer knows of a request that was written just now, or still waits before this one.
        Ok(prepared.only_as_repeat()?)
    }

    /// Returns the override that an entry holds.
    pub fn override_at(&self, sequence: SequenceNumber) -> Option<Override> {
        self.log.entry(sequence).ok()??.leaf.made()
    }

    /// Returns a page of a user's overrides, the latest first, or `None` if nothing names the user.
    pub fn overrides_of_user(
        &self,
        world: &World,
        tag: UserTag,
        position: Option<&Position<OverrideId>>,
        limit: usize,
    ) -> Result<Option<Page<Override>>, ReadError> {
        let view = self.view()?;
        if !view.knows_user(world, tag)? {
            return Ok(None);
        }
        let mut overrides = view.recorded_user(world, tag)?.overrides;
        overrides.reverse();
        let place = |id: &OverrideId| {
            let place = overrides.iter().position(|made| made.id == *id);
            place.ok_or(ReadError::PositionUnknown)
        };
        let (page, is_backwards): (Vec<_>, _) = match position {
            None => (overrides.iter().collect(), false),
            Some(Position::After(id)) => {
                let before = place(id)?.saturating_add(1);
                (overrides.iter().skip(before).collect(), false)
            }
            Some(Position::Before(id)) => {
                let count = place(id)?;
                (overrides.iter().take(count).rev().collect(), true)
            }
        };
        let page = page.into_iter().take(limit.saturating_add(1)).cloned();
        Ok(Some(Page::of(page.collect(), limit, is_backwards)))
    }
}
