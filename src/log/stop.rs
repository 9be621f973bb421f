//! Why writing has stopped. Once set, it stays until the log is opened again: after a failed sync nobody
//! knows what the disk holds, and the kernel reports the failure only once.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// Set at the first failure.
#[derive(Default)]
pub(super) struct Stop(OnceLock<Arc<str>>);

impl Stop {
    pub(super) fn reason(&self) -> Option<Arc<str>> {
        self.0.get().cloned()
    }

    /// Stops writing for `cause`, unless it has stopped before; returns why it stopped first.
    pub(super) fn set(&self, cause: &impl fmt::Display) -> Arc<str> {
        let reason = self.0.get_or_init(|| {
            // The one place that tells it: every delivery that is refused from here on has the same reason.
            tracing::error!(%cause, "writing has stopped until restart");
            cause.to_string().into()
        });
        Arc::clone(reason)
    }
}
