//! An export or a server that means harm gets neither an auditor's memory nor their time nor their terminal.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use avow::audit::auditor::audit;
use avow::audit::export::export;
use avow::audit::finding::Class;
use avow::audit::manifest::Manifest;
use avow::audit::report::Report;
use avow::client::{Access, BearerToken};
use avow::transparency::checkpoint::SignedCheckpoint;
use avow::transparency::hash::{Hash, TreeHead};
use avow::transparency::signing_key::SigningKey;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::{TempDir, tempdir};

use crate::support::audited::{audit_path, told, untold, write_small_log};
use crate::support::log::{Home, MASTER_KEY};
use crate::support::server::open_service_of;

/// More than any resource has, and more than a socket holds back.
const ENDLESS_BYTES: u64 = 64 << 20;

fn key() -> SigningKey {
    SigningKey::new("hostile.example/log".parse().unwrap(), &[7; 32])
}

fn checkpoint(size: u64) -> String {
    let root = Hash([7; 32]);
    let signed = SignedCheckpoint::sign(TreeHead { size, root }, &key());
    signed.note().to_string()
}

fn exported() -> TempDir {
    let home = Home::new();
    write_small_log(&home, "");
    let directory = tempdir().unwrap();
    let service = open_service_of(home.data_dir(), MASTER_KEY);
    export(&service, directory.path(), true, |_, _| {}).unwrap();
    directory
}

/// Answers `/checkpoint` well, and everything else as `answer` does. Returns its URL.
fn server(answer: impl Fn(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let first = lines.next().unwrap().unwrap();
            while !lines.next().unwrap().unwrap().is_empty() {}
            if first.starts_with("GET /checkpoint ") {
                let body = checkpoint(300);
                let head = format!("connection: close\r\ncontent-length: {}", body.len());
                write!(stream, "HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").unwrap();
            } else {
                answer(&mut stream);
            }
        }
    });
    url
}

fn audit_url(url: &str) -> Report {
    let request = told(key().verifier_key());
    let access = Access {
        token: Some(BearerToken::parse("a_token").unwrap()),
        ..Access::default()
    };
    audit(url, Some(&access), request, &mut |_, _| {})
}

#[track_caller]
fn assert_told(report: &Report, what: &str) {
    let is_told = report
        .findings
        .iter()
        .any(|finding| finding.what.contains(what));
    assert!(is_told, "{report}");
}

#[test]
fn an_answer_without_end_is_broken_off() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let url = server(move |stream| {
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let chunk = vec![0; 1 << 16];
        while counter.load(Ordering::Relaxed) < ENDLESS_BYTES && stream.write_all(&chunk).is_ok() {
            counter.fetch_add(1 << 16, Ordering::Relaxed);
        }
    });

    let report = audit_url(&url);

    assert_eq!(report.gravest(), Some(Class::CouldNotCheck), "{report}");
    assert_told(&report, "more than there can be");
    assert!(sent.load(Ordering::Relaxed) < ENDLESS_BYTES);
}

#[test]
fn a_server_that_sends_elsewhere_is_not_followed() {
    let asked = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&asked);
    let elsewhere = server(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let url = server(move |stream| {
        let head = format!("location: {elsewhere}/x\r\nconnection: close\r\ncontent-length: 0");
        write!(stream, "HTTP/1.1 302 Found\r\n{head}\r\n\r\n").unwrap();
    });

    let report = audit_url(&url);

    assert_told(&report, "answers 302");
    assert_eq!(asked.load(Ordering::Relaxed), 0, "nor is it told the token");
}

/// Has a hostile log sign whatever the manifest of an export says once it is changed.
fn resign(directory: &Path, change: impl FnOnce(&mut Value)) {
    let path = directory.join("manifest.json");
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest);
    manifest["origin"] = key().verifier_key().name().as_str().into();
    manifest["vkey"] = key().verifier_key().to_string().into();
    let bytes = serde_json::to_vec_pretty(&manifest).unwrap();
    fs::write(&path, &bytes).unwrap();
    let note = avow::transparency::export::sign(&Sha256::digest(&bytes).into(), &key());
    fs::write(directory.join("manifest.note"), note.to_string()).unwrap();
}

#[test]
fn a_manifest_of_more_entries_than_there_are_is_refused_without_counting_to_them() {
    for size in [u64::MAX, 1 << 40, 1_000_000] {
        let directory = exported();
        resign(directory.path(), |manifest| manifest["size"] = size.into());
        fs::write(directory.path().join("checkpoint"), checkpoint(size)).unwrap();

        let (manifest, _) = Manifest::read(directory.path()).unwrap();
        assert!(manifest.check_files(directory.path(), |_| {}).is_err());
        let report = audit_path(directory.path(), untold());

        assert_eq!(report.gravest(), Some(Class::Tampered), "{report}");
    }
}

#[test]
fn a_file_of_an_export_that_is_too_long_or_no_file_is_not_read_to_its_end() {
    type Make<'row> = &'row dyn Fn(&Path);
    let huge = |path: &Path| File::create(path).unwrap().set_len(1 << 42).unwrap();
    let pipe = |path: &Path| {
        fs::remove_file(path).unwrap();
        mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    };
    let rows: [(&str, Make<'_>); 2] = [("huge", &huge), ("a pipe", &pipe)];
    for (name, make) in rows {
        for file in [
            "tile/0/000.p/15",
            "tile/entries/000.p/15",
            "payloads/000.p/15",
            "checkpoint",
            "manifest.note",
        ] {
            let directory = exported();
            make(&directory.path().join(file));

            let report = audit_path(directory.path(), untold());

            assert!(report.gravest().is_some(), "{file} is {name}: {report}");
        }
    }
}

#[test]
fn a_text_of_a_hostile_log_does_not_steer_a_terminal() {
    let directory = exported();
    resign(directory.path(), |manifest| {
        manifest["files"]["a\u{1b}]0;owned\u{7}\u{9b}31m"] = "00".into();
    });

    let report = audit_path(directory.path(), untold());

    assert_told(&report, "a\u{fffd}]0;owned\u{fffd}\u{fffd}31m");
    let text = report.to_string();
    assert!(!text.contains(|character: char| character.is_control() && character != '\n'));
}
