//! Residue: a search of every file of a data directory for what an erasure should have left nothing of.
//!
//! Read-only: it opens neither sled nor the vault as the log does, both of which write when they are opened.
//! What was erased is told by the leaves, which lie in the journal and in sled. A wrapped key counts as found where it
//! opens under the master key; a sealed payload where its record stands and is not blank. sled overwrites nothing: sealed
//! payloads in its files are expected, as long as their key is found nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

mod files;
mod magic;
mod wrapped_keys;

use state_machine::id::SequenceNumber;

use self::files::FoundFile;
use self::magic::{Magic, each_magic};
use self::wrapped_keys::WrappedKeys;
use super::custody::{Custody, subject_of};
use super::entry::{Fact, Leaf};
use super::keys::MasterKey;
use super::record::RecordHead;
use super::vault::{Inspection, KeySlot, VaultError};

/// What a search came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Residue {
    /// How many files were searched.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many subjects are erased, or are to be, with nothing that holds them.
    pub erased: u64,
    /// How many of these the log has not finished with.
    pub unfinished: u64,
    /// How many erasures wait for a hold to be released.
    pub waiting: u64,
    /// Sealed payloads in sled's files whose key is gone: expected.
    pub unreadable_payloads: u64,
    /// Wrapped keys that do not open under this master key, so that nobody can say whose they are.
    pub unopened_keys: Vec<Place>,
    /// What should not be there.
    pub remains: Vec<Remains>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, under the data directory.
    pub file: PathBuf,
    /// The byte at which it begins.
    pub offset: u64,
}

/// Something of an erased subject that is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// Where.
    pub place: Place,
    /// Where in the vault the subject's key lay.
    pub key_slot: KeySlot,
    /// What.
    pub what: RemainsKind,
}

/// What is left of an erased subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemainsKind {
    /// Its wrapped key: with the master key, all that it sealed can be read.
    WrappedKey,
    /// A sealed payload.
    SealedPayload,
}

/// Why a search could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ResidueError {
    /// A file or directory could not be read.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no log to tell what was erased.
    #[error("there is no journal in {path}", path = path.display())]
    NoLog {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is no vault to tell which log's keys are looked for.
    #[error("there is no vault at {path}", path = path.display())]
    NoVault {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Searches every file under a data directory. `progress` is told how many bytes of how many were looked at.
pub fn search(
    data_dir: &Path,
    master: &MasterKey,
    mut progress: impl FnMut(u64, u64),
) -> Result<Residue, ResidueError> {
    let path = data_dir.join("log/journal");
    if !path.is_dir() {
        return Err(ResidueError::NoLog { path });
    }
    let path = data_dir.join("vault");
    let vault = Inspection::open(&path, master)?.ok_or(ResidueError::NoVault { path })?;
    let files = files::under(data_dir)?;
    let bytes = files.iter().map(|file| file.bytes).sum();
    let mut looked_at = 0;
    let mut advance = |bytes_more| {
        looked_at += bytes_more;
        progress(looked_at, 2 * bytes);
    };
    let custodies = custodies(&files, &mut advance)?;
    let wanted = custodies
        .iter()
        .filter(|(_, custody)| custody.erasure.is_some());
    let is_waiting = |custody: &Custody| custody.is_waiting() && custody.done.is_none();
    let (waiting, erased): (Vec<_>, Vec<_>) = wanted.partition(|(_, custody)| is_waiting(custody));
    let unfinished = erased.iter().filter(|(_, custody)| custody.is_due());
    let mut search = Search {
        keys: WrappedKeys::of(vault),
        erased: erased.iter().map(|(slot, _)| **slot).collect(),
        keys_found: BTreeSet::new(),
        payloads: Vec::new(),
        residue: Residue {
            files: count(files.len()),
            bytes,
            erased: count(erased.len()),
            unfinished: count(unfinished.count()),
            waiting: count(waiting.len()),
            ..Residue::default()
        },
    };
    for file in &files {
        search.file(file, &mut advance)?;
    }
    Ok(search.finish())
}

/// Reads what the leaves decided about every subject, wherever they lie.
fn custodies(
    files: &[FoundFile],
    advance: &mut impl FnMut(u64),
) -> Result<BTreeMap<KeySlot, Custody>, ResidueError> {
    let mut facts: BTreeMap<KeySlot, BTreeMap<SequenceNumber, Fact>> = BTreeMap::new();
    for file in files {
        let read = file.read(|open| {
            each_magic(open, advance, |magic, offset| {
                if magic == Magic::Record
                    && let Some((_, leaf)) = leaf_at(open, offset)?
                    && let Some(subject) = subject_of(&leaf.fact)
                {
                    let facts = facts.entry(subject.key_slot).or_default();
                    facts.insert(leaf.sequence, leaf.fact);
                }
                Ok(())
            })
        });
        read.map_err(|source| file.unreadable(source))?;
    }
    let fold = |facts: BTreeMap<SequenceNumber, Fact>| {
        let facts = facts.iter();
        facts.fold(Custody::default(), |custody, (sequence, fact)| {
            custody.after(*sequence, fact)
        })
    };
    Ok(facts
        .into_iter()
        .map(|(slot, facts)| (slot, fold(facts)))
        .collect())
}

/// Reads the leaf of a record that begins at `offset`, if one does.
fn leaf_at(file: &File, offset: u64) -> io::Result<Option<(RecordHead, Leaf)>> {
    let Some((head, leaf)) = RecordHead::read(file, offset)? else {
        return Ok(None);
    };
    Ok(Leaf::decode(&leaf).ok().map(|leaf| (head, leaf)))
}

/// A search under way.
struct Search {
    keys: WrappedKeys,
    erased: BTreeSet<KeySlot>,
    keys_found: BTreeSet<KeySlot>,
    /// Sealed payloads of erased subjects, and whether they lie in sled's files.
    payloads: Vec<(Remains, bool)>,
    residue: Residue,
}

impl Search {
    fn file(
        &mut self,
        file: &FoundFile,
        advance: &mut impl FnMut(u64),
    ) -> Result<(), ResidueError> {
        self.keys.begin_file();
        let read = file.read(|open| {
            each_magic(open, advance, |magic, offset| {
                let place = || Place {
                    file: file.name.clone(),
                    offset,
                };
                match magic {
                    Magic::Record => self.record(open, offset, (file.is_sleds, place())),
                    Magic::WrappedKey => self.wrapped_key(open, offset, place()),
                }
            })
        });
        read.map_err(|source| file.unreadable(source))
    }

    fn record(&mut self, file: &File, offset: u64, at: (bool, Place)) -> io::Result<()> {
        let (is_sleds, place) = at;
        if let Some((head, leaf)) = leaf_at(file, offset)?
            && self.erased.contains(&leaf.key_slot)
            && head.payload_remains(file, offset)?
        {
            let remains = Remains {
                place,
                key_slot: leaf.key_slot,
                what: RemainsKind::SealedPayload,
            };
            self.payloads.push((remains, is_sleds));
        }
        Ok(())
    }

    fn wrapped_key(&mut self, file: &File, offset: u64, place: Place) -> io::Result<()> {
        match self.keys.slot_of(file, offset)? {
            None => self.residue.unopened_keys.push(place),
            Some(key_slot) if self.erased.contains(&key_slot) => {
                self.keys_found.insert(key_slot);
                self.residue.remains.push(Remains {
                    place,
                    key_slot,
                    what: RemainsKind::WrappedKey,
                });
            }
            Some(_) => {}
        }
        Ok(())
    }

    fn finish(mut self) -> Residue {
        for (remains, is_sleds) in self.payloads {
            if is_sleds && !self.keys_found.contains(&remains.key_slot) {
                self.residue.unreadable_payloads += 1;
            } else {
                self.residue.remains.push(remains);
            }
        }
        self.residue
            .remains
            .sort_by(|one, other| one.place.cmp(&other.place));
        self.residue
    }
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
