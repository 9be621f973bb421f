//! The second step: a record of each session, and what follows from it.
//!
//! One thread merges what was sorted, others fold it, and the caller's writes what they come to in the order in which
//! it was merged.

use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};
use state_machine::id::{SequenceNumber, SessionId, World};

use super::packed::Packed;
use super::sorter::{Sorted, Sorter};
use super::users::Contribution;
use super::watch::Watch;
use super::{FoldError, spawn};
use crate::log::entry::Leaf;
use crate::log::rows::keyspace::Keyspace;
use crate::projections::derived::Derived;
use crate::projections::key;
use crate::projections::listing;
use crate::projections::record::SessionRecord;
use crate::projections::store::StoreError;
use crate::projections::take_in::{Concern, concern, damaged};

/// How many bytes of leaves a batch has, about; a session is never divided.
const BATCH_BYTES: usize = 256 * 1024;
const BATCHES_WAITING: usize = 2;
const FOLDERS: usize = 2;

/// What is sorted next.
pub(super) struct Outputs<'fold> {
    pub(super) rows: &'fold mut Sorter,
    pub(super) users: &'fold mut Sorter,
    pub(super) strays: &'fold mut Sorter,
}

/// What a batch came to.
#[derive(Default)]
struct Folded {
    leaves: u64,
    records: Packed,
    rows: Packed,
    users: Packed,
    strays: Packed,
}

/// Makes the records of all sessions from their leaves, which come sorted by the session's key.
pub(super) fn fold(
    sorted: Sorted,
    sessions: &Keyspace,
    outputs: Outputs<'_>,
    watch: &Watch,
) -> Result<(), FoldError> {
    let Outputs {
        rows,
        users,
        strays,
    } = outputs;
    let mut records = sessions.start_ingestion()?;
    thread::scope(|scope| {
        let mut batches = Vec::new();
        let mut folded = Vec::new();
        let mut threads = Vec::new();
        for _ in 0..FOLDERS {
            let (sender, receiver) = bounded::<Packed>(BATCHES_WAITING);
            let (fold, outcome) = bounded::<Result<Folded, FoldError>>(BATCHES_WAITING);
            batches.push(sender);
            folded.push(outcome);
            threads.push(spawn(scope, "fold-sessions", watch, move || {
                fold_batches(&receiver, &fold);
                Ok(())
            })?);
        }
        threads.push(spawn(scope, "fold-merger", watch, move || {
            merge(sorted, &batches)
        })?);
        // In the order in which the merger shares them out; the first that has none has none to come.
        let mut outcomes = folded.iter().cycle();
        while let Some(Ok(outcome)) = outcomes.next().map(Receiver::recv) {
            let folded = outcome?;
            watch.count(folded.leaves)?;
            for (key, record) in folded.records.iter() {
                records.write(key, record)?;
            }
            rows.push_all(&folded.rows)?;
            users.push_all(&folded.users)?;
            strays.push_all(&folded.strays)?;
        }
        for thread in threads {
            thread.join().map_err(|_| FoldError::Thread)??;
        }
        Ok::<_, FoldError>(())
    })?;
    Ok(records.finish()?)
}

/// Shares out what is sorted, in turns.
fn merge(mut sorted: Sorted, folders: &[Sender<Packed>]) -> Result<(), FoldError> {
    let mut batch = Packed::default();
    let mut last = 0;
    let mut folders = folders.iter().cycle();
    while let Some((key, leaf)) = sorted.next()? {
        let is_full = batch.byte_count() >= BATCH_BYTES;
        if is_full && batch.at(last).is_none_or(|(last, _, _)| last != key) {
            let whole = std::mem::take(&mut batch);
            if folders
                .next()
                .is_none_or(|folder| folder.send(whole).is_err())
            {
                return Ok(()); // whoever does not take it says why
            }
        }
        last = batch.push(key, leaf);
    }
    if let Some(folder) = folders.next().filter(|_| !batch.is_empty()) {
        drop(folder.send(batch));
    }
    Ok(())
}

fn fold_batches(batches: &Receiver<Packed>, folded: &Sender<Result<Folded, FoldError>>) {
    for batch in batches {
        if folded.send(fold_batch(&batch)).is_err() {
            return;
        }
    }
}

/// A session whose leaves are taken in.
struct Session {
    key: Vec<u8>,
    name: Option<(World, SessionId)>,
    record: SessionRecord,
}

fn fold_batch(batch: &Packed) -> Result<Folded, FoldError> {
    let mut folded = Folded::default();
    let mut session: Option<Session> = None;
    for (key, bytes) in batch.iter() {
        folded.leaves += 1;
        if session.as_ref().is_none_or(|session| session.key != key) {
            let begun = Session {
                key: key.to_vec(),
                name: None,
                record: SessionRecord::default(),
            };
            if let Some(whole) = session.replace(begun) {
                folded.add(&whole)?;
            }
        }
        let Some(session) = &mut session else {
            continue;
        };
        match Leaf::decode(bytes) {
            Ok(leaf) => session.take_in(&leaf),
            Err(error) => folded.add_unreadable(bytes, &error.to_string()),
        }
    }
    if let Some(whole) = session {
        folded.add(&whole)?;
    }
    Ok(folded)
}

impl Session {
    fn take_in(&mut self, leaf: &Leaf) {
        if self.name.is_none()
            && let Concern::Session(world, id) = concern(leaf)
        {
            self.name = Some((world.clone(), id.clone()));
        }
        self.record.take_in(leaf);
    }
}

impl Folded {
    fn add(&mut self, session: &Session) -> Result<(), StoreError> {
        let Session { key, name, record } = session;
        let Some((world, id)) = name else {
            return Ok(()); // none of its leaves could be read
        };
        let derived = Derived::of(world, id, record);
        self.records.push(key, &record.encode()?);
        for (key, row) in &derived.rows {
            self.rows.push(key, row);
        }
        for tag in &derived.named {
            let contribution = Contribution::Session {
                id: id.as_str(),
                owns: derived.owner == Some(*tag),
                outline: derived.outline,
            };
            let put = |to: &mut Vec<u8>| contribution.put(to);
            self.users.push_with(&key::user(world, *tag), put);
        }
        Ok(())
    }

    /// Lists a leaf whose session can be told and which does not decode.
    fn add_unreadable(&mut self, bytes: &[u8], error: &str) {
        let Some(outline) = crate::log::outline::Outline::of(bytes) else {
            return;
        };
        let SequenceNumber(sequence) = outline.sequence;
        tracing::error!(entry.sequence = sequence, error, "an entry is not folded");
        let (key, row) = listing::anomaly_row(None, &damaged(outline.sequence));
        self.strays.push(&key, &row);
    }
}
