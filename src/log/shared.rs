//! What the threads of an open log share.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, OnceLock};

use super::Options;
use super::disk_space::DiskSpace;
use super::eraser::ErasureListener;
use super::identity::Identity;
use super::index::Index;
use super::journal::JournalReader;
use super::key_ring::KeyRing;
use super::keys::LogKeys;
use super::measures::Measures;
use super::stop::Stop;
use super::store::Store;
use super::tail::Tail;
use super::tree::Tree;

/// The parts of an open log that more than one thread uses.
pub(super) struct Shared {
    pub(super) log_keys: LogKeys,
    pub(super) keys: KeyRing,
    pub(super) identity: Identity,
    pub(super) options: Options,
    pub(super) journal_directory: PathBuf,
    pub(super) tail: Tail,
    pub(super) store: Store,
    pub(super) index: Index,
    pub(super) tree: Tree,
    /// How many entries the index covers.
    pub(super) indexed: AtomicU64,
    pub(super) stop: Stop,
    pub(super) measures: Measures,
    pub(super) disk_space: DiskSpace,
    /// How many reads the journal answered because sled could not.
    pub(super) repaired_reads: AtomicU64,
    /// Where such reads go on, since they come in order.
    pub(super) journal_reader: Mutex<Option<JournalReader>>,
    /// Who is told which entry says that an erasure is done.
    pub(super) erasure_listener: OnceLock<ErasureListener>,
}
