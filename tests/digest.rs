//! The digest: equal for all folds of the same entries, and for no others.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use avow::log::Log;
use avow::log::rows::database::Database;
use avow::log::rows::keyspace::Keyspace;
use avow::projections::catch_up::catch_up;
use avow::projections::digest::ProjectionsDigest;
use avow::projections::generations::Generations;
use avow::projections::live::Live;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::Value;
use state_machine::id::SequenceNumber;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_report};
use crate::support::log::{Home, append_all, copy};
use crate::support::process::{Process, serve};
use crate::support::rows;
use crate::support::server::Server;

const CACHE_BYTES: u64 = 1 << 20;
const KEYSPACES: [&str; 3] = ["sessions", "users", "listings"];

fn fold(log: &Log, directory: &Path, ends: &[u64]) -> ProjectionsDigest {
    let projections = Live::open(directory, CACHE_BYTES, log).unwrap().0.store();
    for end in ends.iter().chain([&u64::MAX]) {
        let entries = |next: SequenceNumber| {
            let left = end.saturating_sub(next.0).try_into().unwrap();
            log.entries_from(next).take(left)
        };
        catch_up(&projections, entries, |_, _| {}).unwrap();
    }
    projections.digest().unwrap()
}

fn body(number: usize, session: u8, user: u8, name: &str) -> String {
    let (id, session) = (format!("evt_{number}"), format!("vs_{session}"));
    let created = 1_760_000_000 + i64::from(user) * 7 % 5;
    event(&id, &session, &format!("user_{user}"), name, created).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 12,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/digest.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_digest_does_not_depend_on_where_rounds_end(
        events in prop::collection::vec((0_u8..3, 0_u8..3, prop::sample::select(&["created", "processing", "verified", "canceled"][..])), 1..12),
        ends in prop::collection::vec(0_u64..12, 0..6),
    ) {
        let home = Home::new();
        let log = home.open();
        let bodies: Vec<String> = (0..).zip(&events).map(|(number, (session, user, name))| body(number, *session, *user, name)).collect();
        append_all(&log, &bodies);
        let directory = |name| home.path().with_file_name(name);

        let at_once = fold(&log, &directory("at_once"), &[]);
        let by_one: Vec<u64> = (1..log.size()).collect();

        prop_assert_eq!(at_once.sequence.0, log.size());
        prop_assert_eq!(fold(&log, &directory("in_rounds"), &ends), at_once);
        prop_assert_eq!(fold(&log, &directory("one_by_one"), &by_one), at_once);
    }
}

/// Delivers what a company sees in a year: disorder, another user, an erasure, a body that cannot be read.
fn deliver_all(server: &Server) {
    let redacted = event("evt_6", "vs_3", "user_3", "redacted", 60);
    let events = [
        event("evt_1", "vs_1", "user_1", "created", 10),
        with_report(event("evt_2", "vs_1", "user_2", "verified", 30), "vr_1"),
        event("evt_3", "vs_1", "user_1", "processing", 20),
        event("evt_4", "vs_2", "user_2", "created", 40),
        event("evt_5", "vs_3", "user_3", "verified", 50),
        redacted,
    ];
    for event in &events {
        server.record(&Delivery::event(event));
    }
    server.record(&Delivery::of("no JSON"));
}

/// Waits until nothing is left to fold, and returns what the server says.
fn digest(server: &Server) -> Value {
    // The erasure is done by an entry of its own behind that of the redaction.
    server.read("/v1/users?min_sequence=8");
    server.read_plain("/v1/digest")
}

#[test]
fn what_was_folded_live_has_the_digest_of_what_is_rebuilt() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver_all(&server);
    let live = digest(&server);
    drop(server);

    for _rebuild in 0..2 {
        fs::remove_dir_all(directory.path().join("projections")).unwrap();
        let rebuilt = digest(&Server::start(directory.path()));
        assert_eq!(rebuilt, live);
    }
    assert_eq!(live["object"], "digest");
    assert_eq!(live["sequence"], 9);
    assert_eq!(live["reducer_version"], 5);
}

#[test]
fn another_entry_is_another_digest() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let empty = server.read_plain("/v1/digest");

    server.record(&Delivery::of("no JSON"));

    let one = server.read_plain("/v1/digest");
    assert_eq!(
        (&empty["sequence"], &one["sequence"]),
        (&Value::from(0), &Value::from(1))
    );
    assert_ne!(one["digest"], empty["digest"]);
    assert_eq!(server.read_plain("/v1/digest"), one);
}

type Rows = BTreeMap<(usize, Vec<u8>), Vec<u8>>;
/// What is done to the row of that key and value.
type Change = fn(&Keyspace, &[u8], &[u8]);

fn keyspaces(database: &Database) -> [Keyspace; 3] {
    KEYSPACES.map(|name| rows::keyspace(database, name))
}

fn open_current(directory: &Path) -> Database {
    let current = Generations::of(directory).current().unwrap();
    rows::open(&current.unwrap())
}

fn all_rows(directory: &Path) -> Rows {
    let database = open_current(directory);
    let mut all = Rows::new();
    for (number, keyspace) in keyspaces(&database).iter().enumerate() {
        for (key, value) in rows::rows(&database, keyspace) {
            all.insert((number, key), value);
        }
    }
    all
}

#[test]
fn a_change_of_any_row_is_another_digest() {
    let home = Home::new();
    let log = home.open();
    let names = ["created", "verified", "created"];
    let bodies: Vec<_> = (0..)
        .zip(names)
        .map(|(n, name)| body(n, 0, 0, name))
        .collect();
    append_all(&log, &bodies);
    let directory = home.path().with_file_name("projections");
    let whole = fold(&log, &directory, &[]);
    let changes: [Change; 3] = [
        |keyspace, key, _| keyspace.remove(key).unwrap(),
        |keyspace, key, value| keyspace.insert(key, [value, b"\0"].concat()).unwrap(),
        |keyspace, key, value| {
            keyspace.remove(key).unwrap();
            keyspace.insert([key, b"\0"].concat(), value).unwrap();
        },
    ];
    let rows = all_rows(&directory);
    assert!(rows.len() >= 5, "{rows:?}");

    for ((number, key), value) in &rows {
        for change in changes {
            let copied = tempdir().unwrap();
            copy(&directory, copied.path());
            let database = open_current(copied.path());
            change(&keyspaces(&database)[*number], key, value);
            drop(database);

            let (live, afresh) = Live::open(copied.path(), CACHE_BYTES, &log).unwrap();

            assert_eq!(afresh, None);
            assert_ne!(live.store().digest().unwrap().digest, whole.digest);
        }
    }
}

/// Runs another command than `serve` with its configuration; returns the exit code, stdout and stderr.
pub(crate) fn run_on(directory: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let serve = serve(directory);
    let output = Command::new(serve.get_program())
        .args(arguments)
        .args(serve.get_args().skip(3))
        .env_clear()
        .envs(
            serve
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn avow_digest_prints_what_the_server_says_and_names_a_server_that_holds_the_data() {
    let directory = tempdir().unwrap();
    let process = Process::start(directory.path());
    let delivery = Delivery::event(&event("evt_1", "vs_1", "user_1", "created", 10));
    assert_eq!(process.deliver(&delivery).unwrap().status(), 200);
    let served: Value = process.get("/v1/digest").json().unwrap();

    let (code, _, talk) = run_on(directory.path(), &["digest"]);
    assert_eq!(code, Some(2));
    assert!(talk.starts_with("avow: a server holds "), "{talk}");
    assert!(talk.ends_with(": ask it with `--server URL`\n"), "{talk}");
    let url = process.url().to_owned();
    let asked = Command::new(env!("CARGO_BIN_EXE_avow"))
        .args(["digest", "--server", &url])
        .env_clear()
        .output()
        .unwrap();
    process.stop();
    let (code, told, _) = run_on(directory.path(), &["digest"]);
    assert_eq!(code, Some(0));
    assert_eq!(told, format!("2 {}\n", served["digest"].as_str().unwrap()));
    assert_eq!(String::from_utf8(asked.stdout).unwrap(), told);
}
