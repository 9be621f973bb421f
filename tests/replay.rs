//! Replay: the history of a session, a user or a range, as it was known, from whichever source.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc;

use avow::audit::export::export;
use avow::log::Log;
use avow::stripe::decode::{Decoded, decode};
use avow::stripe::secret::Secrets;
use avow::stripe::signature::{self, authenticate, sign};
use avow::stripe::user_reference::{UserReference, UserReferenceSource};
use serde_json::Value;
use state_machine::time::{ReceivedAt, Timestamp};
use tempfile::tempdir;

use crate::import::files_under;
use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::log::{Home, MASTER_KEY, NOW};
use crate::support::server::{self, Server, open_service};

fn avow(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_avow"))
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{talk}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs a replay that has something to tell.
fn replay(source: &Path, arguments: &[&str]) -> String {
    let arguments = [&["replay", source.to_str().unwrap()], arguments].concat();
    stdout(&avow(&arguments))
}

fn rows(source: &Path, arguments: &[&str]) -> Vec<Value> {
    let told = replay(source, &[arguments, &["--format", "ndjson"]].concat());
    let lines = told.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Appends an event that is received so many seconds behind [`NOW`].
fn append(log: &Log, seconds: i64, event: &Value) {
    let body = serde_json::to_vec(event).unwrap();
    let secrets = Secrets::parse("whsec_test_secret").unwrap();
    let at = NOW + seconds;
    let header = sign(secrets.iter().next().unwrap(), Timestamp(at), &body);
    let delivery = signature::Delivery {
        signature_header: Some(header.as_bytes()),
        body: &body,
        received_at: ReceivedAt(at * 1000),
    };
    let payload = authenticate(delivery, &secrets, 300).unwrap();
    let sources = [UserReferenceSource::Metadata("user_id".to_owned())];
    let Decoded::Event(event) = decode(&payload, &sources) else {
        panic!("no event");
    };
    let (sender, appended) = mpsc::channel();
    let prepared = log.prepare_event(&payload, *event).unwrap();
    log.append(prepared, move |result| sender.send(result).unwrap());
    appended.recv().unwrap().unwrap();
}

/// A log that tells of two users, and ends with an erasure.
pub(crate) fn lifecycle() -> (Home, String) {
    let mut home = Home::new();
    home.options.clock = || ReceivedAt((NOW + 100) * 1000);
    let log = home.open();
    let at = |seconds| NOW + seconds;
    let error = with_error(
        event("evt_3", "vs_1", "user_1", "requires_input", at(3)),
        "document_expired",
    );
    let events = [
        (1, event("evt_1", "vs_1", "user_1", "created", at(1))),
        (2, event("evt_2", "vs_1", "user_1", "processing", at(2))),
        (3, with_report(error, "vr_1")),
        (4, event("evt_4", "vs_2", "user_2", "created", at(4))),
        (
            6,
            with_report(event("evt_5", "vs_1", "user_1", "verified", at(6)), "vr_2"),
        ),
        // Late: it happened before the verdict.
        (7, event("evt_6", "vs_1", "user_1", "processing", at(5))),
        (8, event("evt_7", "vs_1", "user_1", "processing", at(7))),
        (9, event("evt_5", "vs_1", "user_1", "canceled", at(6))),
        (10, event("evt_8", "vs_1", "user_1", "redacted", at(10))),
    ];
    for (seconds, event) in &events {
        append(&log, *seconds, event);
    }
    let tag = log.user_tag(&UserReference::new("user_1").unwrap());
    log.close();
    (home, format!("tag_{}", hex::encode(tag.0)))
}

#[test]
fn a_session_is_told_as_text_and_as_json() {
    // `AVOW_TEST_WRITE=1 cargo test replay::a_session_is_told` writes the fixtures anew; read what it changed.
    let (home, tag) = lifecycle();
    for (format, file) in [("text", "session.txt"), ("ndjson", "session.ndjson")] {
        let file = Path::new("tests/fixtures/replay").join(file);
        let told = replay(home.data_dir(), &["--session", "vs_1", "--format", format]);
        // The tag is keyed with a secret of this log alone.
        let told = told.replace(&tag, "tag_OF_USER_1");

        if std::env::var_os("AVOW_TEST_WRITE").is_some() {
            fs::write(&file, &told).unwrap();
        }
        assert_eq!(told, fs::read_to_string(file).unwrap());
    }
}

/// Returns the entries that are told, and the last status.
fn told(rows: &[Value]) -> (Vec<u64>, &str) {
    let steps = rows.iter().filter(|row| row["object"] == "step");
    let sequences = steps.map(|row| row["sequence"].as_u64().unwrap());
    let status = rows.last().unwrap()["status"].as_str().unwrap();
    (sequences.collect(), status)
}

#[test]
fn what_was_known_then_and_what_had_happened_then_is_told() {
    let (home, _) = lifecycle();
    let time = |seconds: i64| {
        let time = chrono::DateTime::from_timestamp(NOW + seconds, 0).unwrap();
        time.to_rfc3339()
    };
    #[rustfmt::skip]
    let table: [(&str, String, &[u64], &str); 7] = [
        ("--as-of",    "0".to_owned(),  &[0],                              "requires_input"),
        ("--as-of",    "3".to_owned(),  &[0, 1, 2],                        "requires_input"),
        ("--as-of",    "4".to_owned(),  &[0, 1, 2, 4],                     "verified"),
        ("--as-of",    time(2),         &[0, 1],                           "processing"),
        ("--as-of",    time(8),         &[0, 1, 2, 4, 5, 6],               "verified"),
        ("--valid-at", time(5),         &[0, 1, 2, 5],                     "processing"),
        ("--valid-at", time(100),       &[0, 1, 2, 4, 5, 6, 7, 8, 9, 10],  "redacted"),
    ];
    for (flag, moment, sequences, status) in table {
        let rows = rows(home.data_dir(), &["--session", "vs_1", flag, &moment]);
        assert_eq!(told(&rows), (sequences.to_vec(), status), "{flag} {moment}");
    }
}

#[test]
fn a_user_is_found_by_tag_and_by_reference_and_stands_at_the_end() {
    let (home, tag) = lifecycle();
    let keys = tempdir().unwrap();
    let key_file = keys.path().join("key");
    fs::write(&key_file, MASTER_KEY).unwrap();
    let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&key_file, owner_only).unwrap();
    let vault = home.data_dir().join("vault");

    let by_tag = rows(home.data_dir(), &["--tag", &tag]);
    let by_reference = rows(
        home.data_dir(),
        &[
            "--user",
            "user_1",
            "--vault",
            vault.to_str().unwrap(),
            "--master-key-file",
            key_file.to_str().unwrap(),
        ],
    );

    assert_eq!(by_reference, by_tag);
    let standing = by_tag.last().unwrap();
    assert_eq!(standing["object"], "user");
    assert_eq!(standing["user_tag"], tag);
    assert_eq!(standing["session"], "vs_1");
    assert_eq!(
        told(&by_tag),
        (vec![0, 1, 2, 4, 5, 6, 7, 8, 9, 10], "redacted")
    );
}

#[test]
fn a_range_is_told_with_all_that_was_known_before_it() {
    let (home, _) = lifecycle();

    let rows = rows(home.data_dir(), &["--from", "3", "--to", "4"]);

    let steps: Vec<_> = rows.iter().filter(|row| row["object"] == "step").collect();
    assert_eq!(steps.len(), 2);
    assert_eq!(
        (&steps[0]["session"], &steps[1]["session"]),
        (&"vs_2".into(), &"vs_1".into())
    );
    assert_eq!(steps[1]["from"], "requires_input");
    let sessions: Vec<_> = rows
        .iter()
        .filter(|row| row["object"] == "session")
        .collect();
    assert_eq!(sessions.len(), 2);
}

#[test]
fn a_data_directory_an_export_and_a_server_tell_the_same() {
    let data = tempdir().unwrap();
    let server = Server::start(data.path());
    for (id, name) in [
        ("evt_1", "created"),
        ("evt_2", "processing"),
        ("evt_3", "verified"),
    ] {
        server.record(&Delivery::event(&event(id, "vs_1", "user_1", name, NOW)));
    }
    server.record(&Delivery::of("no JSON"));
    while server.read_plain("/v1/log")["size"] != 4 {}
    let url = server.url("");
    let of_server = rows(Path::new(&url), &[]);
    let of_held_directory = rows(data.path(), &[]);
    drop(server);
    let out = tempdir().unwrap();
    export(&open_service(data.path()), out.path(), false, |_, _| {}).unwrap();

    assert_eq!(rows(data.path(), &[]), of_server);
    assert_eq!(of_held_directory, of_server);
    assert_eq!(rows(out.path(), &[]), of_server);
    assert_eq!(of_server.len(), 5);
    assert_eq!(of_server[3]["kind"], "unreadable");
}

#[test]
fn a_replay_changes_no_file() {
    let (home, _) = lifecycle();
    let copy = Home::copy_of(&home);

    replay(home.data_dir(), &[]);

    let files = |home: &Home| {
        let files = files_under(home.data_dir()).into_iter();
        let named = files.map(|path| {
            let name = path.strip_prefix(home.data_dir()).unwrap().to_owned();
            (name, fs::read(path).unwrap())
        });
        named.collect::<Vec<_>>()
    };
    assert!(files(&home) == files(&copy));
}

#[test]
fn what_cannot_be_told_is_said() {
    let (home, tag) = lifecycle();
    let data = home.data_dir().to_str().unwrap();
    let rows: [(&[&str], i32, &str); 7] = [
        (&["--session", "vs_none"], 1, ""),
        (
            &["--as-of", "yesterday"],
            2,
            "`--as-of` is an entry's number, or a time",
        ),
        (&["--valid-at", "7"], 2, "`--valid-at` is a time"),
        (
            &["--from", "2", "--to", "1"],
            2,
            "`--from` lies behind `--to`",
        ),
        (
            &["--tag", "tag_7"],
            2,
            "`--tag` is `tag_` and 32 hexadecimal digits",
        ),
        (&["--user", "user_1"], 2, "--vault"),
        (
            &["--tag", &tag, "--session", "vs_1"],
            2,
            "cannot be used with",
        ),
    ];
    for (arguments, code, sentence) in rows {
        let output = avow(&[&["replay", data], arguments].concat());
        let talk = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {talk}");
        assert!(talk.contains(sentence), "{talk}");
    }
    let none = avow(&["replay", server::MASTER_KEY]);
    assert_eq!(none.status.code(), Some(2));
}
