//! No secret and no personal data in clear: not in a file, not in an answer that does not owe it.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::server::{MASTER_KEY, SECRET, Server};

/// What the deliveries hold that must not be found again.
const MARKERS: [&str; 8] = [
    "person_marker",
    "metadata_marker",
    "email_marker",
    "reason_marker",
    "vs_secret_marker",
    "url_marker",
    SECRET,
    MASTER_KEY,
];

fn files_with(directory: &Path, needle: &[u8], found: &mut Vec<String>) {
    for file in fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            files_with(&path, needle, found);
        } else if fs::read(&path)
            .unwrap()
            .windows(needle.len())
            .any(|bytes| bytes == needle)
        {
            found.push(path.display().to_string());
        }
    }
}

fn deliver(server: &Server) {
    let failed = event("evt_1", "vs_1", "person_marker", "requires_input", 10);
    let failed = with_error(with_report(failed, "vr_1"), "document_expired");
    server.record(&Delivery::event(&failed));
    server.record(&Delivery::of("person_marker metadata_marker, and no JSON"));
}

#[test]
fn no_file_holds_a_secret_or_personal_data_in_clear() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server);
    drop(server);

    let mut found = Vec::new();
    for marker in MARKERS {
        files_with(directory.path(), marker.as_bytes(), &mut found);
    }
    let mut ids = Vec::new();
    files_with(directory.path(), b"evt_1", &mut ids);

    assert_eq!(found, Vec::<String>::new());
    assert!(!ids.is_empty(), "the search finds what is there");
}

#[test]
fn answers_hold_the_user_reference_and_nothing_else_of_the_person() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server);
    let paths = [
        "/v1/users/person_marker",
        "/v1/users",
        "/v1/sessions",
        "/v1/sessions/vs_1",
        "/v1/sessions/vs_1/history",
        "/v1/anomalies",
    ];

    for path in paths {
        let answer = server.read(path).to_string();
        for marker in &MARKERS[1..] {
            assert!(!answer.contains(marker), "{path} shows {marker}");
        }
    }
}
