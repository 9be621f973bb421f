//! The disk: whether there is space, and whether what is overwritten is gone.

use super::finding::Findings;
use super::{Patient, quoted};
use crate::log::disk_space::space;
use crate::log::extent::bytes_on_disk;
use crate::log::vault::file_system::in_place_warning;

const PART: &str = "disk";
const MIB: u64 = 1024 * 1024;

pub(super) fn check(patient: &Patient<'_>, findings: &mut Findings) {
    let data_dir = &patient.data_dir;
    let space = match space(data_dir) {
        Ok(space) => space,
        Err(error) => {
            return findings.not_checked(PART, format!("{}: {error}", data_dir.display()), None);
        }
    };
    let min = patient.settings.log.disk_free_bytes_min;
    let ballast = bytes_on_disk(&data_dir.join("log/ballast"));
    let free = format!("{} MiB are free", space.free_bytes / MIB);
    if space.free_bytes < min {
        let what = format!(
            "{free}, less than `log.disk_free_bytes_min` with {} MiB: deliveries are answered 503 until there is more",
            min / MIB
        );
        let command = if ballast_suffices(space.free_bytes, min, ballast) {
            format!("rm {}", patient.path("log/ballast"))
        } else {
            format!(
                "du -xh --max-depth=2 {} | sort -h",
                quoted(&mount_of(patient))
            )
        };
        findings.wrong(PART, what, command);
    } else if patient.settings.log.ballast_bytes > 0
        && ballast == 0
        && data_dir.join("log").is_dir()
    {
        let what = format!(
            "{free}, and the ballast file is not there: it is made at the next start, and is what can be given up \
             when the disk is full"
        );
        findings.note(PART, what, None);
    } else {
        findings.good(PART, format!("{free}, {} MiB are asked for", min / MIB));
    }
    match in_place_warning(data_dir) {
        Ok(None) => {}
        Ok(Some(warning)) => findings.note(PART, warning.to_string(), None),
        Err(error) => findings.not_checked(
            PART,
            format!("whether the file system overwrites in place is not known: {error}"),
            None,
        ),
    }
}

/// Returns the directory from which space is to be found: all of the disk counts, not the data alone.
fn mount_of(patient: &Patient<'_>) -> String {
    let parent = patient.data_dir.parent();
    let directory = parent.unwrap_or(&patient.data_dir);
    directory.display().to_string()
}

/// Tells whether there is enough space without the ballast.
fn ballast_suffices(free: u64, min: u64, ballast: u64) -> bool {
    ballast > 0 && free.saturating_add(ballast) >= min
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ballast_is_given_up_only_where_that_is_enough() {
        let rows = [
            (90, 100, 10, true),
            (90, 100, 9, false),
            (90, 100, 0, false),
            (u64::MAX, u64::MAX, 1, true),
        ];
        for (free, min, ballast, suffices) in rows {
            assert_eq!(
                ballast_suffices(free, min, ballast),
                suffices,
                "{free} {min} {ballast}"
            );
        }
    }
}
