//! The clock: whether it is behind what was written by it.

use std::time::UNIX_EPOCH;

use super::finding::Findings;
use super::{End, Patient};
use crate::system;

const PART: &str = "clock";
/// What may lie between two clocks that are both right.
pub(super) const TOLERATED_MS: i64 = 5_000;
/// Turns on the synchronization that most systems have.
pub(super) const SYNCHRONIZE: &str = "sudo timedatectl set-ntp true";

pub(super) fn check(patient: &Patient<'_>, end: End<'_>, findings: &mut Findings) {
    let now = system::now().0;
    let entry = end.and_then(|end| end.last_received_at);
    let file = ["log/head", "log/checkpoints", "vault"]
        .iter()
        .filter_map(|name| {
            let modified = patient
                .data_dir
                .join(name)
                .metadata()
                .ok()?
                .modified()
                .ok()?;
            let milliseconds = modified.duration_since(UNIX_EPOCH).ok()?.as_millis();
            i64::try_from(milliseconds).ok()
        })
        .max();
    let latest = [
        ("the last entry", entry.map(|at| at.0)),
        ("a file of the log", file),
    ];
    let ahead = latest
        .into_iter()
        .filter_map(|(what, at)| Some((what, at?.saturating_sub(now))))
        .find(|(_, ahead)| *ahead > TOLERATED_MS);
    match ahead {
        Some((what, ahead)) => findings.wrong(
            PART,
            format!(
                "it is {} s behind {what}: either it is slow now, and old signatures pass, or it was fast then",
                ahead / 1000
            ),
            SYNCHRONIZE,
        ),
        None => findings.good(PART, "it is not behind what was written"),
    }
}
