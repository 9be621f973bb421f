//! A call to the system fails, whichever, on whichever file, under load: the process sheds, stops writing or ends, and
//! says why; nothing that was acknowledged is lost or there twice, and what is served follows from the log.

use std::path::Path;
use std::process::Command;

use avow::cli::simulation::dice::Dice;
use avow::cli::simulation::population::Population;
use tempfile::tempdir;

use crate::support::audited::assert_clean;
use crate::support::delivery::event;
use crate::support::extent::times;
use crate::support::ledger::{Answer, Ledger};
use crate::support::load::{CONNECTIONS, deliver_until, populations};
use crate::support::process::{Process, serve};
use crate::support::seed::Seed;
use crate::support::strace::{self, Trace};

const SEGMENT: &str = "log/journal/00000000000000000000.segment";
const FIRST_PROJECTIONS: &str = "projections/generation-1/tables/0";
/// What a failure is told with: by an operator's word, or by the system's.
const TOLD: [&str; 4] = ["ERROR", "WARN", "error:", "os error"];

/// A call on a file (or on whichever), how it fails, and the calls of that number in its thread that do.
type Row = (Option<&'static str>, &'static str, &'static str, u32);

/// Those of every run: one for each file, and for each way to fail.
#[rustfmt::skip]
const ROWS: [Row; 10] = [
    (Some(SEGMENT),             "pwrite64",        "error=EINTR",  7),
    (Some(SEGMENT),             "pwrite64",        "retval=0",     7), // as short as a write can be
    (Some(SEGMENT),             "fdatasync",       "error=ENOSPC", 7),
    (Some("log/sled/db"),       "pwrite64",        "error=EIO",    1),
    (Some("log/index/tables/0"), "write",         "error=EIO",    1),
    (Some("vault"),             "pwrite64",        "error=EIO",    3),
    (Some("log/checkpoints"),   "fdatasync",       "error=EIO",    1),
    (Some(FIRST_PROJECTIONS),   "write",           "error=EIO",    1),
    (None,                      "rename",          "error=ENOSPC", 1),
    (None,                      "mkdir",           "error=ENOSPC", 2),
];

/// The calls that a long run (`AVOW_TEST_FAULTS=1`) breaks besides, each in every way and at several numbers.
#[rustfmt::skip]
const CALLS: [(Option<&str>, &str); 27] = [
    (Some(SEGMENT),             "pwrite64"),
    (Some(SEGMENT),             "fdatasync"),
    (Some(SEGMENT),             "openat"),
    (Some("log/head"),          "pwrite64"),
    (Some("log/head"),          "fdatasync"),
    (Some("log/head"),          "openat"),
    (Some("log/sled/db"),       "pwrite64"),
    (Some("log/sled/db"),       "fsync"),
    (Some("log/sled/db"),       "sync_file_range"),
    (Some("log/sled/db"),       "openat"),
    (Some("log/index/tables/0"), "write"),
    (Some("log/index/tables/0"), "openat"),
    (Some("vault"),             "pwrite64"),
    (Some("vault"),             "fdatasync"),
    (Some("vault"),             "openat"),
    (Some("log/tree/0"),        "pwrite64,write"),
    (Some("log/tree/0"),        "openat"),
    (Some("log/checkpoints"),   "pwrite64,write"),
    (Some("log/checkpoints"),   "fdatasync"),
    (Some("log/checkpoints"),   "openat"),
    (Some(FIRST_PROJECTIONS),   "write"),
    (Some(FIRST_PROJECTIONS),   "openat"),
    (None,                      "fsync"),
    (None,                      "rename,renameat,renameat2"),
    (None,                      "mkdir"),
    (None,                      "unlink,unlinkat"),
    (None,                      "ftruncate,fallocate"),
];
const WAYS: [&str; 3] = ["error=EIO", "error=ENOSPC", "error=EINTR"];
const NUMBERS: [u32; 3] = [1, 3, 9];

/// Returns the rows of a long run. What a call has of no such number strikes nobody.
fn all_rows() -> impl Iterator<Item = Row> {
    CALLS.into_iter().flat_map(|(file, calls)| {
        let ways = WAYS.into_iter();
        ways.flat_map(move |way| NUMBERS.map(|number| (file, calls, way, number)))
    })
}

/// A row that strikes a table behind the first: after so many servers, each of which has written one at its close.
type LaterRow = (&'static str, &'static str, usize);

/// The table that a close writes, and the one that the next start makes of four.
#[rustfmt::skip]
const LATER_ROWS: [LaterRow; 4] = [
    ("log/index/tables/2",                "error=EIO",    1),
    ("projections/generation-1/tables/2", "error=ENOSPC", 1),
    ("log/index/tables/4",                "error=ENOSPC", 3),
    ("projections/generation-1/tables/4", "error=EIO",    3),
];

/// Returns whether the fault struck a server on a new data directory.
fn check(row: Row, dice: &mut Dice) -> bool {
    let directory = tempdir().unwrap();
    let is_killed = dice.roll(2) == 0;
    let ledger = Ledger::default();
    strike(
        row,
        directory.path(),
        ledger,
        (populations(2), is_killed),
        dice,
    )
}

/// Returns whether the fault struck the last of some servers on one data directory, or its close.
fn check_later((file, way, earlier): LaterRow, dice: &mut Dice) -> bool {
    let directory = tempdir().unwrap();
    let mut ledger = Ledger::default();
    let mut populations = populations(4);
    let last = populations.split_off(earlier);
    for population in populations {
        let process = Process::start(&directory.path().join("data"));
        let refused = deliver_until(|| (), &process, &mut ledger, population, dice);
        assert_eq!(refused, [], "{file}");
        process.stop();
    }
    let row = (Some(file), "write", way, 1);
    strike(row, directory.path(), ledger, (last, false), dice)
}

/// Has a fault strike a server, and returns whether it did.
fn strike(
    (file, calls, way, number): Row,
    directory: &Path,
    mut ledger: Ledger,
    (populations, is_killed): (Vec<Population>, bool),
    dice: &mut Dice,
) -> bool {
    let data = directory.join("data");
    let trace = Trace::in_directory(directory);
    let fault = format!("{calls}:{way}:when={number}");
    let row = format!("{fault} on {file:?}");
    let file = file.map(|file| data.join(file));
    let command = trace.of(&serve(&data), file.as_deref(), calls, Some(&fault));

    let (refused, ended) = match Process::of(command) {
        Ok(process) => {
            let mut refused = Vec::new();
            for population in populations {
                refused.extend(deliver_until(
                    || (),
                    &process,
                    &mut ledger,
                    population,
                    dice,
                ));
            }
            // What is in memory alone is saved by the one, and lost by the other.
            if is_killed {
                process.kill();
            } else {
                process.terminate();
            }
            (refused, process.wait())
        }
        Err(ended) => (Vec::new(), ended),
    };
    let struck = trace.struck(ended.id);

    let is_told = TOLD.iter().any(|told| ended.stderr.contains(told));
    let ends_well = ended.status.success() || is_killed;
    let is_broken_off = refused.contains(&Answer::Lost) || !ends_well;
    assert!(is_told || !is_broken_off, "{row}: {}", ended.stderr);
    assert!(refused.is_empty() || struck > 0, "{row}: {refused:?}");
    let process = Process::of(serve(&data));
    let process = process.unwrap_or_else(|ended| panic!("{row}: {}", ended.stderr));
    ledger.assert_all_kept(&process);
    assert!(ledger.is_known_to(&process), "{row}");
    process.stop();
    assert_clean(&data);
    struck > 0
}

#[test]
fn a_call_that_fails_loses_nothing_acknowledged_and_is_told() {
    if !strace::is_present() {
        return;
    }
    let seed = Seed::new();
    let mut dice = seed.dice();
    let missed = ROWS.into_iter().filter(|row| !check(*row, &mut dice));
    assert_eq!(missed.collect::<Vec<_>>(), [], "struck nobody");
    if times("AVOW_TEST_FAULTS", 0) > 0 {
        let struck = all_rows().filter(|row| check(*row, &mut dice)).count();
        assert!(struck > CALLS.len(), "{struck} faults struck");
    }
}

#[test]
fn a_table_that_cannot_be_written_at_a_later_close_or_merged_at_a_later_start_loses_nothing() {
    if !strace::is_present() {
        return;
    }
    let seed = Seed::new();
    let mut dice = seed.dice();
    let rows = LATER_ROWS.into_iter();
    let missed = rows.filter(|row| !check_later(*row, &mut dice));
    assert_eq!(missed.collect::<Vec<_>>(), [], "struck nobody");
}

#[test]
fn a_write_that_is_cut_short_loses_nothing_acknowledged() {
    // From a file's length on, a write writes what fits, and the next one fails. The journal gets there within a record.
    for bytes in [9_001, 24_007, 40_009] {
        let directory = tempdir().unwrap();
        let serve = serve(&directory.path().join("data"));
        // A signal would end the process before it could tell anything.
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(serve.get_program())
            .args(serve.get_args())
            .env_clear()
            .envs(
                serve
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        let process = Process::of(command).unwrap();
        let mut ledger = Ledger::default();
        // Of one session, so that the vault, which has its key then, is no longer written to.
        let mut bodies = (0..400).map(|number| {
            let event = event(&format!("evt_{number}"), "vs_1", "user_1", "processing", 10);
            serde_json::to_vec(&event).unwrap()
        });

        let first = ledger.deliver(&process, 1, bodies.next(), |_| {});
        process.limit_files(bytes);
        let refused = ledger.deliver(&process, CONNECTIONS, bodies, |_| {});
        process.terminate();
        let ended = process.wait();

        // The projections may be the first to get there; the journal goes on then.
        let is_told = |answer: &Answer| {
            let codes = ["writes_stopped", "not_projected"];
            matches!(answer, Answer::Refused { code, .. } if codes.contains(&code.as_str()))
        };
        assert_eq!((first, refused.len()), (vec![], CONNECTIONS), "{bytes}");
        assert!(refused.iter().all(is_told), "{bytes}: {refused:?}");
        let is_told = TOLD.iter().any(|told| ended.stderr.contains(told));
        assert!(is_told, "{bytes}: {}", ended.stderr);
        let data = directory.path().join("data");
        let process = Process::start(&data);
        ledger.assert_all_kept(&process);
        assert!(ledger.is_known_to(&process), "{bytes}");
        process.stop();
        assert_clean(&data);
    }
}
