//! The auditor's questions: why does this user stand there, what changed in between, and what if the policy had been
//! another.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::log::{Home, NOW};
use crate::support::server::Server;

fn avow(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_avow"))
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

fn told(output: &Output, code: i32) -> String {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{talk}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn rows(output: &Output, code: i32) -> Vec<Value> {
    let told = told(output, code);
    told.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A user who was refused, was granted another try, and had to wait: under a policy that the log records.
fn story() -> (Home, String) {
    crate::replay::lifecycle()
}

fn data(home: &Home) -> &str {
    home.data_dir().to_str().unwrap()
}

#[test]
fn an_explanation_tells_every_step_and_every_check() {
    // `AVOW_TEST_WRITE=1 cargo test explained::an_explanation` writes the fixtures anew; read what it changed.
    let (home, tag) = story();
    let after = format!("@{}", NOW + 8);
    for (file, more) in [
        ("user.txt", &[][..]),
        ("user_as_of.txt", &["--as-of", &after]),
        ("user.json", &["--json"]),
    ] {
        let arguments = [
            "explain",
            data(&home),
            "--tag",
            &tag,
            "--livemode",
            "false",
            "--valid-at",
        ];
        let valid_at = (NOW + 100).to_string();
        let output = avow(&[&arguments[..], &[&valid_at], more].concat());
        // The tag is keyed with a secret of this log alone.
        let text = told(&output, 0).replace(&tag, "tag_OF_USER_1");
        let file = Path::new("tests/fixtures/explain").join(file);

        if std::env::var_os("AVOW_TEST_WRITE").is_some() {
            fs::write(&file, &text).unwrap();
        }
        assert_eq!(text, fs::read_to_string(file).unwrap());
    }
}

/// A server with a user who fails and is blocked.
fn served() -> (TempDir, Server) {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let now = avow::system::now_seconds().0 - 100;
    let events = [
        event("evt_1", "vs_1", "user/1", "created", now),
        event("evt_2", "vs_1", "user/1", "processing", now + 1),
        with_report(
            with_error(
                event("evt_3", "vs_1", "user/1", "requires_input", now + 2),
                "document_expired",
            ),
            "vr_1",
        ),
    ];
    for event in &events {
        server.record(&Delivery::event(event));
    }
    (directory, server)
}

#[test]
fn a_server_and_its_data_directory_explain_alike() {
    let (directory, server) = served();
    let tag = server.read("/v1/users/user%2F1")["tag"].clone();
    let tag = tag.as_str().unwrap();
    let url = server.url("");
    let place = directory.path().to_str().unwrap();
    for moment in [
        &["--as-of", "2"][..],
        &["--as-of", "1"],
        &["--as-of", "2", "--valid-at", "2026-01-31T12:00:00Z"],
    ] {
        let of_server = [
            "explain",
            &url,
            "--user",
            "user/1",
            "--livemode",
            "false",
            "--json",
        ];
        let of_directory = [
            "explain",
            place,
            "--tag",
            tag,
            "--livemode",
            "false",
            "--json",
        ];
        let of_server = avow(&[&of_server[..], moment].concat());
        let of_directory = avow(&[&of_directory[..], moment].concat());
        if of_server.status.code() == Some(1) {
            assert_eq!(of_directory.status.code(), Some(1));
            continue;
        }
        let mut of_server = rows(&of_server, 0).remove(0);
        let mut of_directory = rows(&of_directory, 0).remove(0);

        // The one asks by name, the other by tag.
        assert_eq!(of_server["user"]["id"].take(), "user/1");
        assert_eq!(of_directory["user"]["id"].take(), tag);
        assert_eq!(of_server, of_directory);
        assert_eq!(of_server["checks"].as_array().unwrap().len(), 8);
    }
}

#[test]
fn an_explanation_shows_overrides_anomalies_and_the_check_that_applied() {
    let (_directory, server) = served();
    let words = json!({ "action": "block", "actor": "ada", "reason": "a test" });
    let url = server.url("/v1/users/user%2F1/overrides?livemode=false");
    let made = server.client().post(url).json(&words).send().unwrap();
    assert!(made.status().is_success());
    let late = event(
        "evt_4",
        "vs_1",
        "user/1",
        "created",
        avow::system::now_seconds().0,
    );
    server.record(&Delivery::event(&late));

    let explained = server.read("/v1/users/user%2F1/explain");

    let results: Vec<_> = explained["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| &check["result"])
        .collect();
    assert_eq!(
        results,
        [
            "passed",
            "passed",
            "applied",
            "not_reached",
            "not_reached",
            "not_reached",
            "not_reached",
            "not_reached"
        ]
    );
    assert_eq!(explained["overrides"][0]["in_force"], true);
    assert_eq!(explained["overrides"][0]["sequence"], 3);
    let steps = explained["sessions"][0]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 4);
    assert_eq!(
        steps[3]["anomalies"],
        json!(["created_after_requires_input"])
    );
    assert_eq!(steps[2]["row"], "processing/requires_input");
    assert_eq!(
        steps[2]["changes"][0],
        json!({ "what": "status", "from": "processing", "to": "requires_input" })
    );
    assert_eq!(
        server.read("/v1/users/user%2F1/explain?as_of=2")["overrides"],
        json!([])
    );
    let nobody = server.get("/v1/users/nobody/explain");
    assert_eq!(nobody.status(), 404);
}

/// Compares two moments, with a row of JSON for each difference.
fn between(home: &Home, from: &str, to: &str, more: &[&str]) -> Output {
    let moments = ["diff", data(home), "--from", from, "--to", to, "--json"];
    avow(&[&moments[..], more].concat())
}

#[test]
fn what_changed_between_two_moments_is_told_with_the_entries_between() {
    let (home, tag) = story();
    let diff = |from: &str, to: &str, more: &[&str]| between(&home, from, to, more);

    let all = rows(&diff("2", "4", &[]), 1);
    let names: Vec<_> = all
        .iter()
        .map(|row| (&row["object"], &row["session"]))
        .collect();
    assert_eq!(
        names,
        [
            (&json!("session_change"), &json!("vs_1")),
            (&json!("session_change"), &json!("vs_2")),
            (&json!("user_change"), &Value::Null),
            (&json!("user_change"), &Value::Null),
        ]
    );
    let verified = &all[0];
    assert_eq!(verified["is_new"], false);
    assert_eq!(
        verified["changes"][0],
        json!({ "what": "status", "before": "requires_input", "after": "verified" })
    );
    assert_eq!(verified["why"][0]["sequence"], 4);
    assert_eq!(verified["why"][0]["event"], "evt_5");
    assert_eq!(all[1]["is_new"], true);
    let user = all
        .iter()
        .find(|row| row["user_tag"] == tag.as_str())
        .unwrap();
    let decision = user["changes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|change| change["what"] == "decision")
        .unwrap();
    assert_eq!(
        (&decision["before"], &decision["after"]),
        (&json!("allowed"), &json!("already_verified"))
    );
}

#[test]
fn a_difference_is_narrowed_to_a_session_or_a_user_and_may_be_none() {
    let (home, tag) = story();
    let diff = |from: &str, to: &str, more: &[&str]| between(&home, from, to, more);

    let all = rows(&diff("2", "4", &[]), 1);
    let of_session = rows(&diff("2", "4", &["--session", "vs_2"]), 1);
    assert_eq!(of_session.len(), 2);
    let of_user = rows(&diff("2", "4", &["--tag", &tag]), 1);
    assert_eq!(
        of_user.iter().map(|row| &row["object"]).collect::<Vec<_>>(),
        ["session_change", "user_change"]
    );
    let by_time = rows(
        &diff(&format!("@{}", NOW + 3), &format!("@{}", NOW + 6), &[]),
        1,
    );
    assert_eq!(by_time, all);
    assert!(rows(&diff("4", "4", &[]), 0).is_empty());
    let text = told(
        &avow(&[
            "diff",
            data(&home),
            "--from",
            "2",
            "--to",
            "4",
            "--session",
            "vs_1",
        ]),
        1,
    );
    assert!(
        text.starts_with("vs_1\n    status: requires_input → verified\n"),
        "{text}"
    );
    assert!(text.contains("    by 4  "), "{text}");
}

#[test]
fn moments_that_cannot_be_compared_are_refused() {
    let (home, _) = story();
    for (from, to, sentence) in [
        ("4", "2", "the first moment lies behind the second"),
        ("2", "99", "the log has 11 entries"),
        ("yesterday", "2", "`--from` is an entry's number"),
    ] {
        let output = avow(&["diff", data(&home), "--from", from, "--to", to]);
        assert_eq!(output.status.code(), Some(2));
        let talk = String::from_utf8_lossy(&output.stderr);
        assert!(talk.contains(sentence), "{talk}");
    }
}

/// Writes a policy, and returns its file.
fn policy(directory: &TempDir, text: &str) -> String {
    let file = directory.path().join("policy.toml");
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

/// A log of a user who fails six times and one who fails twice; returns when it begins, and the tag of the first.
fn failures() -> (TempDir, i64, String) {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let start = avow::system::now_seconds().0 - 1_000;
    for (user, failures) in [("many", 6), ("few", 2)] {
        for number in 0..failures {
            let session = format!("vs_{user}");
            let at = start + number * 10;
            let (begun, failed) = (
                format!("evt_{user}_{number}_0"),
                format!("evt_{user}_{number}_1"),
            );
            server.record(&Delivery::event(&event(
                &begun,
                &session,
                user,
                "processing",
                at,
            )));
            let failed = with_error(
                event(&failed, &session, user, "requires_input", at + 5),
                "document_expired",
            );
            server.record(&Delivery::event(&with_report(
                failed,
                &format!("vr_{user}_{number}"),
            )));
        }
    }
    let tag = server.read("/v1/users/many")["tag"].clone();
    drop(server);
    (directory, start, tag.as_str().unwrap().to_owned())
}

#[test]
fn another_policy_tells_whom_it_would_have_refused_or_let_in_and_when() {
    let (directory, start, tag) = failures();
    let files = tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    let replay = |text: &str, more: &[&str]| {
        let file = policy(&files, text);
        avow(
            &[
                &["replay", place, "--policy", &file, "--format", "ndjson"],
                more,
            ]
            .concat(),
        )
    };

    let stricter = rows(&replay("[retry]\nattempts_max = 3\n", &[]), 1);
    let same = rows(&replay("[retry]\nattempts_max = 5\n", &[]), 0);
    let looser = rows(&replay("[retry]\nattempts_max = 9\n", &[]), 1);
    let of_few_entries = rows(&replay("[retry]\nattempts_max = 3\n", &["--as-of", "3"]), 0);

    // Refused after the third failure, and so the fourth and fifth attempts; then both policies refuse.
    let told: Vec<_> = stricter
        .iter()
        .filter(|row| row["object"] == "what_if")
        .map(|row| {
            (
                row["of"].as_str().unwrap(),
                row["verdict"].as_str().unwrap(),
                row["at"].as_i64().unwrap() < start + 60,
            )
        })
        .collect();
    assert!(told.contains(&("attempt", "refused", true)), "{told:?}");
    assert_eq!(told.iter().filter(|(of, ..)| *of == "attempt").count(), 2);
    assert!(
        stricter
            .iter()
            .all(|row| row["object"] != "what_if" || row["user_tag"] == tag.as_str())
    );
    let sum = stricter.last().unwrap();
    assert_eq!(
        (
            &sum["users"],
            &sum["refused"],
            &sum["let_in"],
            &sum["attempts_refused"]
        ),
        (&json!(2), &json!(1), &json!(0), &json!(2))
    );
    assert_eq!(same.len(), 1);
    let sum = looser.last().unwrap();
    assert_eq!((&sum["refused"], &sum["let_in"]), (&json!(0), &json!(1)));
    assert_eq!(of_few_entries.len(), 1);
    let text = told_text(place, &policy(&files, "[retry]\nattempts_max = 3\n"));
    assert!(
        text.contains("attempt in vs_many refused: allowed → limit_reached until "),
        "{text}"
    );
    assert!(
        text.contains("of 2 users 1 would have been refused"),
        "{text}"
    );
    let refused = replay("[retry]\nattempts = 3\n", &[]);
    assert_eq!(refused.status.code(), Some(2));
}

fn told_text(place: &str, policy: &str) -> String {
    told(&avow(&["replay", place, "--policy", policy]), 1)
}

#[test]
fn asking_changes_no_file() {
    let (home, tag) = story();
    let copy = Home::copy_of(&home);
    let files = tempdir().unwrap();
    let policy = policy(&files, "[retry]\nattempts_max = 3\n");

    told(
        &avow(&["explain", data(&home), "--tag", &tag, "--livemode", "false"]),
        0,
    );
    told(&avow(&["diff", data(&home), "--from", "0", "--to", "4"]), 1);
    avow(&["replay", data(&home), "--policy", &policy]);

    let contents = |home: &Home| {
        let paths = crate::import::files_under(home.data_dir()).into_iter();
        let named = paths.map(|path| {
            let name = path.strip_prefix(home.data_dir()).unwrap().to_owned();
            (name, fs::read(path).unwrap())
        });
        named.collect::<Vec<_>>()
    };
    assert!(contents(&home) == contents(&copy));
}
