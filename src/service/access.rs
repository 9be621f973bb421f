//! The access record: entries that say who has had to do with personal data, and with what is kept.

use std::sync::Arc;

use state_machine::time::ReceivedAt;

use super::Service;
use super::recent_accesses::{Need, NotRecorded};
use crate::log::Words;
use crate::log::access::AccessFact;

impl Service {
    /// Records an access. `reply` is called once: when its entry is durable, or cannot be. It may be called on another
    /// thread, and must not block.
    pub fn record_access(
        &self,
        access: AccessFact,
        words: &Words,
        reply: impl FnOnce(Result<(), NotRecorded>) + Send + 'static,
    ) {
        let prepared = match self.log.prepare_access(access, words) {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::error!(%error, "an access could not be sealed");
                return reply(Err(NotRecorded::Seal));
            }
        };
        let projector = self.projector.handle();
        self.log.append(prepared, move |appended| {
            // Nobody waits until it is folded; the cursor is not to stay behind for that.
            if let Ok(appended) = &appended {
                projector.when_folded(appended.sequence, drop);
            }
            reply(appended.map(drop).map_err(NotRecorded::from));
        });
    }

    /// Records a read of personal data that begins at `now`, unless an entry of the last minute stands for it. What is read
    /// may be told once `reply` is called: as [`Self::record_access`] does.
    pub fn record_read(
        &self,
        access: AccessFact,
        words: &Words,
        now: ReceivedAt,
        reply: impl FnOnce(Result<(), NotRecorded>) + Send + 'static,
    ) {
        match self.recent_accesses.begin(access, now, Box::new(reply)) {
            Need::Nothing => {}
            Need::Entry(access) => {
                let recent = Arc::clone(&self.recent_accesses);
                let entry = access.clone();
                self.record_access(access, words, move |recorded| {
                    recent.settle(&entry, &recorded);
                });
            }
        }
    }
}
