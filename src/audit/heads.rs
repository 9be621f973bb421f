//! The heads that the log has stated, each held against the leaves when as many have been hashed.

use std::collections::VecDeque;
use std::iter::Peekable;

use super::finding::{Class, Findings};
use super::source::Checkpoints;
use super::trust::head_of;
use crate::transparency::hash::{Hash, TreeHead};
use crate::transparency::key::VerifierKey;
use crate::transparency::note::Note;

/// A checkpoint that somebody kept apart from the log.
pub struct Seen {
    /// What it is called: its file.
    pub name: String,
    /// It, not authenticated.
    pub note: Note,
}

/// Every head that the log has stated, in the order of their sizes.
pub(super) struct Heads<'audit> {
    recorded: Peekable<Checkpoints<'audit>>,
    key: Option<&'audit VerifierKey>,
    next_recorded: Option<TreeHead>,
    /// Told one by one, in order.
    others: VecDeque<Other>,
    /// Whether the leaves come to the root of the latest checkpoint.
    latest_holds: bool,
    /// What contradicts the leaves, until it is known whether they are what was signed last.
    contradictions: Vec<String>,
    contradiction_count: u64,
    /// How many checkpoints were recorded.
    pub(super) count: u64,
}

struct Other {
    name: String,
    head: TreeHead,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Latest,
    Cosigned,
    Seen,
}

/// How many contradictions are told.
const TOLD_MAX: usize = 20;

impl<'audit> Heads<'audit> {
    pub(super) fn new(
        recorded: Checkpoints<'audit>,
        key: Option<&'audit VerifierKey>,
        findings: &mut Findings,
    ) -> Self {
        let mut heads = Self {
            recorded: recorded.peekable(),
            key,
            next_recorded: None,
            others: VecDeque::new(),
            latest_holds: false,
            contradictions: Vec::new(),
            contradiction_count: 0,
            count: 0,
        };
        heads.advance(findings);
        heads
    }

    /// Adds the latest checkpoint, which was authenticated before, the cosigned one, and what others have seen.
    pub(super) fn add(
        &mut self,
        (latest, cosigned): (Option<&Note>, Option<&Note>),
        seen: &[Seen],
        findings: &mut Findings,
    ) {
        let key = self.key;
        let mut others = Vec::new();
        let mut add = |name: &str, note: &Note, key, kind, class| {
            others.extend(
                head_of(note, key, (class, name), findings).map(|head| Other {
                    name: name.to_owned(),
                    head,
                    kind,
                }),
            );
        };
        if let Some(note) = latest {
            add(
                "the latest checkpoint",
                note,
                None,
                Kind::Latest,
                Class::Tampered,
            );
        }
        if let Some(note) = cosigned {
            add(
                "the cosigned checkpoint",
                note,
                key,
                Kind::Cosigned,
                Class::Tampered,
            );
        }
        for Seen { name, note } in seen {
            add(name, note, key, Kind::Seen, Class::UntrustedKey);
        }
        others.sort_by_key(|other| other.head.size);
        self.others = others.into();
    }

    /// Returns the size at which the next heads are due.
    pub(super) fn next_size(&self) -> Option<u64> {
        let other = self.others.front().map(|other| other.head.size);
        let recorded = self.next_recorded.map(|head| head.size);
        other.into_iter().chain(recorded).min()
    }

    /// Holds the heads that are due at `size` against the root of the leaves.
    pub(super) fn check(&mut self, size: u64, root: &Hash, findings: &mut Findings) {
        while let Some(head) = self.next_recorded.filter(|head| head.size <= size) {
            if head.size == size && head.root != *root {
                self.contradict(format!(
                    "the recorded checkpoint of size {size} has another root than the leaves"
                ));
            }
            self.advance(findings);
        }
        while let Some(other) = self.others.pop_front_if(|other| other.head.size <= size) {
            let holds = other.head.root == *root;
            match (other.kind, holds) {
                (Kind::Latest, holds) => self.latest_holds = holds,
                (Kind::Seen | Kind::Cosigned, true) => {}
                (Kind::Seen | Kind::Cosigned, false) => self.contradict(format!(
                    "{} (size {size}) has another root than the leaves",
                    other.name
                )),
            }
        }
    }

    /// Ends the check at the size that was read; `is_whole` if that is where the log ends.
    pub(super) fn end(mut self, size: u64, is_whole: bool, findings: &mut Findings) -> u64 {
        while self.next_recorded.is_some() {
            self.advance(findings);
        }
        let latest_was_read = self.others.iter().all(|other| other.kind != Kind::Latest);
        let others = std::mem::take(&mut self.others);
        for other in others.iter().filter(|_| is_whole) {
            let (name, told) = (&other.name, other.head.size);
            let (class, what) = match other.kind {
                Kind::Latest | Kind::Cosigned => (
                    Class::Tampered,
                    format!("{name} is of {told} entries, and there are {size}"),
                ),
                Kind::Seen => (
                    Class::ForkedOrRolledBack,
                    format!(
                        "{name} is of {told} entries, and there are {size}: the log was rolled back"
                    ),
                ),
            };
            findings.add(class, what);
        }
        if latest_was_read && !self.latest_holds {
            findings.add(
                Class::Tampered,
                "the leaves do not come to the root of the latest checkpoint",
            );
        }
        // Leaves that were signed as they are, against another statement: then the log has told two histories.
        let class = if latest_was_read && self.latest_holds {
            Class::ForkedOrRolledBack
        } else {
            Class::Tampered
        };
        for what in &self.contradictions {
            findings.add(class, what.as_str());
        }
        self.count
    }

    fn contradict(&mut self, what: String) {
        self.contradiction_count += 1;
        if self.contradictions.len() < TOLD_MAX {
            self.contradictions.push(what);
        }
    }

    /// Takes the next recorded checkpoint.
    fn advance(&mut self, findings: &mut Findings) {
        let last = self.next_recorded.take();
        let note = loop {
            match self.recorded.next() {
                None => return,
                Some(Ok(note)) => break note,
                // A damaged one says nothing of those behind it.
                Some(Err(error)) => findings.add_error(&error),
            }
        };
        self.count += 1;
        let name = format!("recorded checkpoint {}", self.count);
        let head = head_of(&note, self.key, (Class::Tampered, &name), findings);
        if let (Some(last), Some(head)) = (last, head)
            && head.size < last.size
        {
            let (size, before) = (head.size, last.size);
            let what = format!("{name} is of {size} entries, and the one before it of {before}");
            findings.add(Class::Tampered, what);
        }
        self.next_recorded = head;
    }
}
