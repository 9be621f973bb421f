//! The hashes that are stored of the tree, each compared with the one that the leaves come to.

use super::finding::{Class, Findings};
use super::source::{CHUNK_ENTRIES, Source};
use crate::transparency::hash::Hash;

/// How far each level of the stored tree has been compared.
pub(super) struct StoredTree<'audit> {
    source: &'audit Source,
    /// The size of the latest checkpoint: the hashes of a tree of that size have to be there.
    size: u64,
    levels: Vec<Level>,
    /// How many hashes were compared.
    pub(super) compared: u64,
}

#[derive(Default)]
struct Level {
    next: u64,
    /// The stored hashes from the last multiple of 256 on.
    stored: Vec<Hash>,
    /// Whether reading failed: told once, then left.
    is_given_up: bool,
}

impl<'audit> StoredTree<'audit> {
    pub(super) fn new(source: &'audit Source, size: u64) -> Self {
        Self {
            source,
            size,
            levels: Vec::new(),
            compared: 0,
        }
    }

    /// Compares the next hash of a level.
    pub(super) fn compare(&mut self, level: u8, hash: &Hash, findings: &mut Findings) {
        let index = usize::from(level);
        if self.levels.len() <= index {
            self.levels.resize_with(index + 1, Level::default);
        }
        let Some(state) = self.levels.get_mut(index) else {
            return;
        };
        let place = state.next;
        state.next += 1;
        if state.is_given_up {
            return;
        }
        if place.is_multiple_of(CHUNK_ENTRIES) {
            match self.source.hashes(level, place) {
                Ok(stored) => state.stored = stored,
                Err(error) => {
                    findings.add_error(&error);
                    state.is_given_up = true;
                    return;
                }
            }
        }
        let stored = usize::try_from(place % CHUNK_ENTRIES)
            .ok()
            .and_then(|place| state.stored.get(place));
        let is_due = place < complete(self.size, level);
        let problem = match stored {
            Some(stored) if stored == hash => {
                self.compared += 1;
                return;
            }
            Some(_) => "is not the one that the leaves come to",
            None if is_due => "is missing",
            None => return,
        };
        findings.add(
            Class::Tampered,
            format!("hash {place} of level {level} of the stored tree {problem}"),
        );
    }

    /// Finds stored hashes of leaves that are not there; a service that runs may have stored more meanwhile.
    pub(super) fn end(&self, size: u64, findings: &mut Findings) {
        let at_rest = (self.source.data_directory()).filter(|directory| !directory.is_in_use());
        let Some(directory) = at_rest else {
            return;
        };
        for level in 0..8 {
            let bytes = directory.level_bytes(level);
            if bytes > complete(size, level) * 32 || bytes % 32 != 0 {
                let what = format!(
                    "level {level} of the stored tree holds {bytes} bytes, more than the leaves come to"
                );
                findings.add(Class::Tampered, what);
            }
        }
    }
}

/// Returns how many hashes of a level a tree of `size` leaves has.
fn complete(size: u64, level: u8) -> u64 {
    size.checked_shr(u32::from(level) * 8).unwrap_or(0)
}
