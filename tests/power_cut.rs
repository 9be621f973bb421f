//! The power is cut right after an acknowledgement, again and again: of a file system of its own, what has reached the
//! device is all that is left. What was acknowledged is there, once.

use std::sync::Mutex;

use crate::support::audited::assert_clean;
use crate::support::disk::Disk;
use crate::support::extent::times;
use crate::support::ledger::Ledger;
use crate::support::load::{CONNECTIONS, bodies, deliver_until, populations};
use crate::support::process::{Process, serve};
use crate::support::seed::Seed;
use crate::support::strace::{self, Trace};

/// How often the power is cut, unless `AVOW_TEST_POWER_CUTS` says otherwise.
const CUTS: u64 = 6;

#[test]
fn what_was_acknowledged_outlives_a_power_cut_at_any_moment() {
    let Some(disk) = Disk::mounted("loop") else {
        return;
    };
    let data = disk.mount_point().join("data");
    let seed = Seed::new();
    let mut dice = seed.dice();
    let mut ledger = Ledger::default();
    // Without a data directory there is none after the cut, and nothing was acknowledged.
    Process::start(&data).stop();
    let image = Mutex::new(Vec::new());

    for population in populations(times("AVOW_TEST_POWER_CUTS", CUTS)) {
        let process = Process::start(&data);
        ledger.assert_kept(&process);
        let cut = || {
            process.pause();
            *image.lock().unwrap() = disk.image_as_it_is();
            process.kill();
        };
        deliver_until(cut, &process, &mut ledger, population, &mut dice);
        process.wait();
        disk.replace(&image.lock().unwrap());
    }

    let process = Process::start(&data);
    ledger.assert_all_kept(&process);
    assert!(ledger.acknowledged() > 0);
    assert!(ledger.operator.acknowledged() > 0);
    process.stop();
    assert_clean(&data);
}

#[test]
fn without_its_syncs_a_power_cut_would_lose_what_was_acknowledged() {
    if !strace::is_present() {
        return;
    }
    let Some(disk) = Disk::mounted("loop") else {
        return;
    };
    let data = disk.mount_point().join("data");
    Process::start(&data).stop();
    let elsewhere = tempfile::tempdir().unwrap();
    let trace = Trace::in_directory(elsewhere.path());
    let syncs = "fdatasync,fsync,sync_file_range";
    let fault = format!("{syncs}:retval=0");
    let process = Process::of(trace.of(&serve(&data), None, syncs, Some(&fault))).unwrap();
    let mut ledger = Ledger::default();

    let population = populations(1)[0];
    let refused = ledger.deliver(&process, CONNECTIONS, bodies(population).take(40), |_| {});
    process.pause();
    let image = disk.image_as_it_is();
    process.kill();
    process.wait();
    disk.replace(&image);

    assert_eq!(refused, []);
    let keeps = Process::of(serve(&data)).is_ok_and(|process| ledger.is_known_to(&process));
    assert!(!keeps, "the copy holds what was never synced");
}
