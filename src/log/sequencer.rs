//! The sequencer: the one thread that writes. It takes whatever waits, finds duplicates, gives sequence
//! numbers, and commits all of it with one write and one sync.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender};
use state_machine::id::SequenceNumber;

use super::append::{AppendError, Appended, Reply};
use super::dedupe::{Identification, Known, Recent};
use super::draft::Draft;
use super::eraser::Job;
use super::feeder::Group;
use super::index_error::IndexError;
use super::journal::{Journal, JournalError};
use super::prepare::{Delivered, Prepared};
use super::shared::Shared;
use crate::transparency::hash::Hash;

/// How many bytes of entries one commit holds, about.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many entries behind the index stay in memory, so that a lookup made before an entry was indexed still
/// counts.
const RECENT_ENTRIES_MIN: u64 = 65_536;

/// An entry that waits, and what the index said of it on its caller's thread.
pub(super) struct Request {
    pub(super) prepared: Prepared,
    pub(super) reply: Reply,
    /// What the index knew, which covered every entry below `indexed`.
    pub(super) known: Option<Known>,
    pub(super) indexed: u64,
}

/// The sequencer's own state.
pub(super) struct Sequencer {
    shared: Arc<Shared>,
    journal: Journal,
    recent: Recent,
    recent_from: u64,
    followers: Followers,
}

/// Who is told of a commit.
pub(super) struct Followers {
    pub(super) feeder: Sender<Group>,
    pub(super) notary: Sender<Vec<Hash>>,
    /// Nothing is sent: that it is gone wakes the notary at the end.
    pub(super) _notary_end: Sender<Infallible>,
    pub(super) eraser: Sender<Job>,
}

impl Sequencer {
    pub(super) fn new(shared: Arc<Shared>, journal: Journal, followers: Followers) -> Self {
        let recent_from = journal.end().next;
        Self {
            shared,
            journal,
            recent: Recent::default(),
            recent_from,
            followers,
        }
    }

    /// Commits until every sender is gone and the queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Request>) {
        while let Ok(first) = queue.recv() {
            let mut bytes = first.prepared.bytes();
            let mut requests = vec![first];
            while requests.len() < self.shared.options.group_entries_max
                && bytes < GROUP_BYTES_MAX
                && let Ok(request) = queue.try_recv()
            {
                bytes += request.prepared.bytes();
                requests.push(request);
            }
            self.serve(requests);
        }
    }

    fn serve(&mut self, requests: Vec<Request>) {
        self.shared.tail.wait_for_room(&self.shared.stop);
        if let Some(reason) = self.shared.stop.reason() {
            return refuse(
                requests.into_iter().map(|request| request.reply),
                &AppendError::Stopped(reason),
            );
        }
        // Others may fill it at any moment, and to look costs little beside a sync.
        if self.shared.disk_space.is_full() {
            return refuse(
                requests.into_iter().map(|request| request.reply),
                &AppendError::DiskFull,
            );
        }
        let shared = Arc::clone(&self.shared);
        shared.measures.commit(|| self.commit(requests));
    }

    fn commit(&mut self, requests: Vec<Request>) {
        let end = *self.journal.end();
        let mut draft = Draft::after(&end);
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            match self.place(&mut draft, request.prepared, request.known, request.indexed) {
                Ok(appended) => answers.push((request.reply, appended)),
                Err(error) => (request.reply)(Err(error)),
            }
        }
        // If we stop before this returns, a restart may find some of the group: nobody was told, and a
        // delivery that comes again is a duplicate of it.
        if let Err(error) = self.write(&draft) {
            self.recent.forget_from(end.next);
            return refuse(answers.into_iter().map(|(reply, _)| reply), &error);
        }
        self.publish(draft);
        for (reply, appended) in answers {
            reply(Ok(appended));
        }
    }

    /// Finds an entry's place: where it stood before, or the next one.
    fn place(
        &mut self,
        draft: &mut Draft,
        mut prepared: Prepared,
        looked_up: Option<Known>,
        indexed: u64,
    ) -> Result<Appended, AppendError> {
        let Some(delivered) = prepared.delivery.take() else {
            return draft.add_statement(prepared);
        };
        let known = self.find(&delivered, looked_up, indexed);
        match known.map_err(|error| AppendError::Stopped(self.shared.stop.set(&error)))? {
            Found::Again(sequence) => Ok(Appended {
                sequence,
                duplicate: true,
                conflicts: false,
            }),
            Found::OtherContent(sequence) => Err(AppendError::OtherContent(sequence)),
            Found::New { .. } if delivered.is_repeat_only => Err(AppendError::Expired),
            Found::New {
                identification,
                conflicts,
            } => {
                let known = Known {
                    sequence: SequenceNumber(draft.next()),
                    facts: delivered.facts,
                };
                self.recent.insert(identification.clone(), known);
                draft.add_delivery(prepared, (identification, known), conflicts);
                Ok(Appended {
                    sequence: known.sequence,
                    duplicate: false,
                    conflicts,
                })
            }
        }
    }

    fn find(
        &self,
        Delivered {
            identification,
            facts,
            is_repeat_only: _,
        }: &Delivered,
        looked_up: Option<Known>,
        indexed: u64,
    ) -> Result<Found, IndexError> {
        let known = match self.recent.find(identification).or(looked_up) {
            None if indexed < self.recent_from => self.shared.index.find(identification)?,
            known => known,
        };
        let other = known.filter(|known| known.facts != *facts);
        if let Some(other) = other.filter(|_| identification.is_of_request()) {
            return Ok(Found::OtherContent(other.sequence));
        }
        let conflicts = other.is_some();
        let (identification, known) = if conflicts {
            let identification = identification.of_conflict(facts);
            let known = self.recent.find(&identification);
            let indexed = || self.shared.index.find(&identification);
            let known = known.map_or_else(indexed, |known| Ok(Some(known)))?;
            (identification, known)
        } else {
            (identification.clone(), known)
        };
        Ok(match known {
            Some(known) => Found::Again(known.sequence),
            None => Found::New {
                identification,
                conflicts,
            },
        })
    }

    fn write(&mut self, draft: &Draft) -> Result<(), AppendError> {
        if draft.is_empty() {
            return Ok(());
        }
        let written = self.shared.measures.write(draft.entries(), || {
            self.journal
                .append(draft.bytes(), draft.next(), draft.link())
        });
        match written {
            Ok(()) => {
                self.shared.disk_space.note_success();
                Ok(())
            }
            Err(JournalError::NoSpace(bytes)) => {
                self.shared.disk_space.note_refusal(bytes);
                Err(AppendError::DiskFull)
            }
            Err(error @ JournalError::Io(_)) => {
                Err(AppendError::Stopped(self.shared.stop.set(&error)))
            }
        }
    }

    fn publish(&mut self, draft: Draft) {
        if draft.is_empty() {
            return;
        }
        let indexed = self.shared.indexed.load(Ordering::Acquire);
        let due = draft.settle(indexed);
        let group = draft.into_group();
        self.shared
            .tail
            .publish(group.entries(), *self.journal.end());
        // All end after this thread. Were one gone, the next opening would do what it has not done.
        if self.shared.options.keeps_evidence() {
            drop(self.followers.notary.send(group.leaf_hashes()));
        }
        drop(self.followers.feeder.send(group));
        for key in due {
            drop(self.followers.eraser.send(Job::Erase(key)));
        }
        self.recent_from = self
            .shared
            .indexed
            .load(Ordering::Acquire)
            .saturating_sub(RECENT_ENTRIES_MIN)
            .max(self.recent_from);
        self.recent.forget_below(self.recent_from);
    }
}

/// What a delivery, or a request, turned out to be.
enum Found {
    Again(SequenceNumber),
    /// A request whose key another one has had.
    OtherContent(SequenceNumber),
    New {
        identification: Identification,
        conflicts: bool,
    },
}

fn refuse(replies: impl Iterator<Item = Reply>, error: &AppendError) {
    for reply in replies {
        reply(Err(error.clone()));
    }
}
