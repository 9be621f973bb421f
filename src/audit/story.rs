//! What the log tells of one subject's payloads, step by step, held against what is there of them.

use std::io;

use state_machine::id::SequenceNumber;

use super::custody_check::{Row, Step, Surroundings};
use super::finding::{Class, Findings};
use super::identities::Name;
use crate::log::Custody;
use crate::log::vault::KeySlot;

/// How many of the last entries may wish an erasure that is under way: a service carries it out behind the wish.
const UNDER_WAY_MAX: u64 = 4_096;

/// The steps of one subject so far.
pub(super) struct Story {
    pub(super) subject: Name,
    pub(super) slot: KeySlot,
    custody: Custody,
    /// The last entry that says that the session was redacted.
    redacted: Option<u64>,
    absent: Seen,
    present: Seen,
}

/// Entries of one kind: the first one, and how many.
#[derive(Default)]
struct Seen {
    first: Option<u64>,
    count: u64,
}

impl Seen {
    fn add(&mut self, sequence: u64) {
        self.first = self.first.or(Some(sequence));
        self.count += 1;
    }
}

impl Story {
    /// Begins the story of a subject with its first entry.
    pub(super) fn of(row: &Row) -> Self {
        Self {
            subject: row.subject,
            slot: row.slot,
            custody: Custody::default(),
            redacted: None,
            absent: Seen::default(),
            present: Seen::default(),
        }
    }

    pub(super) fn take(&mut self, row: &Row, payloads: bool, findings: &mut Findings) {
        let sequence = SequenceNumber(row.sequence);
        let mut unsound = |what: &str| findings.add_of(Class::Tampered, row.sequence, what);
        if row.slot != self.slot {
            unsound("names another key slot than earlier entries of its session");
        }
        let Custody {
            hold,
            erasure,
            done,
        } = self.custody;
        let keeps_payloads = self.custody.keeps_payloads();
        match row.step {
            Step::WithoutPayload if keeps_payloads => {
                unsound("was recorded without its payload, and no entry before wants that erased");
            }
            Step::Present | Step::Remainder | Step::Absent if !keeps_payloads => {
                unsound("was recorded with a payload, and an entry before wants that erased");
            }
            Step::WithoutPayload | Step::Present | Step::Remainder | Step::Absent => {}
            Step::Hold if hold.is_some() => unsound("holds what is held"),
            Step::Hold if erasure.is_some() => unsound("holds what is to be erased"),
            Step::Hold => self.custody.hold = Some(sequence),
            Step::Release if hold.is_none() => unsound("releases what is not held"),
            Step::Release => self.custody.hold = None,
            Step::ErasureByOperator | Step::ErasureByRedaction if erasure.is_some() => {
                unsound("wants erased what an entry before wants erased");
            }
            Step::ErasureByRedaction if self.redacted != Some(row.refers_to) => {
                unsound("wants a session erased by an event that did not redact it");
            }
            Step::ErasureByOperator | Step::ErasureByRedaction => {
                self.custody.erasure = Some(sequence);
            }
            Step::Done if done.is_some() => unsound("says again that an erasure is done"),
            Step::Done if erasure != Some(SequenceNumber(row.refers_to)) => {
                unsound("says that an erasure is done that no entry before wants");
            }
            Step::Done if hold.is_some() => unsound("says that what is held was erased"),
            Step::Done => self.custody.done = Some(sequence),
        }
        self.note(row, payloads);
    }

    fn note(&mut self, row: &Row, payloads: bool) {
        match row.step {
            Step::Present if payloads => self.present.add(row.sequence),
            Step::Absent if payloads => self.absent.add(row.sequence),
            // Neither there nor gone: it is missed if nothing wants it erased, and found if something does.
            Step::Remainder if payloads => {
                self.present.add(row.sequence);
                self.absent.add(row.sequence);
            }
            Step::Present | Step::Remainder | Step::Absent | Step::WithoutPayload => {}
            Step::Hold
            | Step::Release
            | Step::ErasureByOperator
            | Step::ErasureByRedaction
            | Step::Done => return,
        }
        if row.refers_to > 0 {
            self.redacted = Some(row.sequence);
        }
    }

    /// Holds what is there against what was decided; tells whether an erasure is under way.
    pub(super) fn end(
        &self,
        around: Surroundings<'_>,
        findings: &mut Findings,
    ) -> io::Result<bool> {
        let Custody { erasure, done, .. } = self.custody;
        let is_due = self.custody.is_due();
        if let Some(first) = self.absent.first.filter(|_| !is_due && done.is_none()) {
            let count = self.absent.count;
            let what = format!(
                "the payload is missing (of this and {} more entries of its session), and no entry allows that",
                count - 1
            );
            findings.add_of(Class::Tampered, first, what);
        }
        let is_recent =
            erasure.is_some_and(|wish| around.size.saturating_sub(wish.0) <= UNDER_WAY_MAX);
        let is_under_way = is_due && is_recent && around.may_be_running;
        if let Some(wish) = erasure.filter(|_| is_due && !is_under_way) {
            let what = "wants payloads erased, and no entry says that they were";
            findings.add_of(Class::ErasureIncomplete, wish.0, what);
        }
        if let Some((done, first)) = done.zip(self.present.first) {
            let count = self.present.count;
            let what = format!(
                "the payload is still there (with {} more of its session), and entry {done} says that it was erased",
                count - 1
            );
            findings.add_of(Class::ErasureIncomplete, first, what);
        }
        let Some(vault) = around.vault else {
            return Ok(is_under_way);
        };
        let slot = self.slot.0;
        let is_zeroed = vault.is_zeroed(self.slot)?;
        if let Some(done) = done.filter(|_| !is_zeroed) {
            let what =
                format!("says that an erasure is done, and key slot {slot} still holds bytes");
            findings.add_of(Class::ErasureIncomplete, done.0, what);
        }
        if is_zeroed && erasure.is_none() && !around.may_be_running {
            let what = format!("key slot {slot} is empty, and no entry wants its payloads erased");
            findings.add(Class::Tampered, what);
        }
        Ok(is_under_way)
    }
}
