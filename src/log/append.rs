//! Appending: what is delivered, and what is stated about a subject.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::TrySendError;
use state_machine::id::SequenceNumber;
use state_machine::retry::policy::Policy;

use super::Log;
use super::entry::{ErasureCause, ErasureFact, Fact, Subject, SubjectName};
use super::key_ring::KeyRing;
use super::prepare::{self, PrepareError, Prepared, Words};
use super::sequencer::Request;
use super::shared::Shared;
use crate::stripe::decode::{SessionEvent, Unreadable};
use crate::stripe::signature::AuthenticatedPayload;

/// What [`Log::append`](super::Log::append) answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Where the entry stands; for a duplicate, where the first one stands.
    pub sequence: SequenceNumber,
    /// Whether it stood there before.
    pub duplicate: bool,
    /// Whether it states other facts than an earlier entry of the same event id.
    pub conflicts: bool,
}

/// Why nothing was appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The queue is full: overload.
    #[error("the queue is full")]
    QueueFull,
    /// Too little space is free on the disk; writes resume by themselves.
    #[error("less than the configured space is free on the disk")]
    DiskFull,
    /// A write or a sync failed, so nothing more is written until a restart.
    #[error("writing has stopped until restart: {0}")]
    Stopped(Arc<str>),
    /// The log is closing.
    #[error("the log is closing")]
    Closing,
    /// What has been begun cannot be held back.
    #[error("the erasure has been begun by entry {0}, so nothing is left to hold")]
    ErasureBegun(SequenceNumber),
    /// Only what is held can be released.
    #[error("there is no hold to release")]
    NotHeld,
    /// It would never be in force, and the same request has not made it before.
    #[error("`expires` must lie in the future")]
    Expired,
    /// A key stands for one request.
    #[error("the idempotency key came with another request, which entry {0} holds")]
    OtherContent(SequenceNumber),
}

/// Called once with what became of an entry; it must not block.
pub(super) type Reply = Box<dyn FnOnce(Result<Appended, AppendError>) + Send>;

/// What an operator can state about a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statement {
    /// Its payloads are to be erased.
    Erase,
    /// They must not be, until the hold is released.
    Hold,
    /// The hold is over.
    Release,
}

/// What became of a statement. Each says where it stands, or where the same had been stated before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stated {
    /// Nothing of the subject is erased until the hold is released.
    Held(Appended),
    /// The hold is over. An erasure that waited for that has been begun.
    Released(Appended),
    /// The erasure waits.
    Waiting {
        /// The wish.
        appended: Appended,
        /// The hold that it waits for.
        hold: SequenceNumber,
    },
    /// It is erased.
    Erased {
        /// The wish.
        appended: Appended,
        /// The entry that says so.
        done: SequenceNumber,
    },
}

impl Log {
    /// Says whether an entry would be refused at once: before it is sealed, for that may cost a slot of the vault for good,
    /// and on a full disk the last of the space.
    pub fn admit(&self) -> Result<(), AppendError> {
        if let Some(reason) = self.shared.stop.reason() {
            return Err(AppendError::Stopped(reason));
        }
        if self.shared.disk_space.is_full() {
            return Err(AppendError::DiskFull);
        }
        match &self.queue {
            Some(queue) if queue.is_full() => Err(AppendError::QueueFull),
            Some(_) => Ok(()),
            None => Err(AppendError::Closing),
        }
    }

    /// Compresses, seals and hashes a payload, on the caller's thread.
    pub fn prepare_event(
        &self,
        payload: &AuthenticatedPayload<'_>,
        event: SessionEvent,
    ) -> Result<Prepared, PrepareError> {
        let Shared {
            keys,
            index,
            options,
            ..
        } = &*self.shared;
        let name = SubjectName::Session(event.world.clone(), event.session.clone());
        let key = if options.keeps_evidence() {
            keys.key(&name, index)?
        } else {
            KeyRing::none(name)
        };
        let fact = prepare::session_fact(&self.shared.log_keys, event);
        Ok(Prepared::of_delivery(
            &self.shared.options,
            key,
            payload,
            fact,
        )?)
    }

    /// Compresses, seals and hashes a payload that cannot be read, on the caller's thread.
    pub fn prepare_unreadable(
        &self,
        payload: &AuthenticatedPayload<'_>,
        unreadable: Unreadable,
    ) -> Result<Prepared, PrepareError> {
        let key = self.shared.keys.fresh(None)?;
        let fact = prepare::unreadable_fact(&self.shared.log_keys, payload.body(), unreadable);
        Ok(Prepared::of_delivery(
            &self.shared.options,
            key,
            payload,
            fact,
        )?)
    }

    /// States something about a subject, sealed with the words of who does. `reply` is called once: when it is durable
    /// and, if something is to be erased and nothing holds it, when it has been. It must not block; it is dropped if that
    /// will not be before a restart.
    pub fn state(
        &self,
        subject: Subject,
        statement: Statement,
        words: &Words,
        reply: impl FnOnce(Result<Stated, AppendError>) + Send + 'static,
    ) -> Result<(), PrepareError> {
        let Shared {
            keys,
            index,
            log_keys,
            options,
            ..
        } = &*self.shared;
        let key = keys.key_in(&subject.name, subject.key_slot, index)?;
        let fact = match statement {
            Statement::Erase => Fact::Erasure(ErasureFact {
                subject,
                cause: ErasureCause::Operator,
            }),
            Statement::Hold => Fact::Hold(subject),
            Statement::Release => Fact::Release(subject),
        };
        let prepared = Prepared::of_statement((log_keys, options), Arc::clone(&key), fact, words)?;
        self.append(prepared, move |appended| {
            let appended = match appended {
                Ok(appended) => appended,
                Err(error) => return reply(Err(error)),
            };
            let mut state = key.state();
            match (statement, state.custody.hold) {
                (Statement::Hold, _) => reply(Ok(Stated::Held(appended))),
                (Statement::Release, _) => reply(Ok(Stated::Released(appended))),
                (Statement::Erase, Some(hold)) => reply(Ok(Stated::Waiting { appended, hold })),
                (Statement::Erase, None) => state.when_erased(Box::new(move |done| {
                    reply(Ok(Stated::Erased { appended, done }));
                })),
            }
        });
        Ok(())
    }

    /// Prepares the statement that a retry policy decides from here on.
    pub fn prepare_policy(&self, policy: Policy) -> Prepared {
        let at = (self.shared.options.clock)();
        Prepared::of_own(KeyRing::of_log(), at, Fact::Configuration(policy))
    }

    /// Queues an entry; `reply` is called once, from the sequencer's thread (or at once, if the queue is
    /// full), after the entry is durable and readable. It must not block.
    pub fn append(
        &self,
        prepared: Prepared,
        reply: impl FnOnce(Result<Appended, AppendError>) + Send + 'static,
    ) {
        let Some(queue) = &self.queue else {
            return reply(Err(AppendError::Closing));
        };
        // Before the lookup: whatever is indexed while it runs, the sequencer still has in memory.
        let indexed = self.shared.indexed.load(Ordering::Acquire);
        let delivery = prepared.delivery.as_ref();
        let known = delivery.map(|delivery| self.shared.index.find(&delivery.identification));
        let known = match known.transpose() {
            Ok(known) => known.flatten(),
            Err(error) => return reply(Err(AppendError::Stopped(self.shared.stop.set(&error)))),
        };
        let request = Request {
            prepared,
            reply: Box::new(reply),
            known,
            indexed,
        };
        match queue.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(request)) => (request.reply)(Err(AppendError::QueueFull)),
            Err(TrySendError::Disconnected(request)) => (request.reply)(Err(AppendError::Closing)),
        }
    }
}
