//! A full disk: deliveries are answered 503, what was acknowledged stays, and when space is back they are taken again by
//! the same process.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;

use crate::support::delivery::{Delivery, event};
use crate::support::disk::Disk;
use crate::support::process::{Process, serve};

const MIB: u64 = 1024 * 1024;
/// What a server keeps free here.
const WATERMARK: &str = "--set=log.disk_free_bytes_min=8388608";

fn start(disk: &Disk) -> Process {
    let mut command = serve(&disk.mount_point().join("data"));
    command.arg(WATERMARK);
    Process::of(command).unwrap()
}

fn delivery(number: u64) -> Delivery {
    let (id, session) = (format!("evt_{number}"), format!("vs_{number}"));
    Delivery::event(&event(&id, &session, "user_1", "verified", 10))
}

fn status(process: &Process, number: u64) -> u16 {
    process
        .deliver(&delivery(number))
        .unwrap()
        .status()
        .as_u16()
}

fn is_ready(process: &Process) -> bool {
    process.get("/readyz").status() == 200
}

#[test]
fn a_disk_that_fills_up_sheds_and_the_same_process_takes_deliveries_again_when_there_is_space() {
    let Some(disk) = Disk::mounted("loop") else {
        return;
    };
    let process = start(&disk);
    assert_eq!(status(&process, 0), 200);

    for (round, left) in [(1, 4 * MIB), (2, 0)] {
        let filler = disk.fill(left);
        let refused = process.deliver(&delivery(round)).unwrap();
        assert_eq!(refused.status(), 503, "{round}");
        assert!(refused.headers().contains_key("retry-after"));
        let error = refused.json::<Value>().unwrap();
        assert_eq!(error["error"]["code"], "disk_full");
        assert!(!is_ready(&process));
        assert_eq!(process.read("/v1/users/user_1")["status"], "verified");

        drop(filler);
        // Before anything is delivered: what is not ready is sent nothing.
        assert!(is_ready(&process));
        assert_eq!(status(&process, round), 200, "{round}\n{}", process.said());
    }

    process.stop();
    // The first entry is the policy.
    assert_eq!(start(&disk).entries(), 4);
}

/// Tells whether all that was accepted is where it belongs: the head says so behind sled and the index, the checkpoint
/// behind the tree.
fn is_settled(disk: &Disk, process: &Process) -> bool {
    let ready = process.get("/readyz").json::<Value>().unwrap();
    let entries = ready["entries"].as_u64().unwrap();
    let head = std::fs::read(disk.mount_point().join("data/log/head")).unwrap();
    let is_fed = head.windows(8).any(|bytes| bytes == entries.to_le_bytes());
    let checkpoint = process.get("/checkpoint").text().unwrap();
    let is_signed = checkpoint.lines().nth(1) == Some(&entries.to_string());
    let is_folded = ready["projected"] == ready["entries"];
    ready["status"] == "not_ready" && is_fed && is_signed && is_folded
}

#[test]
fn a_disk_that_fills_up_to_the_last_byte_under_load_loses_nothing_and_needs_no_restart() {
    /// How many answers are waited for what has to come.
    const ANSWERS: u64 = 5_000;
    let Some(disk) = Disk::mounted("loop") else {
        return;
    };
    let process = start(&disk);
    let (next, recorded) = (AtomicU64::new(0), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let send = || {
            while !is_over.load(Ordering::Relaxed) {
                match status(&process, next.fetch_add(1, Ordering::Relaxed)) {
                    200 => recorded.fetch_add(1, Ordering::Relaxed),
                    503 => 0,
                    other => panic!("answered {other}"),
                };
            }
        };
        for _ in 0..4 {
            scope.spawn(send);
        }
        let answers = || next.load(Ordering::Relaxed);
        let grows_by = |count: u64| {
            let (before, first) = (recorded.load(Ordering::Relaxed), answers());
            while answers() < first + ANSWERS && recorded.load(Ordering::Relaxed) < before + count {
                std::thread::yield_now();
            }
            recorded.load(Ordering::Relaxed) >= before + count
        };
        let rounds = (0..3).all(|_| {
            let grown = grows_by(200);
            let below_the_watermark = disk.fill(7 * MIB);
            while !is_settled(&disk, &process) {
                std::thread::yield_now();
            }
            let to_the_last_byte = disk.fill(0);
            let is_shed = !grows_by(1) && !is_ready(&process);
            drop((below_the_watermark, to_the_last_byte));
            grown && is_shed
        });
        let resumed = grows_by(200);
        is_over.store(true, Ordering::Relaxed);
        assert!(rounds && resumed, "{}", process.said());
    });

    // One entry more than deliveries: the policy.
    assert_eq!(process.entries(), recorded.into_inner() + 1);
    let vault = disk.mount_point().join("data/vault").metadata().unwrap();
    process.stop();
    // Of the many that were refused, none has cost a key.
    assert!(vault.len() < 2_000 * 128, "{}", vault.len());
}
