//! What a running server takes anew, on SIGHUP or when its files change: without a restart, and without a moment in
//! which neither the old nor the new is in force.
//!
//! Files are looked at, not listened to: that sees every way in which they are replaced, the links of mounted volumes
//! among them. What is new and cannot be used changes nothing, and is told once.

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::signal::HangUps;

/// How often files are looked at. A change is taken once it has been the same for so long: no half-written file is.
const INTERVAL: Duration = Duration::from_millis(250);

/// Something that can be taken anew.
pub(super) struct Part<'server> {
    /// What it is, in the plural.
    what: &'static str,
    files: Vec<PathBuf>,
    /// Takes it anew, and says what has changed, if anything has.
    take: Box<dyn FnMut() -> anyhow::Result<Option<String>> + 'server>,
    taken: Option<Vec<Stamp>>,
    noticed: Option<Vec<Stamp>>,
    trouble: Option<String>,
}

/// What tells one state of a file from another; `None` where there is no file.
type Stamp = Option<[i128; 7]>;

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some([
        file.dev().into(),
        file.ino().into(),
        file.size().into(),
        file.mtime().into(),
        file.mtime_nsec().into(),
        file.ctime().into(),
        file.ctime_nsec().into(),
    ])
}

impl<'server> Part<'server> {
    /// Returns what is read from these files, each looked at wherever its links lead.
    pub(super) fn new(
        what: &'static str,
        files: impl IntoIterator<Item = PathBuf>,
        take: impl FnMut() -> anyhow::Result<Option<String>> + 'server,
    ) -> Self {
        Self {
            what,
            files: files.into_iter().collect(),
            take: Box::new(take),
            taken: None,
            noticed: None,
            trouble: None,
        }
    }

    /// Takes it anew if its files have changed, or if that is asked for.
    fn look(&mut self, asked: bool) {
        let found: Vec<Stamp> = self.files.iter().map(|path| stamp(path)).collect();
        let is_settled = self.noticed.as_ref() == Some(&found);
        // The first look is like a question: the files may have changed since the configuration was read.
        let is_due = self.taken.is_none() || (self.taken.as_ref() != Some(&found) && is_settled);
        if asked || is_due {
            self.taken = Some(found.clone());
            self.take();
        }
        self.noticed = Some(found);
    }

    fn take(&mut self) {
        let what = self.what;
        match (self.take)() {
            Ok(changed) => {
                if self.trouble.take().is_some() {
                    tracing::info!("the {what} can be used again");
                }
                if let Some(changed) = changed {
                    tracing::info!("the {what} were taken anew: {changed}");
                }
            }
            Err(error) => {
                let trouble = format!("{error:#}");
                if self.trouble.as_ref() != Some(&trouble) {
                    tracing::error!("the {what} stay as they were: {trouble}");
                }
                self.trouble = Some(trouble);
            }
        }
    }
}

/// Takes anew what changes, for good.
pub(super) async fn run(mut parts: Vec<Part<'_>>, mut hang_ups: HangUps) -> Infallible {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            _ = ticks.tick() => false,
            () = hang_ups.next() => true,
        };
        if asked {
            tracing::info!("asked to take files anew");
        }
        for part in &mut parts {
            part.look(asked);
        }
    }
}
