//! Comparing two stores row by row, as they stood at one sequence number: what a rebuild changes, and why.

use std::cmp::Ordering;

use state_machine::id::{SequenceNumber, SessionId, UserTag, World};

use super::bulk::FoldError;
use super::bulk::watch::Watch;
use super::description::{Described, describe};
use super::digest::{Digesting, ProjectionsDigest};
use super::store::StoreError;
use super::view::View;
use crate::log::rows::keyspace::Keyspace;
use crate::log::rows::snapshot::{Row, Rows};

/// How many differences are told; all are counted.
pub const DIFFERENCES_MAX: usize = 1_000;
/// How many rows are compared between two looks whether somebody wants an end.
const ROWS_AT_ONCE: u64 = 10_000;

/// What two stores come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The digest of the one that is there; `None` if it cannot be read to its end.
    pub before: Option<ProjectionsDigest>,
    /// The digest of the one that was folded from the log; `None` if only a part was.
    pub after: Option<ProjectionsDigest>,
    /// How many rows differ.
    pub count: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// Why the one that is there cannot be read to its end, if it cannot.
    pub unreadable: Option<String>,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Whose it is.
    pub subject: Subject,
    /// Of which kind.
    pub what: What,
    /// What was stored, in a few words.
    pub before: Option<String>,
    /// What the log says, in a few words.
    pub after: Option<String>,
    /// In what they differ.
    pub why: String,
}

/// Whose a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A session's.
    Session(World, SessionId),
    /// A user's.
    User(World, UserTag),
    /// An entry's, which is strange.
    Entry(SequenceNumber),
    /// Nobody's: its key names nothing.
    Nobody,
}

/// Which kind of row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The record of a session or a user.
    Record,
    /// The row by which one of them is listed.
    Listing,
    /// The row of an anomaly.
    Anomaly,
}

impl Comparison {
    pub(super) const fn empty() -> Self {
        Self {
            before: None,
            after: None,
            count: 0,
            differences: Vec::new(),
            unreadable: None,
        }
    }

    pub(super) fn add(&mut self, difference: Difference) {
        self.count += 1;
        if self.differences.len() < DIFFERENCES_MAX {
            self.differences.push(difference);
        }
    }
}

/// Compares what is there with what was folded.
pub fn compare(before: &View, after: &View, watch: &Watch) -> Result<Comparison, FoldError> {
    let mut comparison = Comparison::empty();
    let mut digests = (
        Digesting::at(before.cursor()?.next),
        Digesting::at(after.cursor()?.next),
    );
    let folded = after.projections.folded();
    for ((name, stored), (_, folded)) in before.projections.folded().into_iter().zip(folded) {
        let sides = (Side::of(before, stored), Side::of(after, folded));
        compare_keyspace(name, sides, &mut digests, watch, &mut comparison)?;
    }
    let is_whole = comparison.unreadable.is_none();
    comparison.before = is_whole.then(|| digests.0.finish());
    comparison.after = Some(digests.1.finish());
    Ok(comparison)
}

/// The rows of a keyspace, and the one that is next.
struct Side<'view> {
    view: &'view View,
    rows: Rows,
}

impl<'view> Side<'view> {
    fn of(view: &'view View, keyspace: &Keyspace) -> Self {
        Self {
            view,
            rows: view.snapshot.iter(keyspace),
        }
    }

    fn next(&mut self) -> Result<Option<Row>, StoreError> {
        let row = self.rows.next();
        self.view.noting_damage(row.transpose())
    }
}

fn compare_keyspace(
    name: &'static str,
    (mut stored, mut folded): (Side<'_>, Side<'_>),
    digests: &mut (Digesting, Digesting),
    watch: &Watch,
    comparison: &mut Comparison,
) -> Result<(), FoldError> {
    let mut before = readable(stored.next(), comparison);
    let mut after = folded.next()?;
    let mut is_stored_whole = comparison.unreadable.is_none();
    for number in 1_u64.. {
        let order = match (&before, &after) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((stored, _)), Some((folded, _))) => stored.cmp(folded),
        };
        let old = before.take_if(|_| order.is_le());
        let new = after.take_if(|_| order.is_ge());
        if let Some((key, value)) = &old {
            digests.0.add(name, key, value);
            before = readable(stored.next(), comparison);
            is_stored_whole &= before.is_some() || comparison.unreadable.is_none();
        }
        if let Some((key, value)) = &new {
            digests.1.add(name, key, value);
            after = folded.next()?;
        }
        // Behind a damage, everything would seem to be lost.
        if is_stored_whole && old != new {
            let key = old.as_ref().or(new.as_ref()).map(|(key, _)| key);
            let value = |row: &Option<Row>| row.as_ref().map(|(_, value)| value.to_vec());
            let (old, new) = (value(&old), value(&new));
            let described = Described {
                keyspace: name,
                key: key.map_or(&[], |key| &**key),
                before: old.as_deref(),
                after: new.as_deref(),
            };
            comparison.add(describe(&described));
        }
        if number.is_multiple_of(ROWS_AT_ONCE) {
            watch.check()?;
        }
    }
    Ok(())
}

/// Returns a row; notes why there is none if it cannot be read.
fn readable(row: Result<Option<Row>, StoreError>, comparison: &mut Comparison) -> Option<Row> {
    row.unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        comparison.unreadable = Some(cause.unwrap_or_else(|| error.to_string()));
        None
    })
}
