//! When the log cannot promise durability it says so, to everyone who waits, and nothing unanswered for is
//! shown.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;

use avow::log::{AppendError, Log};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::support::log::{
    Home, append, append_all, append_events, assert_holds_events, master_key, numbered_body,
    prepare,
};

#[test]
fn a_full_queue_refuses_at_once() {
    let mut home = Home::new();
    home.options.queue_entries_max = 2;
    home.options.group_entries_max = 1;
    let log = home.open();
    let (release, released) = mpsc::channel::<()>();
    let (reached, reach) = mpsc::channel();
    log.append(prepare(&log, numbered_body(0).as_bytes()), move |_| {
        reached.send(()).unwrap();
        released.recv().unwrap(); // the sequencer is kept from taking more
    });
    reach.recv().unwrap();

    let (sender, answers) = mpsc::channel();
    for number in 1..4 {
        let sender = sender.clone();
        log.append(
            prepare(&log, numbered_body(number).as_bytes()),
            move |result| {
                sender.send((number, result)).unwrap();
            },
        );
    }

    assert!(matches!(
        answers.recv().unwrap(),
        (3, Err(AppendError::QueueFull))
    ));
    assert_eq!(log.health().queue_entries, 2);
    release.send(()).unwrap();
    assert!(answers.recv().unwrap().1.is_ok());
    assert!(answers.recv().unwrap().1.is_ok());
    assert_holds_events(&log, 3);
}

#[test]
fn too_little_free_space_refuses_and_ends_by_itself() {
    let mut home = Home::new();
    append_events(&home.open(), 0..3);
    home.options.disk_free_bytes_min = u64::MAX;
    let log = home.open();

    let answer = append_all(&log, &[numbered_body(3)]).remove(0);

    assert!(matches!(answer, Err(AppendError::DiskFull)));
    assert!(log.health().disk_full && log.health().stopped.is_none());
    assert_holds_events(&log, 3);
    log.close();
    home.options.disk_free_bytes_min = 0;
    append_events(&home.open(), 3..4);
}

#[test]
fn the_ballast_is_given_up_where_nothing_else_is_free_and_made_anew_later() {
    let mut home = Home::new();
    home.options.ballast_bytes = 1024 * 1024;
    append_events(&home.open(), 0..3);
    let ballast = home.path().join("ballast");
    assert_eq!(ballast.metadata().unwrap().len(), 1024 * 1024);

    home.options.ballast_bytes = u64::MAX;
    let (log, repairs) = home.open_mended();

    assert_eq!(repairs, ["gave up the ballast, because the disk is full"]);
    assert!(!ballast.exists());
    assert_holds_events(&log, 3);
    log.close();
    home.options.ballast_bytes = 1024 * 1024;
    drop(home.open());
    assert!(ballast.exists());
}

#[test]
fn closing_commits_and_answers_what_is_queued() {
    let home = Home::new();
    let log = home.open();
    let (sender, answers) = mpsc::channel();
    for number in 0..50 {
        let sender = sender.clone();
        log.append(
            prepare(&log, numbered_body(number).as_bytes()),
            move |result| {
                sender.send(result.unwrap().sequence.0).unwrap();
            },
        );
    }

    log.close();

    assert!(answers.try_iter().eq(0..50));
    assert_holds_events(&home.open(), 50);
}

const CHILD_HOME: &str = "AVOW_TEST_LIMITED_HOME";

/// A file size limit makes the journal's write fail half-way, as a dying disk would. It holds for a whole
/// process, so another one suffers it.
#[test]
fn a_failed_write_answers_everyone_and_stops_writing_until_restart() {
    let home = Home::new();
    append_events(&home.open(), 0..3);

    // The limit's signal would end the process; ignored, it lets the write fail.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(env::current_exe().unwrap())
        .args([
            "--exact",
            "log_refusal::the_log_of_a_parent_process_stops_at_a_failed_write",
            "--nocapture",
        ])
        .env(CHILD_HOME, home.path())
        .output()
        .unwrap();

    assert!(
        child.status.success(),
        "{}",
        String::from_utf8_lossy(&child.stderr)
    );
    let (log, _) = home.open_mended();
    let kept = log.size();
    assert!(kept >= 4, "what was acknowledged before the failure");
    assert_holds_events(&log, kept);
    assert!(!append(&log, &numbered_body(kept)).duplicate);
}

#[test]
fn the_log_of_a_parent_process_stops_at_a_failed_write() {
    let Some(path) = env::var_os(CHILD_HOME) else {
        return;
    };
    let path = Path::new(&path);
    let (log, _) = Log::open(path, &master_key(), Home::new().options).unwrap();
    append_events(&log, 3..4);
    let segment = fs::read_dir(path.join("journal"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let written = fs::read(segment)
        .unwrap()
        .iter()
        .rposition(|byte| *byte != 0)
        .unwrap();
    let limit = u64::try_from(written + 200).unwrap();
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: Some(limit),
            maximum: None,
        },
    )
    .unwrap();

    let bodies: Vec<_> = (4..10).map(numbered_body).collect();
    let answers = append_all(&log, &bodies);
    let later = append_all(&log, &[numbered_body(10)]).remove(0);

    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(AppendError::Stopped(_)))),
        "{answers:?}"
    );
    assert!(matches!(later, Err(AppendError::Stopped(_))));
    assert!(log.health().stopped.is_some());
    assert_holds_events(&log, 4);
}
