//! The log: the journal, the head that vouches for it, sled and the index behind it.

use std::io;

use super::Patient;
use super::finding::Findings;
use crate::log::checkup::{JournalEnd, Vouched};
use crate::log::inspection::JournalError;
use crate::log::inspection::JournalProblem;

/// Checks the parts; returns how the journal ends, if that could be read.
pub(super) fn check(patient: &Patient<'_>, findings: &mut Findings) -> Option<JournalEnd> {
    match patient.files.has_begun() {
        Ok(true) => {}
        Ok(false) => {
            findings.note(
                "journal",
                "there is no log yet; the first start begins one",
                None,
            );
            return None;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings.note(
                "journal",
                "there is no log yet; the first start begins one",
                None,
            );
            return None;
        }
        Err(error) => {
            findings.not_checked("journal", error.to_string(), None);
            return None;
        }
    }
    check_identity(patient, findings);
    let vouched = check_head(patient, findings);
    let end = check_journal(patient, vouched, findings);
    check_store(patient, vouched, findings);
    check_index(patient, findings);
    end
}

fn check_identity(patient: &Patient<'_>, findings: &mut Findings) {
    match patient.files.log_id() {
        Ok(Some(_)) => {}
        Ok(None) => findings.wrong(
            "identity",
            "log/identity is missing or damaged; the journal repeats it",
            patient.opening(),
        ),
        Err(error) => findings.not_checked("identity", error.to_string(), None),
    }
}

fn check_head(patient: &Patient<'_>, findings: &mut Findings) -> Option<Vouched> {
    match patient.files.vouched() {
        Ok(Some(vouched)) => {
            findings.good(
                "head",
                format!("it vouches for {} entries", vouched.entries),
            );
            Some(vouched)
        }
        Ok(None) => {
            let what = "log/head is missing or damaged: nothing says how much has to be there, until it is written anew";
            findings.wrong("head", what, patient.opening());
            None
        }
        Err(error) => {
            findings.not_checked("head", error.to_string(), None);
            None
        }
    }
}

fn check_journal(
    patient: &Patient<'_>,
    vouched: Option<Vouched>,
    findings: &mut Findings,
) -> Option<JournalEnd> {
    const PART: &str = "journal";
    let end = match patient.files.journal_end() {
        Ok(end) => end,
        Err(error @ JournalError::Io { .. }) => {
            findings.not_checked(PART, error.to_string(), None);
            return None;
        }
        Err(error) => {
            let what =
                format!("{error}; start-up mends it from sled, or names the entries that are gone");
            findings.wrong(PART, what, patient.opening());
            return None;
        }
    };
    let vouched = vouched.map_or(0, |vouched| vouched.entries);
    let is_torn = |error: &JournalError| {
        matches!(
            error,
            JournalError::Damaged {
                problem: JournalProblem::Record | JournalProblem::Trailing,
                ..
            }
        )
    };
    match &end.damage {
        Some(damage) if end.entries < vouched || !is_torn(damage) => {
            let what = format!(
                "{damage}: entries {} to {} were acknowledged; start-up mends them from sled, or names those that are gone",
                end.entries,
                vouched.saturating_sub(1)
            );
            findings.wrong(PART, what, patient.opening());
        }
        None if end.entries < vouched => {
            let what = format!(
                "it has {} entries, and the head vouches for {vouched}; start-up mends them from sled, or names those \
                 that are gone",
                end.entries
            );
            findings.wrong(PART, what, patient.opening());
        }
        Some(_) if !patient.is_in_use => {
            let what = format!(
                "{} entries, and behind them a write that was broken off, which nobody was told of: the next start cuts it",
                end.entries
            );
            findings.good(PART, what);
        }
        Some(_) | None => findings.good(
            PART,
            format!("{} entries; the last segment is whole", end.entries),
        ),
    }
    // What start-up has from sled counts for everything that stands behind the log.
    Some(JournalEnd {
        entries: end.entries.max(vouched),
        ..end
    })
}

fn check_store(patient: &Patient<'_>, vouched: Option<Vouched>, findings: &mut Findings) {
    const PART: &str = "sled";
    let files = match patient.files.store_files() {
        Ok(files) => files,
        Err(error) => return findings.not_checked(PART, error.to_string(), None),
    };
    let bytes = files.file_bytes.unwrap_or(0);
    let expected = vouched.map_or(0, |vouched| vouched.store_file_bytes);
    let problem = if files.is_half_built {
        Some("it was being built anew when a process ended".to_owned())
    } else if bytes < expected {
        Some(format!(
            "its file has {bytes} bytes where it had {expected}"
        ))
    } else if !patient.is_in_use && !files.unfinished_snapshots.is_empty() {
        Some("a snapshot that it did not finish keeps it from being opened".to_owned())
    } else {
        None
    };
    match problem {
        Some(problem) => {
            let what = format!("{problem}; start-up builds it from the journal");
            findings.wrong(PART, what, patient.opening());
        }
        None if patient.is_in_use => findings.good(PART, "a server has it open"),
        None => findings.good(PART, format!("{bytes} bytes, as many as there have to be")),
    }
    for path in files.set_aside {
        let shown = super::quoted(&path.display().to_string());
        let what =
            format!("{shown} is a damaged one that was set aside; nothing needs it any more");
        findings.note(PART, what, format!("rm -r {shown}"));
    }
}

fn check_index(patient: &Patient<'_>, findings: &mut Findings) {
    const PART: &str = "index";
    if patient.files.index_is_lost() {
        let what = "it is missing or was found damaged; start-up builds it from the leaves";
        findings.wrong(PART, what, patient.opening());
    } else {
        findings.good(PART, "it is there");
    }
}
