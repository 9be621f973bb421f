//! The status of a service at one look: of a server, and of what one has left.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_report};
use crate::support::process::Process;
use crate::support::server::Server;

fn avow(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avow"));
    command.arg("status").args(arguments).env_clear();
    command
}

fn told(arguments: &[&str]) -> (Option<i32>, Value) {
    let Output {
        status,
        stdout,
        stderr,
    } = avow(arguments).arg("--json").output().unwrap();
    let told = serde_json::from_slice(&stdout);
    let told = told.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&stderr)));
    (status.code(), told)
}

/// Delivers an event, and one that contradicts it.
fn deliver(server: &Server) {
    let other = with_report(event("evt_1", "vs_1", "u", "verified", 20), "vr_1");
    server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "u", "created", 10,
    )));
    server.record(&Delivery::event(&other));
}

#[test]
fn a_server_tells_how_far_each_part_has_come() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.default_world.livemode = false;
    });
    deliver(&server);

    let (code, status) = told(&["--server", &server.url("")]);

    assert_eq!(code, Some(0));
    assert_eq!(
        (&status["ready"], &status["entries"]),
        (&json!(true), &json!(2))
    );
    assert_eq!(status["projections_behind_entries"], 0);
    assert_eq!(status["anomalies"], json!({ "conflicting_event": 1 }));
    assert_eq!(status["anomalies_lately"][0]["sequence"], 1);
    assert!(status["store_bytes"]["journal"].as_u64().unwrap() > 0);
    assert!(status["disk_free_bytes"].as_u64().unwrap() > 0);
    assert_eq!(status["not_told"], json!([]));
}

#[test]
fn a_server_without_space_is_not_ready_and_why() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.log.disk_free_bytes_min = 1 << 50;
    });
    server.deliver(&Delivery::event(&event(
        "evt_1", "vs_1", "u", "created", 10,
    )));

    let output = avow(&["--server", &server.url("")]).output().unwrap();

    let text = String::from_utf8(output.stdout).unwrap();
    let first = "ready        no: too little space is free on the disk\n";
    assert!(text.starts_with(first), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn files_tell_what_a_server_left() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server);
    drop(server);

    let (code, status) = told(&["--data-dir", directory.path().to_str().unwrap()]);

    assert_eq!((code, &status["entries"]), (Some(1), &json!(2)));
    assert_eq!(status["obstacle"], "no server runs on it");
    assert_eq!(status["projections_behind_entries"], 0);
    assert_eq!(status["checkpoint_entries"], 2);
}

#[test]
fn a_data_directory_that_a_server_holds_is_asked_for_at_the_configured_address() {
    let directory = tempdir().unwrap();
    let server = Process::start(directory.path());
    let address = server.url().trim_start_matches("http://").to_owned();
    let data_dir = directory.path().to_str().unwrap();

    let (code, status) = told(&["--data-dir", data_dir, "--listen", &address]);

    assert_eq!((code, &status["ready"]), (Some(0), &json!(true)));
    server.stop();
}

#[test]
fn what_cannot_be_told_ends_with_2() {
    let directory = tempdir().unwrap();
    let nothing = directory.path().to_str().unwrap();
    for arguments in [["--server", "http://127.0.0.1:1"], ["--data-dir", nothing]] {
        let output = avow(&arguments).output().unwrap();

        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn it_is_told_again_while_somebody_watches() {
    let directory = tempdir().unwrap();
    let server = Server::start(Path::new(directory.path()));
    let mut watching = avow(&["--server", &server.url(""), "--watch", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();

    let ready = lines.filter(|line| line.as_ref().unwrap() == "ready        yes");

    assert_eq!(ready.take(2).count(), 2);
    watching.kill().unwrap();
    watching.wait().unwrap();
}
