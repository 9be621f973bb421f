//! Generations of the projections: a store can take another's place while it is read, and whatever a process leaves behind,
//! the next start finds one that is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use avow::log::Log;
use avow::projections::catch_up::catch_up;
use avow::projections::generations::Generations;
use avow::projections::live::Live;
use avow::projections::store::{Projections, StartedAfresh};
use state_machine::id::{SequenceNumber, SessionId, World};

use crate::support::log::{Home, append_events, copy};

const CACHE_BYTES: u64 = 1 << 20;
const WORLD: World = World {
    livemode: false,
    account: None,
};

fn open(home: &Home, log: &Log) -> (Live, Option<StartedAfresh>) {
    Live::open(&directory(home), CACHE_BYTES, log).unwrap()
}

fn directory(home: &Home) -> PathBuf {
    home.data_dir().join("projections")
}

fn fold(log: &Log, projections: &Arc<Projections>) {
    catch_up(projections, |next| log.entries_from(next), |_, _| {}).unwrap();
}

fn current(home: &Home) -> PathBuf {
    let current = Generations::of(&directory(home)).current();
    current.unwrap().unwrap()
}

fn session(number: u64) -> SessionId {
    SessionId::parse(&format!("vs_{number:06}")).unwrap()
}

/// Waits until a directory is gone, which is removed on a thread of its own.
fn wait_until_gone(path: &Path) {
    while path.exists() {
        std::thread::yield_now();
    }
}

#[test]
fn a_view_ends_on_the_store_that_it_began_with_and_the_store_is_removed_behind_it() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..2);
    let (live, _) = open(&home, &log);
    let before = current(&home);
    let view = live.view();
    let shadow = live.shadow().unwrap();
    fold(&log, &shadow);

    live.replace(&shadow).unwrap();

    assert_ne!(current(&home), before);
    assert_eq!(view.session(&WORLD, &session(1)).unwrap(), None);
    assert!(before.exists());
    assert!(live.view().session(&WORLD, &session(1)).unwrap().is_some());
    drop(view);
    wait_until_gone(&before);
}

#[test]
fn a_shadow_that_is_given_up_leaves_nothing() {
    let home = Home::new();
    let log = home.open();
    let (live, _) = open(&home, &log);
    let before = current(&home);
    let shadow = live.shadow().unwrap();
    let files = fs::read_dir(directory(&home)).unwrap();
    let mut paths = files.map(|file| file.unwrap().path());
    let path = paths.find(|path| path.is_dir() && *path != before);

    drop(shadow);

    wait_until_gone(&path.unwrap());
    assert_eq!(current(&home), before);
}

/// What a process has left when it ended at some moment of a rebuild.
fn left_behind(at: fn(&Live, &Arc<Projections>, &Path)) -> (Home, PathBuf) {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..3);
    let (live, _) = open(&home, &log);
    fold(&log, &live.store());
    let shadow = live.shadow().unwrap();
    fold(&log, &shadow);
    // Keeps the old generation from being removed while it is copied.
    let _view = live.view();
    at(&live, &shadow, &directory(&home));
    // Copied while everything is open: what is not on the disk yet is lost.
    let left = Home::copy_of(&home);
    let current = current(&left);
    (left, current)
}

#[test]
fn an_end_at_any_step_of_a_swap_leaves_the_old_generation_or_the_new_one() {
    type Step = fn(&Live, &Arc<Projections>, &Path);
    #[rustfmt::skip]
    let steps: [(&str, Step, &str); 3] = [
        ("before the swap",                 |_, _, _| {},                                 "generation-1"),
        ("before the pointer is renamed",   |_, _, directory| write_half(directory),      "generation-1"),
        ("before the old one is removed",   |live, shadow, _| live.replace(shadow).unwrap(), "generation-2"),
    ];

    for (step, at, expected) in steps {
        let (left, pointed_to) = left_behind(at);
        assert!(pointed_to.ends_with(expected), "{step}");
        let log = left.open();

        let (live, afresh) = open(&left, &log);

        assert_eq!(afresh, None, "{step}");
        fold(&log, &live.store());
        assert_eq!(live.store().cursor().unwrap().next, SequenceNumber(3));
        assert!(live.view().session(&WORLD, &session(2)).unwrap().is_some());
        let mut names: Vec<_> = fs::read_dir(directory(&left))
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["current", expected], "{step}");
    }
}

fn write_half(directory: &Path) {
    fs::write(directory.join("current.new"), "generat").unwrap();
}

#[test]
fn whatever_the_pointer_says_the_next_start_has_projections() {
    let pointers = [
        "",
        "generation-7\n",
        "../log\n",
        "generation-1/..\n",
        "\u{fffd}",
    ];
    for pointer in pointers {
        let home = Home::new();
        let log = home.open();
        append_events(&log, 0..2);
        drop(open(&home, &log));
        fs::write(directory(&home).join("current"), pointer).unwrap();

        let (live, afresh) = open(&home, &log);

        assert!(afresh.is_some(), "{pointer:?}");
        fold(&log, &live.store());
        assert!(live.view().session(&WORLD, &session(1)).unwrap().is_some());
        drop(live);
        assert_eq!(open(&home, &log).1, None);
    }
}

#[test]
fn a_store_from_before_there_were_generations_is_folded_afresh() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..2);
    let (live, _) = open(&home, &log);
    fold(&log, &live.store());
    drop(live);
    let elsewhere = home.data_dir().join("elsewhere");
    copy(&current(&home), &elsewhere);
    fs::remove_dir_all(directory(&home)).unwrap();
    fs::rename(elsewhere, directory(&home)).unwrap();

    let (live, afresh) = open(&home, &log);

    assert_eq!(afresh, Some(StartedAfresh::OtherReducer));
    assert_eq!(live.store().cursor().unwrap().next, SequenceNumber(0));
    assert!(!directory(&home).join("tables").exists());
}
