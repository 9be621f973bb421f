//! Where the parts of a log lie under its directory.

use std::path::{Path, PathBuf};

/// The parts of a log.
pub(super) struct Paths {
    /// Beside the log's directory, so that a copy of that holds no key.
    pub(super) vault: PathBuf,
    pub(super) identity: PathBuf,
    pub(super) journal: PathBuf,
    /// There while a part of the journal that was written anew may hold payloads that had been erased.
    pub(super) journal_rewriting: PathBuf,
    pub(super) store: PathBuf,
    /// A damaged sled as it was found, while what it holds is still needed.
    pub(super) store_copy: PathBuf,
    /// There while sled is being opened.
    pub(super) store_opening: PathBuf,
    /// There while sled is being built anew.
    pub(super) store_rebuilding: PathBuf,
    pub(super) index: PathBuf,
    pub(super) head: PathBuf,
    /// The hashes of the Merkle tree.
    pub(super) tree: PathBuf,
    pub(super) checkpoints: PathBuf,
    /// The latest checkpoint that witnesses cosigned.
    pub(super) cosigned: PathBuf,
    pub(super) ballast: PathBuf,
    pub(super) lock: PathBuf,
}

impl Paths {
    pub(super) fn under(directory: &Path) -> Self {
        Self {
            vault: directory.with_file_name("vault"),
            identity: directory.join("identity"),
            journal: directory.join("journal"),
            journal_rewriting: directory.join("journal.rewriting"),
            store: directory.join("sled"),
            store_copy: directory.join("sled.damaged-copy"),
            store_opening: directory.join("sled.opening"),
            store_rebuilding: directory.join("sled.rebuilding"),
            index: directory.join("index"),
            head: directory.join("head"),
            tree: directory.join("tree"),
            checkpoints: directory.join("checkpoints"),
            cosigned: directory.join("cosigned"),
            ballast: directory.join("ballast"),
            lock: directory.join("lock"),
        }
    }

    /// Returns a name that is free, for a damaged sled.
    pub(super) fn store_set_aside(&self) -> PathBuf {
        let mut paths =
            (1_u64..).map(|number| self.store.with_extension(format!("damaged-{number}")));
        paths
            .find(|path| !path.exists())
            .unwrap_or_else(|| self.store.with_extension("damaged"))
    }
}
