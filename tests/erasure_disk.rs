//! The raw image of the file system beneath the log: nothing of an erased key lies in a block that no file names.

use std::fs;
use std::path::Path;

use avow::log::vault::file_system::in_place_warning;
use avow::log::{Log, Options};

use crate::support::disk::Disk;
use crate::support::log::{
    MASTER_KEY, append, append_events, erase, event_body, master_key, random, session_name, state,
};
use crate::support::process::Process;
use crate::support::traces::{FIRST_SLOT, found_in, traces_of_key};

fn open(data_dir: &Path) -> Log {
    let options = Options {
        journal_segment_bytes: 256 * 1024,
        disk_free_bytes_min: 0,
        ballast_bytes: 0,
        ..Options::new(random, avow::system::now)
    };
    Log::open(&data_dir.join("log"), &master_key(), options)
        .unwrap()
        .0
}

#[test]
fn no_block_of_the_disk_holds_a_key_that_was_erased() {
    let Some(disk) = Disk::mounted("loop") else {
        return;
    };
    let data_dir = disk.mount_point().join("data");
    fs::create_dir(&data_dir).unwrap();
    assert_eq!(in_place_warning(&data_dir).unwrap(), None);
    let log = open(&data_dir);
    append_events(&log, 0..40);
    log.close();
    let by_operator = traces_of_key(&data_dir, MASTER_KEY, FIRST_SLOT);
    let by_event = traces_of_key(&data_dir, MASTER_KEY, FIRST_SLOT + 1);
    let kept = traces_of_key(&data_dir, MASTER_KEY, FIRST_SLOT + 2);
    let image = disk.synced_image();
    for traces in [&by_operator, &by_event] {
        assert_eq!(
            found_in(&image, &traces[4..]).len(),
            3,
            "the search finds what is there"
        );
    }

    assert!(disk.mount());
    let log = open(&data_dir);
    erase(&log, "vs_000000");
    let redacted = event_body("evt_redacted", "000001", "verified");
    append(
        &log,
        &redacted.replace(
            "verification_session.verified",
            "verification_session.redacted",
        ),
    );
    drop(state(
        &log,
        session_name("vs_000001"),
        avow::log::Statement::Erase,
    ));
    append_events(&log, 45..60);
    log.close();
    let image = disk.synced_image();

    let markers = ["MARKERUSER_", "MARKEREMAIL", "MARKERSECRET"].map(|text| (text, text.into()));
    let gone = [by_operator, by_event, markers.to_vec()].concat();
    assert_eq!(found_in(&image, &gone), Vec::<String>::new());
    assert_eq!(found_in(&image, &kept[4..]).len(), 3);
}

#[test]
fn a_service_on_a_disk_that_keeps_what_is_overwritten_says_so_when_it_starts() {
    for (options, warning) in [
        (
            "loop,data=journal",
            Some("mounted with data=journal, which keeps copies of what is overwritten"),
        ),
        ("loop,data=ordered", None),
    ] {
        let Some(disk) = Disk::mounted(options) else {
            return;
        };

        let process = Process::start(&disk.mount_point().join("data"));
        process.terminate();
        let said = process.wait().stderr;

        let is_warned =
            said.contains("a destroyed key may stay readable in old blocks of the disk");
        assert_eq!(is_warned, warning.is_some(), "{said}");
        assert!(
            warning.is_none_or(|warning| said.contains(warning)),
            "{said}"
        );
    }
}
