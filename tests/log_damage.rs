//! Whatever one file suffers, every acknowledged entry is there after a restart; or opening refuses, and
//! names what is missing.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use avow::log::keys::MasterKey;
use avow::log::vault::VaultError;
use avow::log::{JournalRetention, Log, MissingEntries, OpenError};
use proptest::prelude::*;
use state_machine::id::SequenceNumber;

use crate::support::log::{
    Home, append, append_events, append_group, assert_holds_events, body_of, copy, long_body,
    master_key, numbered_body, open_without_entry_1,
};

const EVENTS: u64 = 200;
const REOPENINGS: u64 = 40;

/// A closed log of [`EVENTS`] entries, in several journal segments.
fn closed_log() -> Home {
    let home = Home::new();
    append_events(&home.open(), 0..EVENTS);
    assert!(segments(&home).len() > 2);
    home
}

fn segments(home: &Home) -> Vec<PathBuf> {
    let files = fs::read_dir(home.path().join("journal")).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
}

fn store_file(home: &Home) -> PathBuf {
    home.path().join("sled/db")
}

fn shorten(path: &Path, bytes: u64) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len().saturating_sub(bytes))
        .unwrap();
}

fn flip_bit(path: &Path, offset: u64, bit: u32) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).unwrap();
    file.write_all_at(&[byte[0] ^ (1 << bit)], offset).unwrap();
}

/// Where the records of a segment end and its zeros begin, at a multiple of eight.
fn end_of_records(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap();
    let last = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    u64::try_from((last + 1).next_multiple_of(8)).unwrap()
}

/// Opens a damaged log: it mends what `says` tells, holds every event, goes on, and needs no mending again.
#[track_caller]
fn check_mended(home: &Home, says: &[&str]) {
    let (log, repairs) = home.open_mended();
    assert_eq!(repairs.len(), says.len(), "{repairs:?}");
    for (repair, part) in repairs.iter().zip(says) {
        assert!(repair.contains(part), "{repairs:?}");
    }
    assert_holds_events(&log, EVENTS);
    append_events(&log, EVENTS..EVENTS + 3);
    log.close();
    assert_holds_events(&home.open(), EVENTS + 3);
}

#[track_caller]
fn check_refused(home: &Home, missing: &str) {
    match home.try_open() {
        Err(OpenError::EntriesMissing { missing: entries }) => {
            assert_eq!(entries.to_string(), missing);
        }
        Err(other) => panic!("{other}"),
        Ok((_, repairs)) => panic!("opened: {repairs:?}"),
    }
}

#[test]
fn sled_is_rebuilt_when_its_directory_is_gone() {
    let home = closed_log();
    fs::remove_dir_all(home.path().join("sled")).unwrap();

    check_mended(
        &home,
        &["rebuilt sled from the journal (its file has 0 bytes"],
    );
}

#[test]
fn sled_is_rebuilt_when_its_file_is_shorter_than_it_was() {
    let whole = closed_log();
    let bytes = store_file(&whole).metadata().unwrap().len();
    for lost in [1, 512, 4_096, 100_000, bytes / 2, bytes] {
        let home = Home::copy_of(&whole);
        shorten(&store_file(&home), lost);

        check_mended(&home, &["rebuilt sled from the journal (its file has"]);
        assert!(home.path().join("sled.damaged-1").exists());
    }
}

#[test]
fn no_entry_is_lost_to_bits_flipped_in_sled() {
    let whole = closed_log();
    let bytes = fs::read(store_file(&whole)).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    for step in 0..60 {
        let home = Home::copy_of(&whole);
        let offset = used - used * step / 60;
        flip_bit(
            &store_file(&home),
            u64::try_from(offset).unwrap(),
            u32::try_from(step % 8).unwrap(),
        );

        check_mended_by_restarts(&home);
    }
}

#[test]
fn what_sled_loses_while_the_log_is_open_is_read_from_the_journal() {
    let home = Home::in_memory();
    let (log, body) = open_without_entry_1(&home);

    let entry = log.entry(SequenceNumber(1)).unwrap().unwrap();

    assert_eq!(body_of(&log, &entry), body);
    assert_eq!(log.health().repaired_reads, 1);
    log.close();
    let (mended, _) = home.open_mended();
    let entry = mended.entry(SequenceNumber(1)).unwrap().unwrap();
    assert_eq!(body_of(&mended, &entry), body);
}

#[test]
fn what_memory_lets_go_of_is_read_from_disk() {
    const MORE_THAN_STAYS_BYTES: usize = 12 * 1024 * 1024;
    const NOISE_BYTES: usize = 256 * 1024;
    let home = Home::in_memory();
    let log = home.open();
    let bodies: Vec<_> = (0..)
        .take(MORE_THAN_STAYS_BYTES / NOISE_BYTES)
        .map(|number| long_body(number, NOISE_BYTES))
        .collect();

    for body in &bodies {
        append(&log, body);
    }
    while log.health().store_behind_entries > 0 {
        thread::yield_now();
    }

    let entries = log.entries_from(SequenceNumber(0)).map(Result::unwrap);
    assert!(entries.map(|entry| body_of(&log, &entry)).eq(bodies));
}

#[test]
fn the_sled_and_the_index_of_another_log_are_not_taken_for_its_own() {
    let (whole, other) = (closed_log(), closed_log());
    // A sled that is shorter than the log's own was would be refused for that.
    let longer = Home::copy_of(&other);
    append_events(&longer.open(), EVENTS..2 * EVENTS);
    for (name, other, says) in [
        ("sled", &longer, "it does not name this log as its own"),
        ("index", &other, "rebuilt the index"),
    ] {
        let home = Home::copy_of(&whole);
        fs::remove_dir_all(home.path().join(name)).unwrap();
        copy(&other.path().join(name), &home.path().join(name));

        check_mended(&home, &[says]);
    }
}

#[test]
fn a_journal_of_another_log_or_of_another_history_is_refused() {
    let begun = Home::new();
    append_events(&begun.open(), 0..EVENTS / 2);
    let (whole, other) = (Home::copy_of(&begun), Home::copy_of(&begun));
    append_events(&whole.open(), EVENTS / 2..EVENTS);
    let log = other.open();
    for number in EVENTS / 2..EVENTS {
        append(&log, &numbered_body(number + EVENTS));
    }
    log.close();
    let last = segments(&whole).pop().unwrap();
    let last = last.file_name().unwrap();
    let put = |home: &Home, from: &Home, segment: &OsStr| {
        let path = |home: &Home| home.path().join("journal").join(segment);
        fs::copy(path(from), path(home)).unwrap();
    };

    let home = Home::copy_of(&whole);
    put(
        &home,
        &closed_log(),
        segments(&whole)[0].file_name().unwrap(),
    );
    assert!(matches!(home.try_open(), Err(OpenError::OtherLog { .. })));

    let home = Home::copy_of(&whole);
    put(&home, &other, last);
    let head_mismatch = home.try_open();
    assert!(matches!(
        head_mismatch,
        Err(OpenError::HeadMismatch { size: EVENTS })
    ));

    fs::remove_file(home.path().join("head")).unwrap();
    let chain_broken = home.try_open();
    assert!(matches!(chain_broken, Err(OpenError::ChainBroken { .. })));
}

#[test]
fn sled_is_rebuilt_when_opening_it_ended_the_process_twice() {
    let home = closed_log();
    fs::write(home.path().join("sled.opening"), b"..").unwrap();

    check_mended(&home, &["opening it ended the process again and again"]);
}

#[test]
fn a_sled_that_was_being_rebuilt_is_rebuilt_from_the_start() {
    let home = closed_log();
    fs::write(home.path().join("sled.rebuilding"), b"").unwrap();
    shorten(&store_file(&home), 100_000);

    check_mended(&home, &["it was being built when the process ended"]);
    assert!(
        !home.path().join("sled.damaged-1").exists(),
        "half-built, so not worth keeping"
    );
}

#[test]
fn a_snapshot_that_sled_had_not_finished_is_removed() {
    let home = closed_log();
    fs::write(
        home.path().join("sled/snap.0000000000000042.generating"),
        b"half",
    )
    .unwrap();

    check_mended(&home, &["which sled had not finished"]);
}

#[test]
fn the_torn_end_of_a_group_is_cut() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..3);
    log.close();
    let before = Home::copy_of(&home);
    append_events(&home.open(), 3..4);
    let (old_end, new_end) = (
        end_of_records(&segments(&before)[0]),
        end_of_records(&segments(&home)[0]),
    );
    let group = fs::read(&segments(&home)[0]).unwrap();
    let group = &group[usize::try_from(old_end).unwrap()..usize::try_from(new_end).unwrap()];

    for kept in (1..group.len() - 8).step_by(61) {
        let torn = Home::copy_of(&before);
        let journal = File::options()
            .write(true)
            .open(&segments(&torn)[0])
            .unwrap();
        journal.write_all_at(&group[..kept], old_end).unwrap();

        let (log, repairs) = torn.open_mended();

        assert!(
            repairs.iter().all(|repair| repair.contains("cut the torn")),
            "{repairs:?}"
        );
        assert_eq!(repairs.len(), 1);
        assert_holds_events(&log, 3);
        append_events(&log, 3..5);
        log.close();
        assert_holds_events(&torn.open(), 5);
    }
}

#[test]
fn a_group_that_was_written_but_not_answered_is_kept() {
    let home = Home::new();
    append_events(&home.open(), 0..3);
    let before = Home::copy_of(&home);
    append_events(&home.open(), 3..4);
    fs::copy(&segments(&home)[0], &segments(&before)[0]).unwrap();

    let log = before.open();

    assert_holds_events(&log, 4);
}

/// The journal of a log whose sled never got the entries from 3 on: a group of 3 to 7, and what `later`
/// appended.
fn journal_ahead_of_sled(later: Range<u64>) -> (Home, PathBuf, Vec<u64>) {
    let home = Home::new();
    append_events(&home.open(), 0..3);
    let behind = Home::copy_of(&home);
    let log = home.open();
    append_group(&log, 3..8);
    append_events(&log, later);
    log.close();
    let segment = segments(&behind).remove(0);
    fs::copy(&segments(&home)[0], &segment).unwrap();
    let starts = fs::read(&segment).unwrap();
    let starts = starts
        .chunks(8)
        .zip((0..).step_by(8))
        .filter(|(chunk, _)| chunk.starts_with(b"AVW2"));
    (behind, segment, starts.map(|(_, offset)| offset).collect())
}

#[test]
fn a_group_torn_in_its_middle_is_cut_there() {
    let (home, segment, starts) = journal_ahead_of_sled(0..0);
    flip_bit(&segment, starts[5] + 100, 2);

    let (log, repairs) = home.open_mended();

    assert_eq!(repairs.len(), 1);
    assert!(repairs[0].contains(&format!(
        "cut the torn, never acknowledged end of {} at byte {}",
        segment.display(),
        starts[5]
    )));
    assert_holds_events(&log, 5);
    append_events(&log, 5..20);
    log.close();
    assert_holds_events(&home.open(), 20);
}

#[test]
fn a_damaged_group_with_a_later_one_behind_it_was_acknowledged() {
    let (home, segment, starts) = journal_ahead_of_sled(8..10);
    flip_bit(&segment, starts[5] + 100, 2);
    flip_bit(&segment, starts[6] + 100, 2);

    check_refused(&home, "entries 5–6");
}

#[test]
fn damage_of_the_journal_is_mended_from_sled() {
    let whole = closed_log();
    let last = segments(&whole).len() - 1;
    let end = end_of_records(&segments(&whole)[last]);
    for (offset, what) in [
        (3, "magic"),
        (40, "header"),
        (130, "first record"),
        (end / 2, "the middle"),
        (end - 20, "the last record"),
    ] {
        let home = Home::copy_of(&whole);
        flip_bit(&segments(&home)[last], offset, 3);

        check_mended(&home, &["rewrote"]);
        assert!(what.len() > 1);
    }
}

#[test]
fn missing_segments_of_the_journal_are_rewritten_from_sled() {
    let whole = closed_log();
    let count = segments(&whole).len();
    for lost in [
        vec![0],
        vec![1],
        vec![count - 1],
        vec![1, 2],
        vec![0, count - 1],
        (0..count).collect(),
    ] {
        let home = Home::copy_of(&whole);
        let paths = segments(&home);
        for index in lost {
            fs::remove_file(&paths[index]).unwrap();
        }

        let (log, repairs) = home.open_mended();

        assert!(
            repairs.iter().all(|repair| repair.contains("rewrote")),
            "{repairs:?}"
        );
        assert!(!repairs.is_empty());
        assert_holds_events(&log, EVENTS);
        log.close();
        fs::remove_dir_all(home.path().join("sled")).unwrap();
        check_mended(&home, &["rebuilt sled"]);
    }
}

#[test]
fn a_lost_or_damaged_head_is_written_anew() {
    let whole = closed_log();
    for damage in [
        |path: &Path| fs::remove_file(path).unwrap(),
        |path: &Path| fs::write(path, b"").unwrap(),
        |path: &Path| fs::write(path, [7; 8192]).unwrap(),
    ] {
        let home = Home::copy_of(&whole);
        damage(&home.path().join("head"));

        check_mended(&home, &["rewrote the head file"]);
    }
}

#[test]
fn a_head_torn_in_one_slot_falls_back_to_the_other() {
    let whole = closed_log();
    for slot in [0, 4096] {
        let home = Home::copy_of(&whole);
        flip_bit(&home.path().join("head"), slot + 30, 1);

        check_mended(&home, &[]);
    }
}

#[test]
fn a_lost_identity_is_read_from_the_journal() {
    let home = closed_log();
    fs::remove_file(home.path().join("identity")).unwrap();

    check_mended(&home, &["rewrote the identity file"]);
}

#[test]
fn an_identity_that_neither_its_file_nor_the_journal_has_is_not_made_up() {
    let home = closed_log();
    fs::remove_file(home.path().join("identity")).unwrap();
    fs::remove_dir_all(home.path().join("journal")).unwrap();

    assert!(matches!(
        home.try_open(),
        Err(OpenError::IdentityLost { .. })
    ));
}

#[test]
fn a_log_whose_vault_is_lost_gets_no_other() {
    let home = closed_log();
    let vault = home.data_dir().join("vault");
    fs::remove_file(&vault).unwrap();
    assert!(matches!(home.try_open(), Err(OpenError::VaultLost { .. })));
    assert!(!vault.exists());

    let other = closed_log();
    fs::copy(other.data_dir().join("vault"), &vault).unwrap();
    assert!(matches!(home.try_open(), Err(OpenError::OtherVault)));
}

#[test]
fn a_lost_or_damaged_index_is_rebuilt() {
    let whole = closed_log();
    let home = Home::copy_of(&whole);
    fs::remove_dir_all(home.path().join("index")).unwrap();
    check_mended(&home, &["rebuilt the index"]);

    let home = Home::copy_of(&whole);
    for file in fs::read_dir(home.path().join("index")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            fs::write(path, b"nothing that a tree wrote").unwrap();
        }
    }
    check_mended(&home, &["rebuilt the index"]);
}

#[test]
fn a_log_refuses_to_open_without_entries_that_neither_has() {
    let whole = closed_log();

    let home = Home::copy_of(&whole);
    fs::remove_dir_all(home.path().join("sled")).unwrap();
    fs::remove_dir_all(home.path().join("journal")).unwrap();
    check_refused(&home, "entries 0–199");

    let home = Home::copy_of(&whole);
    fs::remove_dir_all(home.path().join("sled")).unwrap();
    let paths = segments(&home);
    let second: u64 = first_of(&paths[1]);
    fs::remove_file(&paths[0]).unwrap();
    check_refused(&home, &format!("entries 0–{}", second - 1));
    assert!(
        !home.path().join("sled").exists(),
        "a refusal changes nothing"
    );

    let home = Home::copy_of(&whole);
    shorten(&store_file(&home), 100_000);
    flip_bit(paths_at(&home, 1).as_path(), 200, 5);
    check_refused(&home, &format!("entries {second}"));
}

fn paths_at(home: &Home, index: usize) -> PathBuf {
    segments(home).remove(index)
}

fn first_of(segment: &Path) -> u64 {
    segment
        .file_stem()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn another_master_key_is_refused() {
    let home = closed_log();
    let other =
        MasterKey::parse("4f1c9ab2d35e6708915a2c7de0b4836f7712fe08c95bd4a13e6907cb28f5d1e1")
            .unwrap();

    let opened = Log::open(&home.path(), &other, home.options.clone());

    assert!(matches!(
        opened,
        Err(OpenError::Vault(VaultError::OtherMasterKey))
    ));
}

#[test]
fn a_second_opener_is_refused() {
    let home = closed_log();
    let log = home.open();

    assert!(matches!(home.try_open(), Err(OpenError::InUse { .. })));
    log.close();
    assert!(home.try_open().is_ok());
}

/// A process that is being started has, for a moment, a copy of every descriptor, and of the locks that they hold.
#[test]
fn a_log_that_was_closed_is_opened_again_at_once_while_processes_are_started() {
    let home = Home::in_memory();
    append_events(&home.open(), 0..1);
    let is_over = AtomicBool::new(false);

    thread::scope(|scope| {
        let _end = ends(&is_over);
        for _ in 0..4 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert!(Command::new("true").status().unwrap().success());
                }
            });
        }
        for number in 1..=REOPENINGS {
            append_events(&home.open(), number..number + 1);
        }
    });

    assert_holds_events(&home.open(), REOPENINGS + 1);
}

/// Ends what goes on meanwhile, also where an assertion fails.
fn ends(is_over: &AtomicBool) -> impl Drop + '_ {
    struct End<'flag>(&'flag AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    End(is_over)
}

#[test]
fn a_journal_kept_until_sled_is_durable_loses_nothing() {
    let mut home = Home::new();
    home.options.journal_retention = JournalRetention::UntilSledIsDurable;
    append_events(&home.open(), 0..EVENTS);
    let log = home.open();
    append_events(&log, EVENTS..EVENTS + 100);
    log.close();

    assert!(segments(&home).len() < 4, "{:?}", segments(&home));
    assert_holds_events(&home.open(), EVENTS + 100);
}

#[test]
fn damage_to_the_only_copy_is_named_entry_by_entry_and_nothing_more_is_lost_to_it() {
    let mut whole = Home::new();
    whole.options.journal_retention = JournalRetention::UntilSledIsDurable;
    append_events(&whole.open(), 0..EVENTS);
    let pruned_before = first_of(&segments(&whole)[0]);
    assert!(pruned_before > 0);
    let bytes = store_file(&whole).metadata().unwrap().len();
    let mut refusals = 0;
    for lost in [1, 4_096, 100_000, bytes / 2, bytes * 9 / 10, bytes] {
        let home = Home::copy_of(&whole);
        shorten(&store_file(&home), lost);
        let damaged = fs::read(store_file(&home)).unwrap();

        match home.try_open() {
            Ok((log, _)) => assert_holds_events(&log, EVENTS),
            Err(OpenError::EntriesMissing { missing }) => {
                refusals += 1;
                let MissingEntries(ranges) = missing;
                assert!(
                    ranges.iter().all(|range| range.end <= pruned_before),
                    "{ranges:?}"
                );
                assert!(home.try_open().is_err());
                // What was found is kept, once, however often the service is started.
                let copied = fs::read(home.path().join("sled.damaged-copy/db")).unwrap();
                assert!(copied == damaged, "{lost} bytes lost");
                assert!(!home.path().join("sled.damaged-1").exists());
                // Whoever has a whole one puts that in its place.
                fs::remove_dir_all(home.path().join("sled")).unwrap();
                copy(&whole.path().join("sled"), &home.path().join("sled"));
                assert_holds_events(&home.open_mended().0, EVENTS);
            }
            Err(other) => panic!("{lost} bytes lost: {other}"),
        }
    }
    assert!(refusals > 1);
}

#[test]
fn a_journal_kept_whole_again_is_completed_from_sled() {
    let mut home = Home::new();
    home.options.journal_retention = JournalRetention::UntilSledIsDurable;
    append_events(&home.open(), 0..EVENTS);
    home.options.journal_retention = JournalRetention::Whole;

    let (log, repairs) = home.open_mended();

    assert!(
        repairs.iter().all(|repair| repair.contains("rewrote")),
        "{repairs:?}"
    );
    log.close();
    fs::remove_dir_all(home.path().join("sled")).unwrap();
    check_mended(&home, &["rebuilt sled"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_in_any_file_loses_no_entry(file in 0_usize..64, place in 0..1_000_usize, bit in 0..8_u32) {
        let home = Home::copy_of(&WHOLE);
        let files = files_under(&home.path());
        let path = &files[file % files.len()];
        let used = fs::read(path).unwrap().iter().rposition(|byte| *byte != 0).unwrap_or(0);
        if path.metadata().unwrap().len() > 0 {
            flip_bit(path, u64::try_from(used * place / 1_000).unwrap(), bit);
        }

        check_mended_by_restarts(&home);
    }
}

/// Opens the log in another process, as a service manager would: damage in sled can end the process that
/// opens it.
fn check_mended_by_restarts(home: &Home) {
    let opened = (0..3).any(|_| {
        let child = Command::new(env::current_exe().unwrap())
            .args([
                "--exact",
                "log_damage::the_log_of_a_parent_process_holds_every_event",
                "--nocapture",
            ])
            .env(CHILD_HOME, home.path())
            .output()
            .unwrap();
        let dies_in_sled = child.status.signal().is_some();
        assert!(
            child.status.success() || dies_in_sled,
            "{}",
            String::from_utf8_lossy(&child.stderr)
        );
        child.status.success()
    });
    assert!(opened);
}

const CHILD_HOME: &str = "AVOW_TEST_CHILD_HOME";

#[test]
fn the_log_of_a_parent_process_holds_every_event() {
    let Some(path) = env::var_os(CHILD_HOME) else {
        return;
    };
    let options = Home::new().options;
    let (log, _) = Log::open(Path::new(&path), &master_key(), options).unwrap();

    assert_holds_events(&log, EVENTS);
    append_events(&log, EVENTS..EVENTS + 1);
    assert_holds_events(&log, EVENTS + 1);
}

static WHOLE: std::sync::LazyLock<Home> = std::sync::LazyLock::new(closed_log);

fn files_under(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    let inner: Vec<_> = files
        .iter()
        .filter(|path| path.is_dir())
        .flat_map(|path| files_under(path))
        .collect();
    files.retain(|path| path.is_file());
    files.extend(inner);
    files
}
