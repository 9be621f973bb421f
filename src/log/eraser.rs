//! The eraser: the thread that carries erasures out, one after the other. The durable wish stands in the log already;
//! every step can be done again, and start-up goes on where a process stopped.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use state_machine::id::SequenceNumber;

use super::Log;
use super::append::{AppendError, Appended};
use super::blanking::blank;
use super::entry::{ErasureDoneFact, Fact, Subject, SubjectName};
use super::prepare::Prepared;
use super::sequencer::Request;
use super::shared::Shared;
use super::subject_key::SubjectKey;
use super::vault::KeySlot;

/// What the eraser is asked for.
pub(super) enum Job {
    /// Destroy this key, and remove what it sealed.
    Erase(Arc<SubjectKey>),
    /// End, once everything asked for before is done.
    End,
}

/// Called with the entry that says that an erasure is done.
pub(super) type ErasureListener = Box<dyn Fn(SequenceNumber) + Send + Sync>;

/// Why an erasure could not be carried out.
type Failure = Box<dyn std::error::Error>;

/// How long an erasure waits for space on the disk.
const RETRY_EVERY: Duration = Duration::from_secs(1);

impl Log {
    /// Has `listener` told of each entry that says that an erasure is done: nobody waits for those that an event wants.
    /// It must not block. There is one listener: another one is not told.
    pub fn when_erased(&self, listener: impl Fn(SequenceNumber) + Send + Sync + 'static) {
        drop(self.shared.erasure_listener.set(Box::new(listener)));
    }
}

/// The eraser's own state.
pub(super) struct Eraser {
    shared: Arc<Shared>,
    queue: Sender<Request>,
}

impl Eraser {
    pub(super) fn new(shared: Arc<Shared>, queue: Sender<Request>) -> Self {
        Self { shared, queue }
    }

    /// Erases until it is told to end. What the disk has no room for waits, as deliveries do. Any other failure stops all
    /// writing: a key that should be gone may still be there.
    pub(super) fn run(self, jobs: &Receiver<Job>) {
        let mut wanted = VecDeque::new();
        loop {
            let job = if wanted.is_empty() {
                jobs.recv().map_err(RecvTimeoutError::from)
            } else {
                jobs.recv_timeout(RETRY_EVERY)
            };
            match job {
                Ok(Job::Erase(key)) => wanted.push_back(key),
                Err(RecvTimeoutError::Timeout) => {}
                // What still waits is found by the next opening.
                Ok(Job::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
            while let Some(key) = wanted.pop_front() {
                if !self.finish(&key) {
                    wanted.push_front(key);
                    break;
                }
            }
        }
    }

    /// Erases a subject, and tells whoever waits; returns whether nothing is left to be tried again.
    fn finish(&self, key: &Arc<SubjectKey>) -> bool {
        let erased = match self.shared.stop.reason() {
            None => self.erase(key),
            Some(reason) => Err(AppendError::Stopped(reason).into()),
        };
        match erased {
            Ok(done) => {
                key.state().tell_erased(done);
                if let Some(listener) = self.shared.erasure_listener.get() {
                    listener(done);
                }
            }
            Err(failure) if is_disk_full(&failure) => return false,
            Err(failure) => {
                drop(self.shared.stop.set(&failure));
                self.shared.tail.wake();
                key.state().forget_waiting();
            }
        }
        true
    }

    fn erase(&self, key: &Arc<SubjectKey>) -> Result<SequenceNumber, Failure> {
        let (erasure, mut recent) = {
            let mut state = key.state();
            state.keys = None;
            (state.custody.erasure, state.recent().to_vec())
        };
        let (Some(erasure), Some(name)) = (erasure, key.name.clone()) else {
            return Err("an erasure that nobody wants".into());
        };
        // Its key may have been looked up beside the one that sealed it, whose recent entries it does not know.
        let own = match &name {
            SubjectName::Session(..) => None,
            SubjectName::Entry(sequence) => Some(sequence.0),
        };
        recent.extend(own);
        let payloads = remove(&self.shared, key.slot, &recent)?;
        let subject = Subject {
            key_slot: key.slot,
            name,
        };
        let fact = Fact::ErasureDone(ErasureDoneFact {
            subject,
            erasure,
            payloads,
        });
        let at = (self.shared.options.clock)();
        // If we stop before this is durable, start-up finds the wish without its end, and does all of it again.
        let done = self.append(Prepared::of_own(Arc::clone(key), at, fact))?;
        // If we stop before this is, start-up does once more what is done already.
        self.shared.keys.vault.note_erased_through(done.0 + 1)?;
        Ok(done)
    }

    fn append(&self, prepared: Prepared) -> Result<SequenceNumber, Failure> {
        let (reply, appended) = bounded::<Result<Appended, AppendError>>(1);
        let request = Request {
            prepared,
            reply: Box::new(move |appended| drop(reply.send(appended))),
            known: None,
            indexed: u64::MAX,
        };
        self.queue.send(request).map_err(|_| AppendError::Closing)?;
        Ok(appended.recv()??.sequence)
    }
}

fn is_disk_full(failure: &Failure) -> bool {
    matches!(failure.downcast_ref(), Some(AppendError::DiskFull))
}

/// Destroys a key, then removes what it sealed from the journal; returns how many payloads that were. The key goes first:
/// from then on nothing can be read any more, wherever a copy of the sealed bytes may lie.
pub(super) fn remove(shared: &Shared, slot: KeySlot, recent: &[u64]) -> Result<u64, Failure> {
    // If we stop before this is durable, start-up does it again.
    shared.keys.vault.destroy(slot)?;
    let mut payloads: BTreeSet<u64> = shared.index.payloads_of(slot)?.into_iter().collect();
    payloads.extend(recent);
    blank(
        &shared.journal_directory,
        &payloads,
        shared.tail.journal_end(),
    )?;
    Ok(u64::try_from(payloads.len())?)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use crossbeam_channel::unbounded;
    use state_machine::id::{SessionId, World};
    use tempfile::TempDir;

    use super::super::MasterKey;
    use super::super::options::{Options, RandomError};
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "a random source may fail")]
    fn random(bytes: &mut [u8]) -> Result<(), RandomError> {
        crate::system::fill_random(bytes).unwrap();
        Ok(())
    }

    fn open(directory: &TempDir) -> Log {
        let key = "5f2b9c04e17da386f0c4317b8e9256ad08e3d15b7fc96240a1be8d3372f60c59";
        let options = Options {
            disk_free_bytes_min: 0,
            ballast_bytes: 0,
            ..Options::new(random, crate::system::now)
        };
        let path = directory.path().join("log");
        Log::open(&path, &MasterKey::parse(key).unwrap(), options)
            .unwrap()
            .0
    }

    #[test]
    fn an_erasure_that_finds_the_disk_full_waits_and_stops_nothing() {
        let directory = TempDir::new().unwrap();
        let log = open(&directory);
        let world = World {
            livemode: false,
            account: None,
        };
        let name = SubjectName::Session(world, SessionId::parse("vs_1").unwrap());
        let key = log.shared.keys.key(&name, &log.shared.index).unwrap();
        key.state().custody.erasure = Some(SequenceNumber(0));
        let (queue, requests) = bounded(1);
        let (jobs, wanted) = unbounded();
        let eraser = Eraser::new(Arc::clone(&log.shared), queue);
        let eraser = thread::spawn(move || eraser.run(&wanted));

        jobs.send(Job::Erase(Arc::clone(&key))).unwrap();
        let refused: Request = requests.recv().unwrap();
        (refused.reply)(Err(AppendError::DiskFull));
        let again = requests.recv().unwrap();
        (again.reply)(Ok(Appended {
            sequence: SequenceNumber(1),
            duplicate: false,
            conflicts: false,
        }));
        jobs.send(Job::End).unwrap();
        eraser.join().unwrap();

        assert!(log.health().stopped.is_none());
        assert_eq!(log.shared.keys.vault.erased_through(), 2);
    }
}
