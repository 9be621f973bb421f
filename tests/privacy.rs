//! No secret and no personal data in clear: not in a file, not in an answer that does not owe it.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::process::{Process, serve};
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

/// Has a server do whatever it may have something to say about; returns the answers that refuse, and its metrics.
fn provoke(process: &Process) -> Vec<String> {
    let failed = event("evt_1", "vs_1", "person_marker", "requires_input", 10);
    let failed = with_error(with_report(failed, "vr_1"), "document_expired");
    let mut conflicting = failed.clone();
    conflicting["data"]["object"]["status"] = "canceled".into();
    let mut foreign = failed.clone();
    foreign["type"] = "charge.metadata_marker".into();
    let forged = Delivery {
        header: "t=1,v1=metadata_marker".to_owned(),
        ..Delivery::event(&failed)
    };
    let mut answers = Vec::new();
    for delivery in [
        Delivery::event(&failed),
        Delivery::event(&failed),
        Delivery::event(&conflicting),
        Delivery::event(&foreign),
        Delivery::of("person_marker metadata_marker, and no JSON"),
        Delivery::of("metadata_marker ".repeat(40_000)),
        forged,
    ] {
        answers.extend(process.deliver(&delivery));
    }
    for path in [
        "/v1/users/person_marker",
        "/v1/users/person_marker?metadata_marker=email_marker",
        "/v1/users/person_marker_2",
        "/v1/users/person_marker?account=metadata_marker",
        "/v1/users?starting_after=metadata_marker",
        "/v1/sessions/metadata_marker",
        "/v1/log/entries/metadata_marker",
        "/v1/log/entries/99999",
        "/metadata_marker",
        "/tile/metadata_marker",
    ] {
        answers.push(process.get(path));
    }
    let words = r#"{"actor":"actor_marker","reason":"reason_marker"}"#;
    answers.extend(process.post("/v1/sessions/vs_1/erase", words));
    for verb in ["hold", "release", "erase", "hold", "release"] {
        let url = format!("{}/v1/sessions/vs_1/{verb}", process.url());
        let request = reqwest::blocking::Client::new().post(url);
        let request = request.header("content-type", "application/json");
        answers.push(request.body(words).send().unwrap());
    }
    let refused = answers
        .into_iter()
        .filter(|answer| answer.status().is_client_error());
    let metrics = process.get("/metrics");
    assert_eq!(metrics.status(), 200);
    refused
        .chain([metrics])
        .map(|answer| answer.text().unwrap())
        .collect()
}

#[test]
fn neither_log_lines_nor_errors_nor_metrics_hold_a_secret_or_personal_data() {
    for (format, filter) in [("human", "trace"), ("json", "trace,avow=debug")] {
        let directory = tempdir().unwrap();
        let command = || {
            let mut command = serve(directory.path());
            command
                .arg(format!("--set=trace.format={format}"))
                .arg(format!("--set=trace.filter={filter}"));
            command
        };
        let process = Process::of(command()).unwrap();
        let refused = provoke(&process);
        process.terminate();
        let first = process.wait();
        // Whatever can be mended is, and is told.
        fs::remove_dir_all(directory.path().join("log/index")).unwrap();
        fs::write(directory.path().join("log/head"), "person_marker").unwrap();
        let process = Process::of(command()).unwrap();
        process.terminate();
        let second = process.wait();

        let said = [first.stderr, second.stderr].concat();
        assert!(
            said.contains("serving") && said.contains("rebuilt the index"),
            "{said}"
        );
        assert!(refused.len() > 12, "{refused:?}");
        for text in refused.iter().chain([&said]) {
            for marker in MARKERS.iter().chain(["actor_marker"].iter()) {
                let lines: Vec<&str> = text.lines().filter(|line| line.contains(marker)).collect();
                assert!(
                    lines.is_empty(),
                    "{marker} in {:?}",
                    &lines[..lines.len().min(5)]
                );
            }
        }
    }
}
