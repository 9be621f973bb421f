//! The extent of a log: what it takes of the disk, and what waits in it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use state_machine::time::ReceivedAt;

use super::Log;
use super::disk_space::{self, Space};
use super::paths::Paths;

/// How large the log is, and what waits.
#[derive(Debug, Clone)]
pub struct Extent {
    /// The bytes of disk that each part takes, by name.
    pub store_bytes: Vec<(&'static str, u64)>,
    /// The space of the disk; `None` if the system does not say.
    pub space: Option<Space>,
    /// Below how many free bytes writes stop.
    pub disk_free_bytes_min: u64,
    /// How many entries may wait.
    pub queue_entries_max: usize,
    /// How many erasures are wanted and not done, those that a hold keeps waiting included.
    pub erasures_waiting: usize,
}

impl Log {
    /// Returns how large the log is, and what waits. Looks at the disk.
    pub fn extent(&self) -> Extent {
        let shared = &self.shared;
        let directory = shared.journal_directory.parent();
        let directory = directory.unwrap_or(&shared.journal_directory);
        // An index that cannot be read is told by health.
        let unfinished = shared.index.unfinished_erasures().unwrap_or_default();
        Extent {
            store_bytes: store_bytes(directory),
            space: disk_space::space(directory).ok(),
            disk_free_bytes_min: shared.options.disk_free_bytes_min,
            queue_entries_max: shared.options.queue_entries_max,
            erasures_waiting: unfinished.len(),
        }
    }

    /// Returns when the latest checkpoint was signed: by the clock of this machine.
    pub fn checkpoint_signed_at(&self) -> ReceivedAt {
        self.shared.tree.signed_at()
    }
}

/// Returns the bytes of disk that each part of the log in `directory` takes.
pub fn store_bytes(directory: &Path) -> Vec<(&'static str, u64)> {
    let paths = Paths::under(directory);
    [
        ("journal", &paths.journal),
        ("sled", &paths.store),
        ("index", &paths.index),
        ("tree", &paths.tree),
        ("checkpoints", &paths.checkpoints),
        ("vault", &paths.vault),
        ("ballast", &paths.ballast),
    ]
    .map(|(name, path)| (name, bytes_on_disk(path)))
    .to_vec()
}

/// Returns the bytes of disk that a file, or all below a directory, take; what goes while it is counted is not.
pub fn bytes_on_disk(path: &Path) -> u64 {
    const BLOCK_BYTES: u64 = 512; // the unit of `st_blocks`, whatever the file system's own
    let below = |path: &Path| {
        let files = fs::read_dir(path).into_iter().flatten().flatten();
        files.map(|file| bytes_on_disk(&file.path())).sum()
    };
    match path.symlink_metadata() {
        Ok(file) if file.is_dir() => below(path),
        Ok(file) => file.blocks().saturating_mul(BLOCK_BYTES),
        Err(_) => 0,
    }
}
