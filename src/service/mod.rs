//! Floor 4, the service: ingest, read, decide. Every answer of Avow is made here, and nothing here knows HTTP.
//!
//! ```text
//! delivery → authenticate → decode → Log::append → fold (the projector's thread) → answer
//! question → Live::view → project → Standing::of → decide(now) → answer
//! ```

pub mod access;
pub mod asked;
mod cache;
pub mod change;
pub mod custody;
pub mod earlier;
pub mod evidence;
pub mod explanation;
pub mod export;
mod in_force;
pub mod moment;
pub mod overrides;
pub mod policy;
pub mod projector;
pub mod read;
mod rebuild_access;
mod rebuilding;
pub mod rebuilds;
pub mod recent_accesses;
pub mod sessions;
pub mod spans;
pub mod users;
pub mod watching;
pub mod words;

use std::path::Path;
use std::sync::Arc;

use state_machine::retry::policy::Policy;

use crate::log::keys::MasterKey;
use crate::log::vault::file_system::in_place_warning;
use crate::log::{self, AppendError, Appended, Log, PrepareError, Prepared};
use crate::projections::live::Live;
use crate::projections::store::StoreError;
use crate::stripe::decode::{Decoded, decode};
use crate::stripe::secret::Secrets;
use crate::stripe::signature::{AuthenticationError, Delivery, authenticate};
use crate::stripe::user_reference::UserReferenceSource;

use cache::UserCache;
use in_force::InForce;
use policy::PolicyInForce;
use projector::{NotFolded, Progress, Projector};
use rebuilding::Tools;
use rebuilds::Rebuilds;
use recent_accesses::RecentAccesses;

/// What a service is made of.
pub struct Options {
    /// The secrets that a signature may match.
    pub secrets: Secrets,
    /// How old a signature may be.
    pub tolerance_seconds: u32,
    /// Where a session object names its user, in order of precedence.
    pub user_reference_sources: Vec<UserReferenceSource>,
    /// When a user may try again.
    pub policy: Policy,
    /// Whether the log is told which policy decides: not by whoever only reads it.
    pub records_policy: bool,
    /// Whether a rebuild that a process before this one had begun is begun anew: not by a command that does one thing.
    pub resumes_rebuilds: bool,
    /// The key from which all others are derived.
    pub master_key: MasterKey,
    /// How the log is kept.
    pub log: log::Options,
    /// The cache of the projections.
    pub projections_cache_bytes: u64,
    /// How many users are kept in memory as they were read.
    pub users_cached_max: usize,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ingested {
    /// It is durable and folded.
    Recorded(Appended),
    /// It is durable and folded, and its body is no event that could be read.
    Unreadable(Appended),
    /// It is authentic, and of a type that Avow does not keep.
    Ignored {
        /// That type.
        event_type: String,
    },
}

/// Why a delivery was not taken. Nothing of it is on disk, unless the answer alone was lost.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// It is not authentic.
    #[error(transparent)]
    Authentication(#[from] AuthenticationError),
    /// It could not be sealed.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// It is durable, but not folded; a second delivery is answered once it is.
    #[error(transparent)]
    NotFolded(#[from] NotFolded),
}

/// Why a service could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log could not be opened.
    #[error(transparent)]
    Log(#[from] log::OpenError),
    /// The projections could not be opened.
    #[error(transparent)]
    Projections(#[from] StoreError),
    /// A thread could not be started.
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// Whether the service can do its work.
#[derive(Debug, Clone)]
pub struct Health {
    /// Whether the log accepts writes.
    pub log: log::Health,
    /// How many entries are durable.
    pub log_size: u64,
    /// How far the projections have come.
    pub projections: Progress,
}

impl Health {
    /// Returns why the service is not ready, or `None` if it is.
    pub fn obstacle(&self) -> Option<&'static str> {
        if self.log.stopped.is_some() {
            Some("writing has stopped until restart")
        } else if self.log.disk_full {
            Some("too little space is free on the disk")
        } else if self.projections.is_failing {
            Some("the projections cannot be written")
        } else if self.projections.cursor.is_none() {
            Some("the projections are catching up with the log")
        } else {
            None
        }
    }
}

/// The service. Shared by reference between threads.
pub struct Service {
    // Dropped first: the one that runs works on the projector's thread.
    rebuilds: Rebuilds,
    // Dropping the projector waits until the log has answered what it accepted, then ends the log's last reference.
    projector: Projector,
    log: Arc<Log>,
    projections: Arc<Live>,
    users: Arc<UserCache>,
    recent_accesses: Arc<RecentAccesses>,
    secrets: InForce<Secrets>,
    tolerance_seconds: u32,
    user_reference_sources: Vec<UserReferenceSource>,
    policy: Arc<PolicyInForce>,
}

impl Service {
    /// Opens the service in a data directory, and returns what had to be mended and what cannot be, as sentences for the
    /// operator.
    ///
    /// The projections catch up in the background; reads are refused until they have.
    pub fn open(directory: &Path, options: Options) -> Result<(Self, Vec<String>), OpenError> {
        let (log, repairs) = Log::open(
            &directory.join("log"),
            &options.master_key,
            options.log.clone(),
        )?;
        let (projections, started_afresh) = Live::open(
            &directory.join("projections"),
            options.projections_cache_bytes,
            &log,
        )?;
        let in_place = in_place_warning(directory).map_err(log::OpenError::from)?;
        let mut mended: Vec<_> = in_place.iter().map(ToString::to_string).collect();
        mended.extend(repairs.iter().map(ToString::to_string));
        mended.extend(started_afresh.map(|reason| reason.to_string()));

        let (log, projections) = (Arc::new(log), Arc::new(projections));
        let users = Arc::new(UserCache::new(options.users_cached_max));
        let policy = PolicyInForce::new(options.policy, options.records_policy);
        let policy = Arc::new(policy);
        let projector = Projector::start(
            Arc::clone(&log),
            Arc::clone(&projections),
            Arc::clone(&users),
            Arc::clone(&policy),
        )
        .map_err(OpenError::Thread)?;
        let tools = Tools::new(&log, &projections, &users, projector.handle(), &options.log);
        let rebuilds = Rebuilds::new(tools);
        if options.resumes_rebuilds {
            rebuilds.resume();
        }
        let service = Self {
            rebuilds,
            log,
            projector,
            projections,
            users,
            recent_accesses: Arc::default(),
            secrets: InForce::new(options.secrets),
            tolerance_seconds: options.tolerance_seconds,
            user_reference_sources: options.user_reference_sources,
            policy,
        };
        Ok((service, mended))
    }

    /// Takes a delivery; `reply` is called once, after the event is durable and folded, or as soon as it is clear that
    /// it will not be. It may be called on another thread, and must not block.
    pub fn ingest(
        &self,
        delivery: Delivery<'_>,
        reply: impl FnOnce(Result<Ingested, IngestError>) + Send + 'static,
    ) {
        let (prepared, ingested): (_, fn(Appended) -> Ingested) = match self.prepare(delivery) {
            Ok(Admitted::Event(prepared)) => (prepared, Ingested::Recorded),
            Ok(Admitted::Unreadable(prepared)) => (prepared, Ingested::Unreadable),
            Ok(Admitted::Foreign { event_type }) => {
                return reply(Ok(Ingested::Ignored { event_type }));
            }
            Err(error) => return reply(Err(error)),
        };
        let projector = self.projector.handle();
        let span = spans::Waiting::for_append();
        self.log.append(*prepared, move |appended| match appended {
            Ok(appended) => projector.when_folded(appended.sequence, {
                let span = span.for_fold(appended.sequence);
                move |folded| {
                    span.end();
                    reply(
                        folded
                            .map(|()| ingested(appended))
                            .map_err(IngestError::from),
                    );
                }
            }),
            Err(error) => reply(Err(error.into())),
        });
    }

    /// Does all that needs no sequence number, on the caller's thread.
    fn prepare(&self, delivery: Delivery<'_>) -> Result<Admitted, IngestError> {
        let payload = spans::authenticate()
            .in_scope(|| authenticate(delivery, &self.secrets.get(), self.tolerance_seconds))?;
        let _decoding = spans::decode().entered();
        Ok(match decode(&payload, &self.user_reference_sources) {
            Decoded::Event(event) => {
                self.log.admit()?;
                Admitted::Event(Box::new(self.log.prepare_event(&payload, *event)?))
            }
            Decoded::Unreadable(unreadable) => {
                self.log.admit()?;
                let prepared = self.log.prepare_unreadable(&payload, unreadable)?;
                Admitted::Unreadable(Box::new(prepared))
            }
            Decoded::Foreign { event_type } => Admitted::Foreign { event_type },
        })
    }

    /// Returns the log, for those who prove what it holds.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Returns whether the service can do its work.
    pub fn health(&self) -> Health {
        Health {
            log: self.log.health(),
            log_size: self.log.size(),
            projections: *self.projector.progress().borrow(),
        }
    }

    /// Returns a receiver of how far the projections have come.
    pub fn progress(&self) -> tokio::sync::watch::Receiver<Progress> {
        self.projector.progress()
    }
}

/// An authentic delivery.
enum Admitted {
    Event(Box<Prepared>),
    Unreadable(Box<Prepared>),
    Foreign { event_type: String },
}
