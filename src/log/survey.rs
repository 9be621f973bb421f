//! A survey of the journal, read-only: what each stretch of it holds, and where it ends.
//!
//! Start-up must not cost the whole log: below the head, a file is taken as it is if the one behind it names
//! it as its predecessor; unless the survey is thorough.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use super::head::Head;
use super::identity::Identity;
use super::journal::{End, segments};
use super::open_error::OpenError;
use super::record::{GENESIS, Link};
use super::scan::{Known, Scan};
use super::segment::{self, HEADER_BYTES, SegmentHeader};

/// What is known of the journal.
pub(super) struct Survey {
    /// Its stretches, in order, without gaps between them; never empty.
    pub(super) stretches: Vec<Stretch>,
    /// Where it ends, as far as it is whole.
    pub(super) end: End,
    /// Whether bytes of a group that was never acknowledged lie behind the end.
    pub(super) is_torn: bool,
}

/// What one segment file holds, or would hold if it were there.
pub(super) struct Stretch {
    pub(super) first: u64,
    /// The first of the next stretch; the last one is open.
    pub(super) end: Option<u64>,
    /// Acknowledged entries that it lacks.
    pub(super) holes: Vec<Range<u64>>,
    /// Whether its file is there, with a good header.
    has_file: bool,
}

impl Stretch {
    pub(super) fn is_whole(&self) -> bool {
        self.has_file && self.holes.is_empty()
    }
}

impl Survey {
    /// Returns the acknowledged entries that the journal lacks.
    pub(super) fn holes(&self) -> impl Iterator<Item = Range<u64>> {
        self.stretches
            .iter()
            .flat_map(|stretch| stretch.holes.iter().cloned())
    }
}

/// What a survey goes by.
pub(super) struct Expected<'head> {
    pub(super) identity: Identity,
    pub(super) head: &'head Head,
    /// From where on the journal is to be there.
    pub(super) from: u64,
    pub(super) thorough: bool,
}

/// Surveys the journal.
pub(super) fn survey(directory: &Path, expected: &Expected<'_>) -> Result<Survey, OpenError> {
    let files = files(directory, expected)?;
    let mut firsts = files
        .keys()
        .copied()
        .skip(1)
        .collect::<Vec<_>>()
        .into_iter();
    let end = End {
        next: expected.from,
        link: GENESIS,
        segment_first: expected.from,
        offset: HEADER_BYTES,
    };
    let mut survey = Survey {
        stretches: Vec::new(),
        end,
        is_torn: false,
    };
    let mut link = (expected.from == 0).then_some(GENESIS);
    for (first, file) in files {
        let end = firsts.next();
        let stretch = Stretch {
            first,
            end,
            holes: Vec::new(),
            has_file: file.header.is_some(),
        };
        link = survey.add(expected, stretch, file, link)?;
    }
    Ok(survey)
}

/// What lies where a segment begins.
#[derive(Default)]
struct SegmentFile {
    file: Option<File>,
    header: Option<SegmentHeader>,
    /// Which segment follows, by its own header.
    successor: Option<u64>,
}

/// Returns the segments that are there, and those that others speak of.
fn files(
    directory: &Path,
    expected: &Expected<'_>,
) -> Result<BTreeMap<u64, SegmentFile>, OpenError> {
    let mut files = BTreeMap::from([(expected.from, SegmentFile::default())]);
    for first in segments(directory)? {
        let path = segment::path(directory, first);
        let file = File::open(&path)?;
        let header = SegmentHeader::read(&file)?.filter(|header| header.first == first);
        if let Some(header) = header {
            if header.identity != expected.identity {
                return Err(OpenError::OtherLog { path });
            }
            if header.previous_first >= expected.from && header.previous_first < first {
                files.entry(header.previous_first).or_default().successor = Some(first);
            }
        }
        let entry = files.entry(first).or_default();
        (entry.file, entry.header) = (Some(file), header);
    }
    Ok(files)
}

impl Survey {
    /// Adds a stretch; returns the chain's link behind it, if that is known.
    fn add(
        &mut self,
        expected: &Expected<'_>,
        mut stretch: Stretch,
        SegmentFile {
            file,
            header,
            successor,
        }: SegmentFile,
        link: Option<Link>,
    ) -> Result<Option<Link>, OpenError> {
        let (first, end) = (stretch.first, stretch.end);
        let is_below_head = end.is_some_and(|end| end <= expected.head.size);
        let is_taken = !expected.thorough && is_below_head && end == successor && header.is_some();
        let link = match file.filter(|_| !is_taken) {
            None if is_taken => None,
            None => {
                let missing = first..end.unwrap_or(expected.head.size);
                stretch
                    .holes
                    .extend((!missing.is_empty()).then_some(missing));
                None
            }
            Some(file) => {
                let before = header.map(|header| header.before);
                if link
                    .zip(before)
                    .is_some_and(|(link, before)| link != before)
                {
                    return Err(OpenError::ChainBroken { sequence: first });
                }
                let head_size = expected.head.size;
                let acknowledged_below = end.unwrap_or(head_size);
                let scan = Scan::of(
                    &file,
                    &Known {
                        first,
                        before: before.or(link),
                        acknowledged_below,
                        head_size,
                    },
                )?;
                if scan
                    .link_at_head
                    .is_some_and(|link| link != expected.head.root)
                {
                    return Err(OpenError::HeadMismatch { size: head_size });
                }
                self.is_torn = end.is_none() && scan.is_torn(&file)?;
                let link = scan.link.unwrap_or(GENESIS);
                self.end = End {
                    next: scan.next,
                    link,
                    segment_first: first,
                    offset: scan.offset,
                };
                stretch.holes = scan.holes;
                scan.link
            }
        };
        self.stretches.push(stretch);
        Ok(link)
    }
}
