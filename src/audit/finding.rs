//! Findings: what an audit found, each with its place and a sentence; bounded in number, and all counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::source::SourceError;
use crate::log::inspection::{JournalError, JournalProblem};

/// How many findings of a class are kept; all are counted.
pub const KEPT_MAX: usize = 20;

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The checkpoint is not by whom the auditor trusts.
    UntrustedKey,
    /// Two statements of the log exclude each other, or it is older than what somebody has seen.
    ForkedOrRolledBack,
    /// Something is not what it was when it was written or signed.
    Tampered,
    /// What was to be erased can still be read.
    ErasureIncomplete,
    /// A check could not be made.
    CouldNotCheck,
}

impl Class {
    /// Every class, the gravest first: the first that an audit found decides what it comes to.
    pub const ALL: [Self; 5] = [
        Self::UntrustedKey,
        Self::ForkedOrRolledBack,
        Self::Tampered,
        Self::ErasureIncomplete,
        Self::CouldNotCheck,
    ];

    /// Returns its stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::UntrustedKey => "untrusted_key",
            Self::ForkedOrRolledBack => "forked_or_rolled_back",
            Self::Tampered => "tampered",
            Self::ErasureIncomplete => "erasure_incomplete",
            Self::CouldNotCheck => "could_not_check",
        }
    }
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Something that an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it means.
    pub class: Class,
    /// The entry that it concerns, if it concerns one.
    pub sequence: Option<u64>,
    /// What was found, with the file and the byte where that is known.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.sequence {
            Some(sequence) => write!(formatter, "entry {sequence}: {}", self.what),
            None => formatter.write_str(&self.what),
        }
    }
}

/// What an audit has found so far.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    kept: Vec<Finding>,
    counts: BTreeMap<Class, u64>,
}

impl Findings {
    /// Notes a finding about the log or one of its files.
    pub fn add(&mut self, class: Class, what: impl Into<String>) {
        self.note(class, None, &what.into());
    }

    /// Notes a finding about an entry.
    pub fn add_of(&mut self, class: Class, sequence: u64, what: impl Into<String>) {
        self.note(class, Some(sequence), &what.into());
    }

    /// Notes why something could not be read: that may be damage, or nothing but a lost connection.
    pub fn add_error(&mut self, error: &SourceError) {
        match error {
            SourceError::Journal(JournalError::Damaged { sequence, .. }) => {
                self.add_of(Class::Tampered, *sequence, error.to_string());
            }
            SourceError::Damaged { .. } | SourceError::Missing(_) => {
                self.add(Class::Tampered, error.to_string());
            }
            SourceError::NoSource(_)
            | SourceError::Io { .. }
            | SourceError::Journal(JournalError::Io { .. } | JournalError::Pruned { .. })
            | SourceError::Web(_) => self.add(Class::CouldNotCheck, error.to_string()),
        }
    }

    /// Returns how many there are of each class that has any.
    pub fn counts(&self) -> impl Iterator<Item = (Class, u64)> {
        self.counts.iter().map(|(class, count)| (*class, *count))
    }

    /// Returns the first ones of each class.
    pub fn kept(&self) -> &[Finding] {
        &self.kept
    }

    /// Returns the gravest class.
    pub fn gravest(&self) -> Option<Class> {
        Class::ALL
            .into_iter()
            .find(|class| self.counts.contains_key(class))
    }

    fn note(&mut self, class: Class, sequence: Option<u64>, what: &str) {
        let count = self.counts.entry(class).or_default();
        *count += 1;
        if *count <= u64::try_from(KEPT_MAX).unwrap_or(u64::MAX) {
            self.kept.push(Finding {
                class,
                sequence,
                what: printable(what),
            });
        }
    }
}

/// Returns a text of somebody else's without what could steer a terminal.
pub(super) fn printable(text: &str) -> String {
    let plain = |character: char| {
        if character.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            character
        }
    };
    text.chars().map(plain).collect()
}

/// Tells whether an error is what a service leaves that died while it wrote, or that is writing.
pub(super) fn is_torn_end(error: &SourceError) -> bool {
    matches!(
        error,
        SourceError::Journal(JournalError::Damaged {
            problem: JournalProblem::Record | JournalProblem::Trailing,
            ..
        })
    )
}
