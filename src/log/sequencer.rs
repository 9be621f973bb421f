//! The sequencer: the one thread that writes. It takes whatever waits, finds duplicates, gives sequence
//! numbers, and commits all of it with one write and one sync.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender};
use state_machine::id::SequenceNumber;

use super::append::{AppendError, Appended, Reply};
use super::dedupe::{Identification, Known, Recent};
use super::disk_space::DiskSpace;
use super::entry::Entry;
use super::feeder::Group;
use super::index::IndexError;
use super::journal::{Journal, JournalError};
use super::prepare::Prepared;
use super::record::{self, Link, put_record};
use super::shared::Shared;

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
    disk_space: DiskSpace,
    recent: Recent,
    recent_from: u64,
    feeder: Sender<Group>,
}

/// What a commit is made of, while it is put together.
struct Draft {
    group: Group,
    entries: Vec<Arc<Entry>>,
    link: Link,
    next: u64,
}

impl Sequencer {
    pub(super) fn new(
        shared: Arc<Shared>,
        journal: Journal,
        disk_space: DiskSpace,
        feeder: Sender<Group>,
    ) -> Self {
        let recent_from = journal.end().next;
        Self {
            shared,
            journal,
            disk_space,
            recent: Recent::default(),
            recent_from,
            feeder,
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
            self.serve(requests, bytes);
        }
    }

    fn serve(&mut self, requests: Vec<Request>, bytes: usize) {
        self.shared.tail.wait_for_room(&self.shared.stop);
        if let Some(reason) = self.shared.stop.reason() {
            return refuse(
                requests.into_iter().map(|request| request.reply),
                &AppendError::Stopped(reason),
            );
        }
        let is_full = self.disk_space.is_full(bytes);
        self.shared.disk_full.store(is_full, Ordering::Relaxed);
        if is_full {
            return refuse(
                requests.into_iter().map(|request| request.reply),
                &AppendError::DiskFull,
            );
        }
        self.commit(requests);
    }

    fn commit(&mut self, requests: Vec<Request>) {
        let end = *self.journal.end();
        let mut draft = Draft {
            group: Group::default(),
            entries: Vec::new(),
            link: end.link,
            next: end.next,
        };
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            match self.place(&mut draft, request.prepared, request.known, request.indexed) {
                Ok(appended) => answers.push((request.reply, appended)),
                Err(error) => {
                    (request.reply)(Err(AppendError::Stopped(self.shared.stop.set(&error))));
                }
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
        prepared: Prepared,
        looked_up: Option<Known>,
        indexed: u64,
    ) -> Result<Appended, IndexError> {
        let known = match self.recent.find(&prepared.identification).or(looked_up) {
            None if indexed < self.recent_from => {
                self.shared.index.find(&prepared.identification)?
            }
            known => known,
        };
        let (identification, known) = match known {
            Some(known) if known.facts != prepared.facts => {
                let identification = prepared.identification.of_conflict(&prepared.facts);
                let known = self.recent.find(&identification);
                let known = known.map_or_else(
                    || self.shared.index.find(&identification),
                    |known| Ok(Some(known)),
                )?;
                (identification, (true, known))
            }
            known => (prepared.identification.clone(), (false, known)),
        };
        match known {
            (_, Some(known)) => Ok(Appended {
                sequence: known.sequence,
                duplicate: true,
            }),
            (conflicts, None) => Ok(self.add(draft, prepared, identification, conflicts)),
        }
    }

    fn add(
        &mut self,
        draft: &mut Draft,
        prepared: Prepared,
        identification: Identification,
        conflicts: bool,
    ) -> Appended {
        let sequence = SequenceNumber(draft.next);
        let known = Known {
            sequence,
            facts: prepared.facts,
        };
        let (entry, leaf) = prepared.into_entry(sequence, conflicts);
        let group_first = SequenceNumber(self.journal.end().next);
        put_record(
            &mut draft.group.bytes,
            (sequence, group_first),
            &draft.link,
            (&leaf, &entry.sealed),
        );
        draft.link = record::link(&draft.link, &leaf);
        draft.next += 1;
        draft.entries.push(Arc::new(entry));
        draft
            .group
            .identifications
            .push((identification.clone(), known));
        self.recent.insert(identification, known);
        Appended {
            sequence,
            duplicate: false,
        }
    }

    fn write(&mut self, draft: &Draft) -> Result<(), AppendError> {
        if draft.entries.is_empty() {
            return Ok(());
        }
        let written = self
            .journal
            .append(&draft.group.bytes, draft.next, draft.link);
        written.map_err(|error| match error {
            JournalError::NoSpace => {
                self.shared.disk_full.store(true, Ordering::Relaxed);
                AppendError::DiskFull
            }
            JournalError::Io(_) => AppendError::Stopped(self.shared.stop.set(&error)),
        })
    }

    fn publish(&mut self, draft: Draft) {
        if draft.entries.is_empty() {
            return;
        }
        self.shared.tail.publish(draft.entries, draft.link);
        // The feeder ends after this thread. Were it gone, the next opening would feed sled from the journal.
        drop(self.feeder.send(draft.group));
        self.recent_from = self
            .shared
            .indexed
            .load(Ordering::Acquire)
            .saturating_sub(RECENT_ENTRIES_MIN)
            .max(self.recent_from);
        self.recent.forget_below(self.recent_from);
    }
}

fn refuse(replies: impl Iterator<Item = Reply>, error: &AppendError) {
    for reply in replies {
        reply(Err(error.clone()));
    }
}
