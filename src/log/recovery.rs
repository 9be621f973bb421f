//! Bringing what a log left behind to agree: the journal first, then sled, then the index. Nothing is changed
//! before it is known that every entry that must be there can be had.

use std::fs::{self, File};
use std::io;
use std::ops::Range;

use super::durable::sync_directory;
use super::head::{Head, HeadFile};
use super::identity::Identity;
use super::index_building::{UpToDate, bring_up};
use super::journal::{JournalReader, segments};
use super::open_error::{MissingEntries, OpenError, Repair, Repairs};
use super::paths::Paths;
use super::record::Record;
use super::repair::Rewriting;
use super::segment;
use super::store::Store;
use super::store_file;
use super::store_opening::{StoreState, Vouched};
use super::survey::{Expected, Survey, survey};
use super::{JournalRetention, Options};

/// How many bytes are handed to sled at once, about.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// A log whose parts agree.
pub(super) struct Recovered {
    pub(super) survey: Survey,
    pub(super) store: Store,
    pub(super) index: UpToDate,
    pub(super) head_file: HeadFile,
    pub(super) repairs: Repairs,
}

/// Brings the parts of a log to agree, or refuses and names what is missing.
pub(super) fn recover(
    paths: &Paths,
    identity: Identity,
    options: &Options,
    repairs: Repairs,
    erased_through: u64,
) -> Result<Recovered, OpenError> {
    let is_used = store_file::path(&paths.store).exists() || !segments(&paths.journal)?.is_empty();
    let (mut head_file, head) = HeadFile::open(&paths.head)?;
    let head_is_known = head.is_some() || !is_used;
    let mut recovery = Recovery {
        paths,
        identity,
        options,
        head_is_known,
        head: head.unwrap_or(Head::EMPTY),
        repairs,
    };
    let rewritten = (!head_is_known).then_some(Repair::HeadRewritten);
    recovery.repairs.extend(rewritten);
    let (survey, store) = recovery.agree()?;
    if paths.store_copy.exists() {
        fs::rename(&paths.store_copy, paths.store_set_aside())?;
    }
    let index = bring_up(
        &paths.index,
        identity,
        options.index_cache_bytes,
        &store,
        survey.end.next,
        erased_through,
    )?;
    let rebuilt = index.is_rebuilt.then_some(Repair::IndexRebuilt);
    recovery.repairs.extend(rebuilt);
    let store_file_bytes = store.make_durable()?;
    let size = survey.end.next;
    head_file.write(&Head {
        size,
        root: survey.end.link,
        store_size: size,
        store_file_bytes,
    })?;
    Ok(Recovered {
        survey,
        store,
        index,
        head_file,
        repairs: recovery.repairs,
    })
}

struct Recovery<'log> {
    paths: &'log Paths,
    identity: Identity,
    options: &'log Options,
    head: Head,
    head_is_known: bool,
    repairs: Repairs,
}

impl Recovery<'_> {
    /// Brings journal and sled to hold the same entries.
    fn agree(&mut self) -> Result<(Survey, Store), OpenError> {
        let vouched = Vouched {
            identity: self.identity,
            head: &self.head,
            head_is_known: self.head_is_known,
            journal_is_whole: self.options.journal_retention == JournalRetention::Whole,
        };
        match vouched.open_store(self.paths, self.options.sled_cache_bytes, &mut self.repairs)? {
            StoreState::Damaged { reason } => self.rebuild_store(reason),
            StoreState::Usable { store, end, holes } => {
                let survey = self.mend_journal(&store, end)?;
                self.fill(&store, end, holes, &survey)?;
                Ok((survey, store))
            }
        }
    }

    fn survey(&self, thorough: bool) -> Result<Survey, OpenError> {
        let first = segments(&self.paths.journal)?.first().copied();
        let from = match self.options.journal_retention {
            JournalRetention::Whole => 0,
            JournalRetention::UntilSledIsDurable => {
                first.unwrap_or(u64::MAX).min(self.head.store_size)
            }
        };
        let thorough = thorough || !self.head_is_known;
        survey(
            &self.paths.journal,
            &Expected {
                identity: self.identity,
                head: &self.head,
                from,
                thorough,
            },
        )
    }

    /// Writes the damaged and missing stretches of the journal anew, with what sled has.
    fn mend_journal(&mut self, store: &Store, stored: u64) -> Result<Survey, OpenError> {
        let survey = self.survey(false)?;
        let size = survey.end.next.max(stored);
        let mut missing = Vec::new();
        for hole in survey.holes() {
            missing.extend(store.missing(hole)?);
        }
        let lost_end =
            size.max(missing.last().map_or(0, |range: &Range<u64>| range.end))..self.head.size;
        missing.extend((!lost_end.is_empty()).then_some(lost_end));
        refuse_if_any(missing)?;
        let rewriting = Rewriting {
            directory: &self.paths.journal,
            identity: self.identity,
            store,
            size,
        };
        let is_short = survey.end.next < size;
        let mut previous_first = None;
        let mut is_rewritten = false;
        for stretch in &survey.stretches {
            if !stretch.is_whole() || (stretch.end.is_none() && is_short) {
                self.mark_rewriting()?;
                let from_store = rewriting.rewrite(stretch, previous_first)?;
                is_rewritten = true;
                let segment = segment::path(&self.paths.journal, stretch.first);
                let rewritten = Repair::JournalRewritten {
                    segment,
                    from_store: MissingEntries(from_store),
                };
                self.repairs.extend((size > 0).then_some(rewritten));
            }
            previous_first = Some(stretch.first);
        }
        // What was not written is as it was found.
        let survey = if is_rewritten {
            self.survey(false)?
        } else {
            survey
        };
        refuse_if_any(survey.holes().collect())?;
        self.note_torn_end(&survey);
        Ok(survey)
    }

    /// sled still has what the journal had erased. From here until that is blanked anew, a mark says so: if we stop, the
    /// next opening blanks it.
    fn mark_rewriting(&self) -> io::Result<()> {
        let mark = &self.paths.journal_rewriting;
        File::create(mark)?.sync_all()?;
        mark.parent().map_or(Ok(()), sync_directory)
    }

    fn note_torn_end(&mut self, survey: &Survey) {
        let segment = segment::path(&self.paths.journal, survey.end.segment_first);
        self.repairs
            .extend(survey.is_torn.then_some(Repair::JournalTailCut {
                segment,
                offset: survey.end.offset,
            }));
    }

    /// Gives sled what it has lost, and what the journal has beyond it.
    fn fill(
        &mut self,
        store: &Store,
        end: u64,
        holes: Vec<Range<u64>>,
        survey: &Survey,
    ) -> Result<(), OpenError> {
        let first = survey.stretches.first().map_or(0, |stretch| stretch.first);
        let gone = holes.iter().map(|hole| hole.start..hole.end.min(first));
        refuse_if_any(gone.filter(|gone| !gone.is_empty()).collect())?;
        for hole in &holes {
            let fed = self.feed_store(store, hole.clone())?;
            let unfed = fed..hole.end;
            refuse_if_any((!unfed.is_empty()).then_some(unfed).into_iter().collect())?;
        }
        self.repairs
            .extend((!holes.is_empty()).then_some(Repair::StoreFilled {
                missing: MissingEntries(holes),
            }));
        if end < survey.end.next {
            self.feed_store(store, end..u64::MAX)?;
        }
        Ok(())
    }

    /// Sets a damaged sled aside and builds another from the journal, which must be whole for that.
    fn rebuild_store(&mut self, reason: String) -> Result<(Survey, Store), OpenError> {
        let survey = self.survey(true)?;
        let before = 0..survey.stretches.first().map_or(0, |stretch| stretch.first);
        refuse_if_any(
            (!before.is_empty())
                .then_some(before)
                .into_iter()
                .chain(survey.holes())
                .collect(),
        )?;
        let set_aside = self.set_store_aside()?;
        let store = Store::open(&self.paths.store, self.options.sled_cache_bytes)?;
        store.set_identity(self.identity)?;
        self.feed_store(&store, 0..u64::MAX)?;
        store.make_durable()?;
        fs::remove_file(&self.paths.store_rebuilding)?;
        remove_if_there(&self.paths.store_opening)?;
        self.repairs
            .push(Repair::StoreRebuilt { reason, set_aside });
        self.note_torn_end(&survey);
        Ok((survey, store))
    }

    /// Makes room for another sled. From here until it is durable, a mark says that what lies there is
    /// half-built: if we stop, the next opening throws that away and begins again.
    fn set_store_aside(&self) -> io::Result<Option<std::path::PathBuf>> {
        let was_rebuilding = self.paths.store_rebuilding.exists();
        let set_aside = self.paths.store_set_aside();
        let is_there = self.paths.store.exists();
        match (is_there, was_rebuilding) {
            (true, true) => fs::remove_dir_all(&self.paths.store)?,
            (true, false) => fs::rename(&self.paths.store, &set_aside)?,
            (false, _) => {}
        }
        File::create(&self.paths.store_rebuilding)?.sync_all()?;
        self.paths.store.parent().map_or(Ok(()), sync_directory)?;
        Ok((is_there && !was_rebuilding).then_some(set_aside))
    }

    /// Gives sled the journal's records; returns where the journal, or the range, ended.
    fn feed_store(&self, store: &Store, range: Range<u64>) -> Result<u64, OpenError> {
        let mut reader = JournalReader::from(&self.paths.journal, range.start);
        loop {
            let mut batch = Vec::new();
            let mut batch_bytes = 0;
            while batch_bytes < BATCH_BYTES_MAX
                && reader.next_sequence() < range.end
                && let Some(record) = reader.read()?
            {
                batch_bytes += record.len();
                batch.push(record);
            }
            if batch.is_empty() {
                return Ok(reader.next_sequence());
            }
            store.add(batch.iter().filter_map(|bytes| Record::parse(bytes)))?;
        }
    }
}

fn refuse_if_any(missing: Vec<Range<u64>>) -> Result<(), OpenError> {
    if missing.is_empty() {
        return Ok(());
    }
    Err(OpenError::EntriesMissing {
        missing: MissingEntries(missing),
    })
}

fn remove_if_there(path: &std::path::Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
