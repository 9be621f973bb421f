//! The spare: a file of zeros for the next segment, made by a thread of its own before it is needed.
//!
//! A sync of blocks that were never written, though reserved, commits the file system's own journal as well, and waits
//! for what every other file has in it. Over zeros that are on the disk already it writes our bytes, and nothing else.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::durable::fill_with_zeros;

/// How much is written between two looks at whether it is still wanted.
const PIECE_BYTES: u64 = 4 * 1024 * 1024;

/// How far the thread steps back, as `nice` counts.
const STEPS_BACK: i32 = 10;

/// The spare of a journal. Dropping it removes the file.
pub(super) struct Spare {
    path: PathBuf,
    wishes: Option<Sender<()>>,
    made: Receiver<io::Result<File>>,
    /// Whether one was asked for and not taken yet.
    is_wanted: bool,
    is_ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Spare {
    /// Starts the thread, which makes files of that length. What a process left that was killed is removed.
    pub(super) fn start(path: PathBuf, bytes: u64) -> io::Result<Self> {
        // If it cannot be, none can be made ahead either, which is told then.
        fs::remove_file(&path).ok();
        let (wishes, requests) = bounded(1);
        let (send, made) = bounded(1);
        let is_ending = Arc::new(AtomicBool::new(false));
        let (file, ending) = (path.clone(), Arc::clone(&is_ending));
        let thread = thread::Builder::new()
            .name("log-spare".into())
            .spawn(move || {
                // There is time. Where that is refused, it is made all the same.
                rustix::process::nice(STEPS_BACK).ok();
                while let Ok(()) = requests.recv() {
                    drop(send.send(make(&file, bytes, &ending)));
                }
            })?;
        Ok(Self {
            path,
            wishes: Some(wishes),
            made,
            is_wanted: false,
            is_ending,
            thread: Some(thread),
        })
    }

    /// Has one be made, unless one is there or being made.
    pub(super) fn want(&mut self) {
        if !self.is_wanted
            && let Some(wishes) = &self.wishes
        {
            self.is_wanted = wishes.try_send(()).is_ok();
        }
    }

    /// Returns the file and its path, if it is there. That one could not be made is no failure: it is wanted again.
    pub(super) fn take(&mut self) -> Option<(File, &Path)> {
        let made = self.made.try_recv().ok()?;
        self.is_wanted = false;
        let file = made
            .inspect_err(|error| tracing::warn!(%error, "no segment could be made ahead"))
            .ok()?;
        Some((file, &self.path))
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        self.wishes = None;
        self.is_ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
        if self.is_wanted {
            // It is not there, or the next start removes it.
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Makes the file, whole and durable but for its name, or none.
fn make(path: &Path, bytes: u64, is_ending: &AtomicBool) -> io::Result<File> {
    let fill = || {
        let file = File::create(path)?;
        for from in (0..bytes).step_by(usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX)) {
            if is_ending.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            fill_with_zeros(&file, from..bytes.min(from + PIECE_BYTES))?;
            file.sync_all()?;
        }
        Ok(file)
    };
    // On a full disk it would hold the last of the space.
    fill().inspect_err(|_: &io::Error| drop(fs::remove_file(path)))
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    const BYTES: u64 = 3 * PIECE_BYTES / 2;

    fn wait_for(spare: &mut Spare) -> File {
        spare.want();
        loop {
            if let Some((file, _)) = spare.take() {
                return file;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn one_that_is_wanted_is_there_after_a_while_and_holds_zeros_alone() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("spare");
        let mut spare = Spare::start(path.clone(), BYTES).unwrap();

        assert!(spare.take().is_none());
        wait_for(&mut spare);

        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len(), usize::try_from(BYTES).unwrap());
        assert!(bytes.iter().all(|byte| *byte == 0));
        assert!(spare.take().is_none());
    }

    #[test]
    fn one_that_was_taken_stays_and_one_that_was_not_is_removed() {
        let directory = tempdir().unwrap();
        let path = directory.path().join("spare");
        let taken = directory.path().join("taken");
        let mut spare = Spare::start(path.clone(), BYTES).unwrap();

        wait_for(&mut spare);
        fs::rename(&path, &taken).unwrap();
        spare.want();
        drop(spare);

        assert!(taken.exists());
        assert!(!path.exists());
    }

    #[test]
    fn one_that_cannot_be_made_is_tried_again_when_it_is_wanted_again() {
        let directory = tempdir().unwrap();
        let below = directory.path().join("below");
        let mut spare = Spare::start(below.join("spare"), BYTES).unwrap();

        spare.want();
        while spare.is_wanted {
            assert!(spare.take().is_none());
        }
        fs::create_dir(&below).unwrap();
        wait_for(&mut spare);
    }
}
