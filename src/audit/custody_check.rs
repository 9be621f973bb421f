//! Whether what is missing was to be erased, and what was to be erased is missing: subject by subject.

use std::io;

use state_machine::event::EventType;
use state_machine::id::{AccountId, SequenceNumber};

use super::finding::{Class, Findings};
use super::identities::{Name, name_of};
use super::sorted::Sorter;
use super::story::Story;
use crate::log::entry::{ErasureCause, Fact, Leaf, SessionFact, Subject, SubjectName};
use crate::log::inspection::is_remainder;
use crate::log::vault::KeySlot;
use crate::log::vault::reader::VaultReader;
use crate::stripe::decode::EventForm;

/// Subject, sequence number, step, slot, and the entry that the step refers to.
const ROW_BYTES: usize = 16 + 8 + 1 + 8 + 8;
const SLOT_ROW_BYTES: usize = 8 + 16;

/// What an entry means for its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A delivery with a payload that is there.
    Present,
    /// A delivery with a payload of which the erasure was begun.
    Remainder,
    /// A delivery with a payload that is not there.
    Absent,
    /// A delivery that was recorded without a payload.
    WithoutPayload,
    Hold,
    Release,
    ErasureByOperator,
    ErasureByRedaction,
    Done,
}

impl Step {
    const ALL: [Self; 9] = [
        Self::Present,
        Self::Remainder,
        Self::Absent,
        Self::WithoutPayload,
        Self::Hold,
        Self::Release,
        Self::ErasureByOperator,
        Self::ErasureByRedaction,
        Self::Done,
    ];
}

/// What is there of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    /// Bytes that are compared with what the leaf names.
    Whole,
    /// What is left where the erasure was begun.
    Remainder,
    /// Nothing.
    Nothing,
}

impl There {
    pub(super) fn of(sealed: &[u8]) -> Self {
        if sealed.is_empty() {
            Self::Nothing
        } else if is_remainder(sealed) {
            Self::Remainder
        } else {
            Self::Whole
        }
    }
}

/// The steps of all subjects.
pub(super) struct CustodyCheck {
    steps: Sorter<ROW_BYTES>,
    slots: Sorter<SLOT_ROW_BYTES>,
    /// Whether it is known which payloads are there.
    payloads: bool,
}

/// What a custody check goes by at its end.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'audit> {
    /// How many entries there are.
    pub(super) size: u64,
    /// Whether a service may be carrying out an erasure.
    pub(super) may_be_running: bool,
    /// The vault, if it is there.
    pub(super) vault: Option<&'audit VaultReader>,
}

impl CustodyCheck {
    pub(super) fn new(payloads: bool) -> Self {
        Self {
            steps: Sorter::new(),
            slots: Sorter::new(),
            payloads,
        }
    }

    /// Takes in an entry, and what is there of its payload.
    pub(super) fn take(
        &mut self,
        leaf: &Leaf,
        there: There,
        findings: &mut Findings,
    ) -> io::Result<()> {
        let sequence = leaf.sequence.0;
        let is_stated = matches!(
            leaf.fact,
            Fact::Erasure(_)
                | Fact::ErasureDone(_)
                | Fact::Hold(_)
                | Fact::Release(_)
                | Fact::Override(_)
                | Fact::Configuration(_)
                | Fact::Access(_)
        );
        if is_stated != (leaf.key_slot == KeySlot::LOG) || leaf.key_slot == KeySlot::SIGNING {
            let slot = leaf.key_slot.0;
            let what = format!("names key slot {slot}, which is not one for its kind");
            findings.add_of(Class::Tampered, sequence, what);
        }
        if is_stated && self.payloads && leaf.payload.is_some() && there != There::Whole {
            findings.add_of(Class::Tampered, sequence, "its payload is missing");
        }
        let delivered = match (&leaf.payload, there) {
            (None, _) => Step::WithoutPayload,
            (Some(_), There::Whole) => Step::Present,
            (Some(_), There::Remainder) => Step::Remainder,
            (Some(_), There::Nothing) => Step::Absent,
        };
        let (subject, slot, step, refers_to) = match &leaf.fact {
            Fact::Event(fact) => (session(fact), leaf.key_slot, delivered, is_redaction(fact)),
            Fact::Conflict(fact) => (session(fact), leaf.key_slot, delivered, 0),
            Fact::Unreadable(_) => (entry(leaf.sequence), leaf.key_slot, delivered, 0),
            Fact::Erasure(fact) => {
                let (step, refers_to) = match fact.cause {
                    ErasureCause::Redacted(redacted) => (Step::ErasureByRedaction, redacted.0),
                    ErasureCause::Operator => (Step::ErasureByOperator, 0),
                };
                (name(&fact.subject), fact.subject.key_slot, step, refers_to)
            }
            Fact::ErasureDone(fact) => {
                let refers_to = fact.erasure.0;
                let slot = fact.subject.key_slot;
                (name(&fact.subject), slot, Step::Done, refers_to)
            }
            Fact::Hold(subject) => (name(subject), subject.key_slot, Step::Hold, 0),
            Fact::Release(subject) => (name(subject), subject.key_slot, Step::Release, 0),
            Fact::Override(_) | Fact::Configuration(_) | Fact::Access(_) => return Ok(()), // they concern nobody's payloads
        };
        let mut row = [0; ROW_BYTES];
        let fields = subject.into_iter().chain(sequence.to_be_bytes());
        let fields = fields.chain([Step::ALL
            .iter()
            .zip(0..)
            .find(|(one, _)| **one == step)
            .map_or(0, |(_, code)| code)]);
        let fields = fields.chain(slot.0.to_be_bytes());
        row.iter_mut()
            .zip(fields.chain(refers_to.to_be_bytes()))
            .for_each(|(to, from)| *to = from);
        self.steps.push(row)
    }

    pub(super) fn check(
        mut self,
        around: Surroundings<'_>,
        findings: &mut Findings,
    ) -> io::Result<u64> {
        let mut under_way = 0;
        let mut story: Option<Story> = None;
        for row in self.steps.into_sorted()? {
            let Some(row) = Row::of(&row?) else { continue };
            if story
                .as_ref()
                .is_none_or(|story| story.subject != row.subject)
            {
                let ended = story.replace(Story::of(&row));
                under_way += end(ended, &mut self.slots, around, findings)?;
            }
            if let Some(story) = &mut story {
                story.take(&row, self.payloads, findings);
            }
        }
        under_way += end(story, &mut self.slots, around, findings)?;
        check_slots(self.slots, findings)?;
        Ok(under_way)
    }
}

/// Ends the story of a subject; returns 1 if its erasure is under way.
fn end(
    story: Option<Story>,
    slots: &mut Sorter<SLOT_ROW_BYTES>,
    around: Surroundings<'_>,
    findings: &mut Findings,
) -> io::Result<u64> {
    let Some(story) = story else { return Ok(0) };
    let mut row = [0; SLOT_ROW_BYTES];
    let fields = story.slot.0.to_be_bytes().into_iter();
    row.iter_mut()
        .zip(fields.chain(story.subject))
        .for_each(|(to, from)| *to = from);
    slots.push(row)?;
    story.end(around, findings).map(u64::from)
}

/// A slot belongs to one subject, ever: else an erasure would destroy what others are sealed with.
fn check_slots(slots: Sorter<SLOT_ROW_BYTES>, findings: &mut Findings) -> io::Result<()> {
    let mut last = None;
    for row in slots.into_sorted()? {
        let slot = row?.first_chunk().copied().map(u64::from_be_bytes);
        if slot.is_some() && slot == last {
            let slot = slot.unwrap_or_default();
            findings.add(Class::Tampered, format!("key slot {slot} has two subjects"));
        }
        last = slot;
    }
    Ok(())
}

fn session(fact: &SessionFact) -> Name {
    let account = fact.world.account.as_ref().map_or("", AccountId::as_str);
    let livemode = [u8::from(fact.world.livemode)];
    name_of(&[
        b"s",
        &livemode,
        account.as_bytes(),
        fact.session.as_str().as_bytes(),
    ])
}

fn entry(sequence: SequenceNumber) -> Name {
    name_of(&[b"n", &sequence.0.to_le_bytes()])
}

fn name(subject: &Subject) -> Name {
    match &subject.name {
        SubjectName::Session(world, session) => {
            let account = world.account.as_ref().map_or("", AccountId::as_str);
            let livemode = [u8::from(world.livemode)];
            name_of(&[
                b"s",
                &livemode,
                account.as_bytes(),
                session.as_str().as_bytes(),
            ])
        }
        SubjectName::Entry(sequence) => entry(*sequence),
    }
}

fn is_redaction(fact: &SessionFact) -> u64 {
    let event_type = fact.event.event_type;
    u64::from(fact.form == EventForm::Snapshot && event_type == EventType::Redacted)
}

/// One step of a subject.
pub(super) struct Row {
    pub(super) subject: Name,
    pub(super) sequence: u64,
    pub(super) step: Step,
    pub(super) slot: KeySlot,
    pub(super) refers_to: u64,
}

impl Row {
    fn of(bytes: &[u8; ROW_BYTES]) -> Option<Self> {
        let (subject, rest) = bytes.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (step, rest) = rest.split_first()?;
        let (slot, refers_to) = rest.split_first_chunk()?;
        Some(Self {
            subject: *subject,
            sequence: u64::from_be_bytes(*sequence),
            step: *Step::ALL.get(usize::from(*step))?,
            slot: KeySlot(u64::from_be_bytes(*slot)),
            refers_to: u64::from_be_bytes(refers_to.try_into().ok()?),
        })
    }
}
