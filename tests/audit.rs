//! A sound log passes the audit, read from wherever; and what is wrong with another is told by its class.

use std::fs;

use avow::audit::finding::Class;
use avow::audit::report::{KeyStatus, Report};
use avow::log::Statement;
use tempfile::tempdir;

use crate::support::audited::{
    SMALL_LOG_ENTRIES, audit_path, known, state, told, untold, with_keys, with_seen,
    write_small_log,
};
use crate::support::log::{Home, append_events};

fn assert_sound(report: &Report) {
    assert_eq!(report.gravest(), None, "{report}");
}

#[test]
fn a_sound_data_directory_passes_with_every_key_and_every_check() {
    let home = Home::new();
    let known = write_small_log(&home, "");

    let request = with_seen(told(&known.key), &known.checkpoint);
    let report = audit_path(
        &home.data_dir(),
        with_keys(request, &home.data_dir()).unwrap(),
    );

    assert_sound(&report);
    assert_eq!(report.entries, SMALL_LOG_ENTRIES);
    assert_eq!(report.checkpoint_size, Some(SMALL_LOG_ENTRIES));
    let payloads = report.payloads.unwrap();
    // Three events, a body that cannot be read, and four statements; the other payloads were erased.
    assert_eq!((payloads.opened, payloads.authenticated), (6, 3));
}
