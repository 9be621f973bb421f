//! `avow override`: on a data directory, and through a server.

use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::command::{At, avow, told};
use crate::support::process::Process;

/// Runs `avow override …`.
fn decide(arguments: &[&str], at: At<'_>) -> Output {
    avow(&[&["override"], arguments].concat(), at)
}

/// Returns what a command printed that has to succeed.
fn printed(arguments: &[&str], at: At<'_>) -> String {
    let output = decide(arguments, at);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Returns a text without the id that it holds.
fn without_id(text: &str) -> String {
    let (before, rest) = text.split_once("ovr_").unwrap();
    let (_, after) = rest.split_at(32);
    format!("{before}ovr_…{after}")
}

/// Makes a data directory of a log with one entry, the retry policy.
fn empty() -> tempfile::TempDir {
    let data = tempdir().unwrap();
    Process::start(data.path()).stop();
    data
}

#[test]
fn each_decision_is_made_on_a_data_directory_and_through_a_server() {
    for through_a_server in [false, true] {
        let data = empty();
        let process = through_a_server.then(|| Process::start(data.path()));
        let at = At::of(process.as_ref(), data.path());
        #[rustfmt::skip]
        let rows: [(&[&str], &str); 6] = [
            (&["grant", "--attempts", "1"],                        "ann has an attempt more, by entry 1 (ovr_…)\n"),
            (&["grant", "--attempts", "3", "--expires", "9999999999"], "ann has 3 attempts more until 2286-11-20T17:46:39Z, by entry 2 (ovr_…)\n"),
            (&["reset"],                                           "ann starts anew, by entry 3 (ovr_…)\n"),
            (&["block", "--idempotency-key", "k"],                 "ann is blocked, by entry 4 (ovr_…)\n"),
            (&["block", "--idempotency-key", "k"],                 "ann is blocked, by entry 4 (ovr_…), as asked for before\n"),
            (&["unblock"],                                         "ann is unblocked, by entry 5 (ovr_…)\n"),
        ];

        for (arguments, expected) in rows {
            let arguments = [arguments, &["--user", "ann"]].concat();
            assert_eq!(without_id(&printed(&arguments, at)), expected);
        }

        let json = printed(&["block", "--user", "bob", "--json"], at);
        let answer: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            json!([
                answer["object"],
                answer["user"],
                answer["action"],
                answer["sequence"]
            ]),
            json!(["override", "bob", "block", 6])
        );
    }
}

#[test]
fn what_cannot_be_decided_says_why_and_ends_with_2() {
    let data = empty();
    let process = Process::start(data.path());
    let (at, server) = (At::Directory(data.path()), At::Server(process.url()));
    let in_use = format!(
        "avow: a server holds {}: ask it with `--server URL`\n",
        data.path().display()
    );
    printed(
        &["block", "--user", "ann", "--idempotency-key", "k"],
        server,
    );
    #[rustfmt::skip]
    let rows: [(&[&str], At<'_>, &str); 6] = [
        (&["block", "--user", "ann"],                           at,     &in_use),
        (&["block", "--user", "ann", "--expires", "1"],         server, "avow: the server answered 400 Bad Request (parameter_invalid): `expires` must lie in the future\n"),
        (&["reset", "--user", "ann", "--idempotency-key", "k"], server, "avow: the server answered 422 Unprocessable Entity (idempotency_key_reused): the idempotency key came with another request, which entry 1 holds\n"),
        (&["block", "--user", "ann", "--idempotency-key", ""],  server, "avow: `--idempotency-key` is 1 to 255 visible characters\n"),
        (&["grant", "--user", "ann"],                           server, "error: the following required arguments were not provided:\n  --attempts <COUNT>"),
        (&["grant", "--user", "ann", "--attempts", "0"],        server, "error: invalid value '0' for '--attempts <COUNT>'"),
    ];
    for (arguments, at, beginning) in rows {
        let output = decide(arguments, at);

        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(told(&output).starts_with(beginning), "{}", told(&output));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_replay_tells_the_overrides_of_a_user() {
    let data = empty();
    let at = At::Directory(data.path());
    let answer: Value =
        serde_json::from_str(&printed(&["block", "--user", "ann", "--json"], at)).unwrap();
    printed(&["block", "--user", "bob"], at);
    let tag = answer["tag"].as_str().unwrap();

    let output = Command::new(env!("CARGO_BIN_EXE_avow"))
        .args(["replay", "--format", "ndjson", "--tag", tag])
        .arg(data.path())
        .output()
        .unwrap();

    let rows: Vec<Value> = std::str::from_utf8(&output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let made = json!({
        "override": answer["id"], "action": "block", "attempts": null, "expires": null,
    });
    let [step, user] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!(
        json!([
            step["kind"],
            step["sequence"],
            step["override"],
            step["user_tag"]
        ]),
        json!(["override", 1, answer["id"], tag])
    );
    assert_eq!(
        json!([user["object"], user["status"], user["overrides"]]),
        json!(["user", "unseen", [made]])
    );
}
