//! The projections: whether the next start keeps them, and how far they have come.

use std::path::Path;
use std::sync::Arc;

use super::finding::Findings;
use super::{End, Patient};
use crate::log::panic_guard;
use crate::projections::generations::Generations;
use crate::projections::store::{Projections, REDUCER_VERSION, StoreError};

const PART: &str = "projections";
const CACHE_BYTES: u64 = 8 * 1024 * 1024;

pub(super) fn check(patient: &Patient<'_>, end: End<'_>, findings: &mut Findings) {
    let Some(end) = end else {
        return;
    };
    if patient.is_in_use {
        let asks = patient.request.server.is_some();
        if !asks {
            let command = format!("avow doctor {} --server URL", patient.request.flags);
            findings.not_checked(PART, "a server holds them: ask it", command);
        }
        return;
    }
    let generations = Generations::of(&patient.data_dir.join("projections"));
    let path = match generations.current() {
        Ok(Some(path)) if path.is_dir() => path,
        Ok(_) => {
            let what = "there are none: the next start folds the log";
            return findings.wrong(PART, what, patient.opening());
        }
        Err(error) => return findings.not_checked(PART, error.to_string(), None),
    };
    // The store answers some damaged files with a panic.
    let (version_is_own, cursor) = match panic_guard::catch(|| read(&path)) {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})"));
            let what = format!("{error}{}", cause.unwrap_or_default());
            return findings.wrong(PART, what, patient.opening());
        }
        Err(panic) => return findings.wrong(PART, panic, patient.opening()),
    };
    if !version_is_own {
        let what =
            format!("another version of the fold made them than {REDUCER_VERSION}, this one's");
        findings.wrong(PART, what, patient.opening());
    } else if cursor > end.entries {
        let what = format!(
            "they cover {cursor} entries, and the log has {}: they were folded from another log",
            end.entries
        );
        findings.wrong(PART, what, patient.opening());
    } else if cursor < end.entries {
        let behind = end.entries - cursor;
        let what = format!("{cursor} entries are folded; the next start folds the other {behind}");
        findings.good(PART, what);
    } else {
        findings.good(PART, format!("all {cursor} entries are folded"));
    }
}

/// Returns how many entries the projections in a directory cover, if they can be read.
pub(super) fn cursor(directory: &Path) -> Option<u64> {
    let path = Generations::of(directory).current().ok()??;
    if !path.is_dir() {
        return None;
    }
    let (_, cursor) = panic_guard::catch(|| read(&path)).ok()?.ok()?;
    Some(cursor)
}

fn read(path: &Path) -> Result<(bool, u64), StoreError> {
    let projections: Arc<Projections> = Projections::open_as_is(path, CACHE_BYTES)?;
    Ok((
        projections.is_of_this_reducer()?,
        projections.cursor()?.next.0,
    ))
}
