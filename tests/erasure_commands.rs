//! `avow erase`, `avow hold` and `avow release`: on a data directory, and through a server.

use std::process::Output;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::support::command::{At, avow, told};
use crate::support::delivery::{Delivery, event};
use crate::support::process::Process;
use crate::support::server::MASTER_KEY;
use crate::support::traces::{FIRST_SLOT, found_in, traces_of_key};

/// Makes a data directory with two sessions of a user, one of another, and a body that could not be read.
fn data() -> TempDir {
    let directory = tempdir().unwrap();
    let process = Process::start(directory.path());
    for (id, session, user) in [
        ("evt_1", "vs_1", "ann"),
        ("evt_2", "vs_2", "ann"),
        ("evt_3", "vs_3", "bob"),
    ] {
        let event = event(id, session, user, "processing", 10);
        assert_eq!(
            process.deliver(&Delivery::event(&event)).unwrap().status(),
            200
        );
    }
    assert_eq!(
        process.deliver(&Delivery::of("no JSON")).unwrap().status(),
        200
    );
    process.stop();
    directory
}

/// Returns the answers that a command printed.
fn answers(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{}", told(output));
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn summary(answers: &[Value]) -> Vec<Value> {
    let summary = |answer: &Value| {
        json!([
            answer["session"],
            answer["entry"],
            answer["status"],
            answer["sequence"]
        ])
    };
    answers.iter().map(summary).collect()
}

#[test]
fn every_session_of_a_user_is_held_released_and_erased() {
    for through_a_server in [false, true] {
        let data = data();
        let traces = [0, 1]
            .map(|number| traces_of_key(data.path(), MASTER_KEY, FIRST_SLOT + number))
            .concat();
        let process = through_a_server.then(|| Process::start(data.path()));
        let at = At::of(process.as_ref(), data.path());
        let state = |verb: &str| summary(&answers(&avow(&[verb, "--user", "ann", "--json"], at)));

        assert_eq!(
            state("hold"),
            [
                json!(["vs_1", null, "held", 5]),
                json!(["vs_2", null, "held", 6])
            ]
        );
        assert_eq!(
            state("erase"),
            [
                json!(["vs_1", null, "waiting", 7]),
                json!(["vs_2", null, "waiting", 8])
            ]
        );
        assert_eq!(state("release")[0][2], "released");
        let erased = state("erase");

        assert_eq!(
            erased,
            [
                json!(["vs_1", null, "done", 7]),
                json!(["vs_2", null, "done", 8])
            ]
        );
        let bob = avow(&["erase", "--session", "vs_3"], at);
        let text = String::from_utf8(bob.stdout.clone()).unwrap();
        assert!(
            text.starts_with("vs_3 is erased by entry "),
            "{text}{}",
            told(&bob)
        );
        assert!(
            text.contains("overwritten: the key in slot 4, and 1 sealed payloads\n"),
            "{text}"
        );
        let nobody = avow(&["erase", "--user", "nobody"], at);
        assert_eq!(nobody.status.code(), Some(2));
        assert_eq!(
            told(&nobody),
            "avow: no session of this world belongs to that user\n"
        );
        drop(process);
        assert_eq!(found_in(data.path(), &traces), Vec::<String>::new());
    }
}

#[test]
fn the_body_of_an_entry_is_erased_on_the_data_directory() {
    let data = data();
    let at = At::Directory(data.path());

    let first = answers(&avow(&["erase", "--entry", "4", "--json"], at));
    let again = answers(&avow(&["erase", "--entry", "4", "--json"], at));
    let of_session = avow(&["erase", "--entry", "0"], at);

    assert_eq!(summary(&first), [json!([null, 4, "done", 5])]);
    assert_eq!(
        (&first[0]["report"]["payloads"], &again[0]["duplicate"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(of_session.status.code(), Some(2));
    assert_eq!(
        told(&of_session),
        "avow: the log keeps no payload of that name\n"
    );
}

#[test]
fn what_cannot_be_done_says_why_and_ends_with_2() {
    let data = data();
    let process = Process::start(data.path());
    let (at, server) = (At::Directory(data.path()), At::Server(process.url()));
    let nowhere = data.path().join("nowhere");
    let in_use = format!(
        "avow: a server holds {}: ask it with `--server URL`\n",
        data.path().display()
    );
    let no_log = format!("avow: there is no log in {}\n", nowhere.display());
    #[rustfmt::skip]
    let rows: [(&[&str], At<'_>, &str); 7] = [
        (&["erase", "--session", "vs_1"],    at,                      &in_use),
        (&["hold", "--user", "ann"],         at,                      &in_use),
        (&["erase", "--session", "vs_1"],    At::Directory(&nowhere), &no_log),
        (&["erase", "--session", "vs_9"],    server, "avow: the server answered 404 Not Found (resource_missing): nothing is kept of such a session of this world\n"),
        (&["release", "--session", "vs_1"],  server, "avow: the server answered 409 Conflict (not_held): there is no hold to release\n"),
        (&["erase", "--entry", "3"],         server, "error: the argument '--entry <SEQUENCE>' cannot be used with '--server <URL>'"),
        (&["erase"],                         server, "error: the following required arguments were not provided:"),
    ];
    for (arguments, at, beginning) in rows {
        let output = avow(arguments, at);

        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(told(&output).starts_with(beginning), "{}", told(&output));
        assert!(output.stdout.is_empty());
    }
    assert!(!nowhere.exists());
}
