//! The index: from what an entry is known by to the entry, and from a subject to its key and its payloads. Derived from
//! the leaves and disposable; its cursor moves in the same batch as its entries, so it is never ahead of itself.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use state_machine::id::SequenceNumber;

use super::binary::Fields;
use super::custody::{Custody, subject_of};
use super::dedupe::{Identification, Known};
use super::entry::{Fact, Leaf, SubjectName};
use super::identity::Identity;
use super::index_error::IndexError;
use super::panic_guard;
use super::rows::database::{Database, Memory};
use super::rows::keyspace::Keyspace;
use super::rows::snapshot::{Rows, Snapshot};
use super::subject_row as row;
use super::vault::KeySlot;

/// A version of the index's own format.
const META_KEY: &[u8] = b"\0version 2";
/// How much of it a kill costs: that is had again from the log.
const ROWS_BYTES_MAX: u64 = 8 * 1024 * 1024;
const ENTRIES: u8 = b'e';
const SUBJECTS: u8 = b's';
pub(super) const DAMAGED_MARK: &str = "damaged";

/// The open index.
pub(super) struct Index {
    directory: PathBuf,
    database: Database,
    entries: Keyspace,
    subjects: Keyspace,
}

/// How far the index has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Covered {
    /// How many entries.
    pub(super) entries: u64,
    /// The first key slot that none of them names.
    pub(super) slots_end: KeySlot,
}

impl Covered {
    pub(super) const NOTHING: Self = Self {
        entries: 0,
        slots_end: KeySlot::FIRST_OF_SESSIONS,
    };

    /// Returns what is covered with one more entry.
    pub(super) fn with(self, leaf: &Leaf) -> Self {
        Self {
            entries: leaf.sequence.0.saturating_add(1),
            slots_end: KeySlot(self.slots_end.0.max(leaf.key_slot.0.saturating_add(1))),
        }
    }
}

/// What the index is told of an entry.
pub(super) struct Indexed<'entry> {
    /// By what its delivery is known again, if it had one.
    pub(super) delivery: Option<(&'entry Identification, Known)>,
    pub(super) leaf: &'entry Leaf,
    /// Whether it may be the first to name its key.
    pub(super) binds_key: bool,
}

impl Index {
    /// Opens it; returns what it covers: nothing if it was not begun.
    pub(super) fn open(
        directory: &Path,
        identity: Identity,
        cache_bytes: u64,
    ) -> Result<(Self, Option<Covered>), IndexError> {
        if directory.join(DAMAGED_MARK).exists() {
            return Err(IndexError::Damaged(
                "it could not be read or written before".to_owned(),
            ));
        }
        let index = panic_guard::catch(|| Self::open_database(directory, cache_bytes))
            .map_err(IndexError::Damaged)??;
        let meta = guarded(|| index.entries.get(META_KEY))?;
        let Some(meta) = meta else {
            return Ok((index, None));
        };
        let mut fields = Fields::of(&meta);
        let (entries, slots_end) = (fields.u64(), fields.u64().map(KeySlot));
        let owner = Identity::parse(fields.rest());
        match entries.zip(slots_end).filter(|_| owner == Some(identity)) {
            Some((entries, slots_end)) => Ok((index, Some(Covered { entries, slots_end }))),
            None => Err(IndexError::Damaged("it belongs to another log".to_owned())),
        }
    }

    /// Begins an empty one, durably: from here on, that it covers little does not mean that it was lost.
    pub(super) fn begin(&self, identity: Identity) -> Result<Covered, IndexError> {
        let covered = Covered::NOTHING;
        guarded(|| {
            self.entries.insert(META_KEY, meta(covered, identity))?;
            self.database.make_durable()
        })?;
        Ok(covered)
    }

    /// Reads what a start needs of it, so that a damage there is met before anything relies on it. Erasures below
    /// `erased_through` are done with.
    pub(super) fn answers_a_start(&self, erased_through: u64) -> bool {
        let custodies = || {
            let unfinished = self.unfinished_erasures()?;
            unfinished
                .into_iter()
                .try_for_each(|slot| self.custody(slot).map(drop))
        };
        custodies().is_ok() && self.finished_erasures(erased_through).is_ok()
    }

    /// Deletes all of it. It is derived, so nothing is lost.
    pub(super) fn delete(directory: &Path) -> io::Result<()> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn open_database(directory: &Path, cache_bytes: u64) -> Result<Self, IndexError> {
        let memory = Memory {
            cache_bytes,
            rows_bytes_max: ROWS_BYTES_MAX,
        };
        let database = Database::open(directory, memory)?;
        let (entries, subjects) = (database.keyspace(ENTRIES), database.keyspace(SUBJECTS));
        Ok(Self {
            directory: directory.to_owned(),
            database,
            entries,
            subjects,
        })
    }

    pub(super) fn find(
        &self,
        identification: &Identification,
    ) -> Result<Option<Known>, IndexError> {
        let value = guarded(|| self.entries.get(identification.as_bytes()))
            .inspect_err(|_| self.mark_damaged())?;
        Ok(value.and_then(|value| {
            let mut fields = Fields::of(&value);
            Some(Known {
                sequence: SequenceNumber(fields.u64()?),
                facts: fields.array()?,
            })
        }))
    }

    /// Returns where the key of a subject lies.
    pub(super) fn slot_of(&self, name: &SubjectName) -> Result<Option<KeySlot>, IndexError> {
        let value = self.subject_row(&row::name(name))?;
        Ok(value
            .and_then(|value| Fields::of(&value).u64())
            .map(KeySlot))
    }

    /// Returns what is decided about the payloads of a key.
    pub(super) fn custody(&self, slot: KeySlot) -> Result<Custody, IndexError> {
        let value = self.subject_row(&row::custody(slot))?;
        Ok(value
            .and_then(|value| Custody::parse(&value))
            .unwrap_or_default())
    }

    /// Returns the entries whose payloads are sealed with a key, in order.
    pub(super) fn payloads_of(&self, slot: KeySlot) -> Result<Vec<u64>, IndexError> {
        self.numbers(&row::payloads(slot))
    }

    /// Returns the keys whose erasure is wanted and not done.
    pub(super) fn unfinished_erasures(&self) -> Result<Vec<KeySlot>, IndexError> {
        let slots = self.numbers(row::UNFINISHED)?;
        Ok(slots.into_iter().map(KeySlot).collect())
    }

    /// Returns the entries from `sequence` on which say that an erasure is done. Those before are not read: there are more
    /// and more of them.
    pub(super) fn finished_erasures(&self, sequence: u64) -> Result<Vec<u64>, IndexError> {
        self.numbers_of(|rows| {
            let range = [sequence, u64::MAX]
                .map(SequenceNumber)
                .map(row::finished)
                .map(Bound::Included);
            rows.range(&self.subjects, range.into())
        })
    }

    fn subject_row(&self, key: &[u8]) -> Result<Option<lsm_tree::Slice>, IndexError> {
        guarded(|| self.subjects.get(key)).inspect_err(|_| self.mark_damaged())
    }

    /// Returns the numbers that end the keys of this prefix, in order.
    fn numbers(&self, prefix: &[u8]) -> Result<Vec<u64>, IndexError> {
        self.numbers_of(|rows| rows.prefix(&self.subjects, prefix))
    }

    /// Returns the numbers that end the keys of these rows, in order.
    fn numbers_of(&self, rows: impl Fn(&Snapshot) -> Rows) -> Result<Vec<u64>, IndexError> {
        let read = || {
            rows(&self.database.snapshot())
                .map(|row| Ok(row::last_number(&row?.0)))
                .collect::<lsm_tree::Result<Vec<_>>>()
        };
        let numbers = guarded(read).inspect_err(|_| self.mark_damaged())?;
        Ok(numbers.into_iter().flatten().collect())
    }

    /// Adds entries and moves the cursor behind them, all or nothing.
    pub(super) fn apply<'entry>(
        &self,
        entries: impl Iterator<Item = Indexed<'entry>>,
        mut covered: Covered,
        identity: Identity,
    ) -> Result<Covered, IndexError> {
        let mut batch = self.database.batch();
        let mut custodies = BTreeMap::new();
        for Indexed {
            delivery,
            leaf,
            binds_key,
        } in entries
        {
            covered = covered.with(leaf);
            if let Some((identification, known)) = delivery {
                let value = [known.sequence.0.to_le_bytes().as_slice(), &known.facts].concat();
                batch.insert(&self.entries, identification.as_bytes(), value);
            }
            if leaf.payload.is_some() && leaf.key_slot != KeySlot::LOG {
                let key = row::payload(leaf.key_slot, leaf.sequence);
                batch.insert(&self.subjects, key, []);
            }
            if binds_key && let Fact::Event(fact) | Fact::Conflict(fact) = &leaf.fact {
                let name = SubjectName::Session(fact.world.clone(), fact.session.clone());
                batch.insert(
                    &self.subjects,
                    row::name(&name),
                    leaf.key_slot.0.to_le_bytes(),
                );
            }
            if let Some(subject) = subject_of(&leaf.fact) {
                let slot = subject.key_slot;
                let before = custodies.get(&slot).copied();
                let before = before.map_or_else(|| self.custody(slot), Ok)?;
                let after = before.after(leaf.sequence, &leaf.fact);
                if after.done.is_some() && before.done.is_none() {
                    batch.insert(&self.subjects, row::finished(leaf.sequence), []);
                }
                custodies.insert(slot, after);
            }
        }
        for (slot, custody) in custodies {
            batch.insert(&self.subjects, row::custody(slot), custody.to_bytes());
            if custody.erasure.is_some() && custody.done.is_none() {
                batch.insert(&self.subjects, row::unfinished(slot), []);
            } else {
                batch.remove(&self.subjects, row::unfinished(slot));
            }
        }
        batch.insert(&self.entries, META_KEY, meta(covered, identity));
        guarded(|| batch.commit()).inspect_err(|_| self.mark_damaged())?;
        Ok(covered)
    }

    /// Has the next opening build it anew. If the mark itself fails, that opening finds the damage again.
    fn mark_damaged(&self) {
        drop(File::create(self.directory.join(DAMAGED_MARK)));
    }
}

/// Returns what the index says of itself.
fn meta(covered: Covered, identity: Identity) -> Vec<u8> {
    let numbers = [
        covered.entries.to_le_bytes(),
        covered.slots_end.0.to_le_bytes(),
    ];
    [numbers.as_flattened(), &identity.to_bytes()].concat()
}

fn guarded<T>(work: impl FnOnce() -> lsm_tree::Result<T>) -> Result<T, IndexError> {
    Ok(panic_guard::catch(work).map_err(IndexError::Damaged)??)
}
