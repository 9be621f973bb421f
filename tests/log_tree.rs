//! The Merkle tree and its checkpoints: every leaf is in it, every checkpoint is kept before it is seen, and start-up
//! refuses a log that is not the one that was signed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use avow::log::{Log, OpenError};
use avow::transparency::checkpoint::SignedCheckpoint;
use avow::transparency::hash::{EMPTY_ROOT, Hash, leaf_hash, node_hash};
use state_machine::id::SequenceNumber;

use crate::support::log::{Home, append, append_events, copy, numbered_body};

/// RFC 6962, section 2.1, word for word.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root(left), &root(right))
        }
    }
}

fn leaves(log: &Log) -> Vec<Hash> {
    let leaf = |sequence| log.leaf(SequenceNumber(sequence)).unwrap().unwrap();
    (0..log.size())
        .map(|sequence| leaf_hash(&leaf(sequence)))
        .collect()
}

/// Opens a log and asserts that its checkpoint and its tree are those of all its leaves.
fn assert_attested(home: &Home) -> Log {
    let (log, _) = home.open_mended();
    let leaves = leaves(&log);

    assert_eq!(log.checkpoint().tree().size, log.size());
    assert_eq!(log.checkpoint().tree().root, root(&leaves));
    assert_eq!(log.hashes(0, &(0..log.size())).unwrap(), leaves);
    log
}

/// A home with a log of so many events, closed and thereby signed.
fn home_of(events: u64) -> Home {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..events);
    log.close();
    home
}

type Damage<'a> = &'a dyn Fn(&Home) -> io::Result<()>;

fn flip_bit(path: &Path, at: u64) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 1], at)
}

#[test]
fn a_log_that_begins_has_signed_that_it_is_empty() {
    let home = Home::new();

    let log = home.open();

    let checkpoint = log.checkpoint();
    assert_eq!(
        (checkpoint.tree().size, checkpoint.tree().root),
        (0, EMPTY_ROOT)
    );
    let note = checkpoint.note().clone();
    assert!(SignedCheckpoint::authenticate(note, log.verifier_key()).is_ok());
}

#[test]
fn a_log_that_closes_has_signed_every_leaf() {
    for events in [1, 2, 3, 255, 256, 257, 600] {
        assert_attested(&home_of(events));
    }
}

#[test]
fn every_checkpoint_that_was_signed_lies_on_the_log() {
    let home = Home::new();
    for round in 0..7 {
        append_events(&home.open(), round * 40..(round + 1) * 40);
    }

    let log = home.open();

    let leaves = leaves(&log);
    let mut sizes = Vec::new();
    for note in log.checkpoints().unwrap() {
        let tree = SignedCheckpoint::authenticate(note.unwrap(), log.verifier_key())
            .unwrap()
            .tree();
        let size = usize::try_from(tree.size).unwrap();
        assert_eq!(tree.root, root(&leaves[..size]));
        sizes.push(tree.size);
    }
    assert!(sizes.is_sorted());
    assert!(
        (0..=7).all(|round| sizes.contains(&(round * 40))),
        "{sizes:?}"
    );
}

#[test]
fn a_tree_that_is_lost_or_damaged_is_hashed_anew() {
    let whole = home_of(300);
    let tree = |home: &Home, level: &str| home.path().join("tree").join(level);
    let cut = |path: PathBuf| {
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(3_205)
    };
    let damages: [(&str, Damage<'_>); 5] = [
        ("all of it lost", &|home| {
            fs::remove_dir_all(home.path().join("tree"))
        }),
        ("a level lost", &|home| fs::remove_file(tree(home, "1"))),
        ("level 0 cut", &|home| cut(tree(home, "0"))),
        ("the first subtree flipped", &|home| {
            flip_bit(&tree(home, "1"), 7)
        }),
        ("a leaf of the edge flipped", &|home| {
            flip_bit(&tree(home, "0"), 32 * 299)
        }),
    ];
    for (name, damage) in damages {
        let home = Home::copy_of(&whole);
        damage(&home).unwrap();

        let (log, repairs) = home.open_mended();

        assert_eq!(repairs.len(), 1, "{name}: {repairs:?}");
        assert!(
            repairs[0].contains("hashed the Merkle tree anew"),
            "{name}: {repairs:?}"
        );
        append_events(&log, 300..310);
        log.close();
        assert_attested(&home);
    }
}

#[test]
fn what_a_power_cut_leaves_of_unsigned_hashes_is_not_believed() {
    let home = home_of(300);
    let signed = Home::copy_of(&home);
    append_events(&home.open(), 300..320);
    // The last checkpoint was not synced, and of the hashes behind the one before only zeros have reached the disk.
    let checkpoints = fs::read(signed.path().join("checkpoints")).unwrap();
    fs::write(home.path().join("checkpoints"), checkpoints).unwrap();
    let level = File::options().write(true).open(home.path().join("tree/0"));
    level
        .unwrap()
        .write_all_at(&[0; 32 * 20], 32 * 300)
        .unwrap();

    let (log, repairs) = home.open_mended();

    assert_eq!(repairs, Vec::<String>::new());
    log.close();
    assert_attested(&home);
}

#[test]
fn a_checkpoint_torn_at_any_byte_was_seen_by_nobody_and_is_cut() {
    let home = home_of(3);
    append_events(&home.open(), 3..5);
    let path = home.path().join("checkpoints");
    let all = fs::read(&path).unwrap();
    let last = u64::try_from(all.len()).unwrap();
    let log = home.open();
    let before: usize = log
        .checkpoints()
        .unwrap()
        .map(Result::unwrap)
        .filter(|note| !note.text().contains("\n5\n"))
        .map(|note| 8 + note.to_string().len())
        .sum();
    log.close();
    for kept in before..usize::try_from(last).unwrap() {
        fs::write(&path, &all[..kept]).unwrap();

        let log = home.open();

        let tree = log.checkpoint().tree();
        assert_eq!(
            (tree.size, tree.root),
            (3, root(&leaves(&log)[..3])),
            "{kept} bytes"
        );
        fs::write(&path, &all).unwrap();
        log.close();
    }
}

#[test]
fn a_damaged_checkpoint_is_told_and_those_behind_it_still_bind_the_log() {
    let home = home_of(3);
    let older = Home::copy_of(&home);
    append_events(&home.open(), 3..9);
    let path = home.path().join("checkpoints");
    let whole = fs::read(&path).unwrap();
    let of_size_3 = whole.windows(3).position(|bytes| bytes == b"\n3\n");
    flip_bit(&path, u64::try_from(of_size_3.unwrap()).unwrap() + 1).unwrap();
    let damaged = fs::read(&path).unwrap();

    let (log, repairs) = home.open_mended();

    assert_eq!(repairs.len(), 1, "{repairs:?}");
    assert!(
        repairs[0].starts_with("left a damaged checkpoint in "),
        "{repairs:?}"
    );
    assert_eq!(log.checkpoint().tree().size, 9);
    let sizes: Vec<u64> = log
        .checkpoints()
        .unwrap()
        .map(Result::unwrap)
        .map(|note| SignedCheckpoint::authenticate(note, log.verifier_key()).unwrap())
        .map(|checkpoint| checkpoint.tree().size)
        .collect();
    assert!(!sizes.contains(&3) && sizes.contains(&9), "{sizes:?}");
    log.close();
    assert!(fs::read(&path).unwrap().starts_with(&damaged));
    put_back(&older, &home, &["checkpoints"]);
    let refused = home.try_open().map(drop).unwrap_err();
    assert!(
        matches!(refused, OpenError::BehindCheckpoint { signed: 9, .. }),
        "{refused}"
    );
}

#[test]
fn damage_longer_than_any_torn_end_does_not_hide_what_was_signed_before() {
    let home = home_of(5);
    let path = home.path().join("checkpoints");
    let mut damaged = fs::read(&path).unwrap();
    damaged.extend(vec![0xa5; 100_000]);
    fs::write(&path, damaged).unwrap();

    let (log, _) = home.open_mended();

    assert_eq!(log.checkpoint().tree().size, 5);
}

/// Puts the log files of one home, but for those named, into another.
fn put_back(from: &Home, to: &Home, but: &[&str]) {
    for file in fs::read_dir(from.path()).unwrap() {
        let name = file.unwrap().file_name();
        if but.contains(&name.to_str().unwrap()) {
            continue;
        }
        let (from, to) = (from.path().join(&name), to.path().join(&name));
        if from.is_dir() {
            fs::remove_dir_all(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

#[test]
fn a_log_behind_its_last_checkpoint_is_refused() {
    let home = home_of(5);
    let older = Home::copy_of(&home);
    append_events(&home.open(), 5..9);
    put_back(&older, &home, &["checkpoints"]);

    let refused = home.try_open().map(drop).unwrap_err();

    assert!(
        matches!(
            refused,
            OpenError::BehindCheckpoint {
                there: 5,
                signed: 9
            }
        ),
        "{refused}"
    );
    assert!(
        refused.to_string().ends_with("entries 5 to 8 are gone"),
        "{refused}"
    );
}

#[test]
fn a_log_with_other_entries_than_were_signed_is_refused_and_the_first_is_named() {
    let home = home_of(3);
    let fork = Home::copy_of(&home);
    append_events(&home.open(), 3..9);
    let forked = fork.open();
    for number in 10..20 {
        append(&forked, &numbered_body(number));
    }
    forked.close();

    let by_tree = Home::copy_of(&home);
    put_back(&fork, &by_tree, &["checkpoints", "tree"]);
    let by_checkpoint = Home::copy_of(&home);
    put_back(&fork, &by_checkpoint, &["checkpoints"]);

    for (home, named) in [
        (by_tree, "entries 3 are"),
        (by_checkpoint, "entries 3–8 are"),
    ] {
        let refused = home.try_open().map(drop).unwrap_err();
        assert!(
            matches!(refused, OpenError::EntriesChanged { .. }),
            "{refused}"
        );
        assert!(refused.to_string().starts_with(named), "{refused}");
    }
}

#[test]
fn a_log_that_was_signed_under_another_name_is_refused() {
    let mut home = home_of(2);
    home.options.origin = Some("example.com/other".parse().unwrap());

    let refused = home.try_open().map(drop).unwrap_err();

    assert!(matches!(refused, OpenError::Checkpoint { .. }), "{refused}");
}
