//! Floor 2, the log: the ground truth. Append-only, gapless, durable before the answer.
//!
//! The journal is the commit point. sled, the index and the head file follow it, and each can be had again
//! from the others: sled and the index from the journal, the journal's old parts from sled.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Sender, bounded, unbounded};

pub mod access;
mod access_fact;
mod append;
mod binary;
mod blanking;
pub mod checkup;
mod codes;
pub mod configuration_fact;
mod custody;
mod dedupe;
pub mod disk_space;
mod draft;
pub(crate) mod durable;
pub mod entry;
mod eraser;
mod erasure_fact;
mod export;
pub mod extent;
mod feeder;
mod head;
mod health;
mod identity;
pub mod import;
mod index;
mod index_building;
mod index_error;
pub mod inspection;
mod journal;
mod key_ring;
pub mod keys;
pub mod leaf;
pub mod leaves;
mod lock;
pub mod measures;
mod open_error;
mod options;
pub mod outline;
mod override_fact;
mod overriding;
pub(crate) mod panic_guard;
mod paths;
mod payload;
mod prepare;
mod read;
mod record;
mod recovery;
mod repair;
pub mod residue;
mod resumption;
mod room;
pub mod rows;
mod scan;
mod segment;
mod sequencer;
mod session_fact;
mod shared;
mod spare;
mod stop;
mod store;
mod store_file;
mod store_opening;
mod subject_key;
mod subject_row;
mod survey;
mod tail;
pub mod tree;
pub mod unsealer;
pub mod vault;

pub use append::{AppendError, Appended, Stated, Statement};
pub use custody::{Custody, CustodyChange};
use disk_space::DiskSpace;
use eraser::{Eraser, Job};
use feeder::Feeder;
pub use health::Health;
use index_building::UpToDate;
use journal::Journal;
use key_ring::KeyRing;
use keys::{LogKeys, MasterKey};
use lock::{Lock, lock};
use measures::Measures;
pub use open_error::{MissingEntries, OpenError, Repair, Repairs};
pub use options::{JournalRetention, Options, Random, RandomError};
pub use overriding::{IdempotencyKey, WantedOverride};
use paths::Paths;
pub use payload::{OpenedPayload, PayloadError};
pub use prepare::{PrepareError, Prepared, Words};
pub use read::{ReadError, ReadErrorCause, SubjectError};
use recovery::Recovered;
use room::Room;
use sequencer::{Followers, Request, Sequencer};
use shared::Shared;
use stop::Stop;
use tail::Tail;
use tree::notary::Notary;
use vault::Vault;

use crate::transparency::key::{KeyName, NotAKeyName};
use crate::transparency::signing_key::SigningKey;

/// The log. Shared by reference between threads; one sequencer thread inside owns all writes.
pub struct Log {
    shared: Arc<Shared>,
    /// Taken when the log closes, which ends the sequencer, which ends the feeder.
    queue: Option<Sender<Request>>,
    /// The eraser holds the queue too: it is told to end when the log closes.
    erasures: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
    _lock: Lock,
}

impl Log {
    /// Opens or creates the log in `directory`, mends what can be mended, and says what it mended. Its vault lies beside
    /// the directory.
    pub fn open(
        directory: &Path,
        master_key: &MasterKey,
        options: Options,
    ) -> Result<(Self, Repairs), OpenError> {
        let paths = Paths::under(directory);
        fs::create_dir_all(&paths.journal)?;
        let lock = lock(&paths.lock)?;
        let mut repairs = Repairs::new();
        let free_bytes_min = options.disk_free_bytes_min;
        if disk_space::keep_ballast(&paths.ballast, options.ballast_bytes, free_bytes_min)? {
            repairs.push(Repair::BallastReleased);
        }
        let vault = open_vault(&paths, master_key, &options)?;
        let log_keys = LogKeys::derive(&vault.log_secret()?);
        let identity = identity::establish(&paths, vault.log(), &log_keys, &mut repairs)?;
        let recovered =
            recovery::recover(&paths, identity, &options, repairs, vault.erased_through())?;
        let Recovered {
            survey,
            store,
            index: UpToDate { index, covered, .. },
            head_file,
            mut repairs,
        } = recovered;
        if vault.slots_end() < covered.slots_end {
            return Err(OpenError::VaultBehind {
                named: covered.slots_end.0,
                there: vault.slots_end().0,
            });
        }
        vault.begin(covered.slots_end);
        let origin = options.origin.clone();
        let origin = origin.map_or_else(|| default_origin(vault.log()), Ok)?;
        let key = SigningKey::new(origin, vault.signing_seed()?.expose());
        let (tree, notary) =
            tree::opening::open(&paths, key, &store, survey.end.next, &mut repairs)?;
        let segment_bytes = options.journal_segment_bytes;
        let journal = Journal::open(
            &paths.journal,
            identity,
            (
                segment_bytes,
                Room::of_zeros(&paths.journal, segment_bytes)?,
            ),
            (survey.end, survey.is_torn),
        )?;
        let measures = Measures::new(options.stopwatch);
        let shared = Arc::new(Shared {
            log_keys,
            keys: KeyRing::new(vault)?,
            identity,
            options,
            journal_directory: paths.journal,
            tail: Tail::new(survey.end),
            store,
            index,
            tree,
            indexed: AtomicU64::new(survey.end.next),
            stop: Stop::default(),
            measures,
            disk_space: DiskSpace::watch(directory, free_bytes_min)?,
            repaired_reads: AtomicU64::new(0),
            journal_reader: Mutex::new(None),
            erasure_listener: OnceLock::new(),
        });
        let is_rewritten = paths.journal_rewriting.try_exists()?;
        let jobs = resumption::resume_erasures(&shared, is_rewritten)?;
        if is_rewritten {
            // Not before: until here the journal may hold what had been erased.
            fs::remove_file(&paths.journal_rewriting)?;
        }
        let feeder = Feeder::new(Arc::clone(&shared), head_file, covered);
        let log = Self::start(shared, journal, (feeder, notary), jobs, lock)?;
        Ok((log, repairs))
    }

    fn start(
        shared: Arc<Shared>,
        journal: Journal,
        (feeder, notary): (Feeder, Notary),
        jobs: Vec<Job>,
        lock: Lock,
    ) -> Result<Self, OpenError> {
        let (queue, requests) = bounded(shared.options.queue_entries_max);
        // Bounded by the tail, which lets commits wait when sled is too far behind.
        let (groups, fed) = unbounded();
        let (leaves, hashed) = unbounded();
        let (notary_end, end) = bounded(0);
        let (erasures, wanted) = unbounded();
        for job in jobs {
            drop(erasures.send(job));
        }
        let followers = Followers {
            feeder: groups,
            notary: leaves,
            _notary_end: notary_end,
            eraser: erasures.clone(),
        };
        let eraser = Eraser::new(Arc::clone(&shared), queue.clone());
        let sequencer = Sequencer::new(Arc::clone(&shared), journal, followers);
        let attested = Arc::clone(&shared);
        let threads = vec![
            spawn("log-notary", move || {
                notary.run(&attested, &hashed, &end);
            })?,
            spawn("log-feeder", move || feeder.run(&fed))?,
            spawn("log-eraser", move || eraser.run(&wanted))?,
            spawn("log-sequencer", move || sequencer.run(&requests))?,
        ];
        Ok(Self {
            shared,
            queue: Some(queue),
            erasures,
            threads,
            _lock: lock,
        })
    }

    /// Commits and answers what is queued, syncs everything, and ends the threads. Dropping does the same.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        drop(self.queue.take());
        drop(self.erasures.send(Job::End));
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to say here; its panic was printed.
            drop(thread.join());
        }
    }
}

/// Returns the name under which a log signs that was given none.
fn default_origin(log: [u8; 16]) -> Result<KeyName, NotAKeyName> {
    format!("avow/{}", hex::encode(log)).parse()
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Opens the vault, or creates that of a log that begins.
fn open_vault(
    paths: &Paths,
    master_key: &MasterKey,
    options: &Options,
) -> Result<Vault, OpenError> {
    if let Some(vault) = Vault::open(&paths.vault, master_key, options.random)? {
        return Ok(vault);
    }
    if identity::has_begun(paths)? {
        return Err(OpenError::VaultLost {
            path: paths.vault.clone(),
        });
    }
    let mut log = [0; 16];
    (options.random)(&mut log)?;
    Ok(Vault::create(
        &paths.vault,
        master_key,
        log,
        options.random,
    )?)
}
