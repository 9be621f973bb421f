//! The access record: nothing personal is told in bulk, and nothing is exported, before it is on record who asked for it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use reqwest::blocking::Client;
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::access::{Guarded, create, guarded};
use crate::support::delivery::{Delivery, event};
use crate::support::process::{Process, serve};
use crate::support::server::{MASTER_KEY, SECRET};

const FLAGS: [&str; 4] = [
    "--set",
    "log.ballast_bytes=0",
    "--set",
    "log.disk_free_bytes_min=1048576",
];

fn avow(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_avow"))
        .args(arguments)
        .env_clear()
        .env("USER", "ada")
        .env("AVOW_MASTER_KEY", MASTER_KEY)
        .env("AVOW_WEBHOOK_SECRETS", SECRET)
        .output()
        .unwrap()
}

/// Returns the access record of a data directory, an export or a server.
fn record(source: &Path, more: &[&str]) -> Vec<Value> {
    let source = source.to_str().unwrap();
    let output = avow(&[&["audit", "access", source, "--json"], more].concat());
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Returns of each entry who, what and on what.
fn summary(record: &[Value]) -> Vec<Value> {
    let of = |row: &Value| {
        json!([
            row["by"],
            row["what"],
            row["session"],
            row["first_entry"],
            row["livemode"]
        ])
    };
    record.iter().map(of).collect()
}

/// Asks until there is an answer: what no checkpoint covers yet is 404.
fn get(server: &Process, token: &str, path: &str) {
    let url = format!("{}{path}", server.url());
    let ask = || Client::new().get(&url).bearer_auth(token).send().unwrap();
    let covered = || match ask().status().as_u16() {
        404 => false,
        status => {
            assert_eq!(status, 200, "{path}");
            true
        }
    };
    while !covered() {
        std::thread::yield_now();
    }
}

fn post(server: &Process, token: &str, path: &str) {
    let url = format!("{}{path}", server.url());
    let words = json!({ "actor": "ada", "reason": "a test" });
    let request = Client::new().post(url).bearer_auth(token).json(&words);
    assert_eq!(request.send().unwrap().status(), 200, "{path}");
}

fn deliver(server: &Process) {
    let event = event("evt_1", "vs_1", "MARKERUSER", "created", 10);
    let delivered = server.deliver(&Delivery::event(&event)).unwrap();
    assert_eq!(delivered.status(), 200);
}

/// Returns the access record of a data directory in the words of those who are on it.
fn opened_record(data: &Path) -> Vec<Value> {
    let elsewhere = tempdir().unwrap();
    let key_file = elsewhere.path().join("master.key");
    fs::write(&key_file, MASTER_KEY).unwrap();
    fs::set_permissions(&key_file, Permissions::from_mode(0o600)).unwrap();
    record(data, &["--master-key-file", key_file.to_str().unwrap()])
}

#[test]
fn reads_in_bulk_are_on_record_with_their_token_once_a_minute_and_the_hot_read_is_not() {
    let Guarded {
        server,
        data,
        read,
        audit,
        ..
    } = guarded(&[]);
    deliver(&server);
    get(&server, &read, "/v1/users/MARKERUSER?livemode=false");
    for _again in 0..3 {
        get(&server, &read, "/v1/users");
        get(&server, &read, "/v1/sessions?livemode=false");
    }
    get(&server, &audit, "/v1/users");
    get(&server, &audit, "/v1/log/payloads/000.p/1");
    server.stop();

    let rows = opened_record(data.path());

    assert_eq!(
        summary(&rows),
        [
            json!(["token", "read_users", null, null, false]),
            json!(["token", "read_sessions", null, null, false]),
            json!(["token", "read_users", null, null, false]),
            json!(["token", "read_payloads", null, 0, null]),
        ]
    );
    assert_eq!(rows[0]["token"], rows[1]["token"]);
    assert_ne!(rows[0]["token"], rows[2]["token"]);
    assert_eq!(
        json!([rows[1]["actor"], rows[1]["reason"]]),
        json!(["a test", "GET /v1/sessions"])
    );
}

#[test]
fn a_session_that_tells_whose_it_is_is_on_record_and_its_history_is_not() {
    let Guarded {
        server, data, read, ..
    } = guarded(&[]);
    deliver(&server);

    get(&server, &read, "/v1/sessions/vs_1/history?livemode=false");
    for _again in 0..3 {
        get(&server, &read, "/v1/sessions/vs_1?livemode=false");
    }
    server.stop();

    assert_eq!(
        summary(&record(data.path(), &[])),
        [json!(["token", "read_sessions", "vs_1", null, false])]
    );
}

#[test]
fn what_is_stated_is_on_record_with_the_token_that_was_shown() {
    let Guarded {
        server,
        data,
        audit,
        operate,
        ..
    } = guarded(&[]);
    deliver(&server);
    for verb in ["hold", "release", "erase"] {
        post(
            &server,
            &operate,
            &format!("/v1/sessions/vs_1/{verb}?livemode=false"),
        );
    }
    let url = format!("{}/v1/users/ann/overrides", server.url());
    let block = json!({ "action": "block", "actor": "ada", "reason": "a test" });
    let request = Client::new().post(url).bearer_auth(&operate).json(&block);
    assert_eq!(request.send().unwrap().status(), 200);
    server.stop();

    let rows = opened_record(data.path());
    let without_keys = record(data.path(), &[]);

    let told: Vec<_> = rows
        .iter()
        .map(|row| row["what"].as_str().unwrap())
        .collect();
    assert_eq!(told, ["hold", "release", "erasure", "block"]);
    assert!(rows.iter().all(|row| row["token"] == rows[0]["token"]));
    assert!(rows[0]["token"].as_str().unwrap().starts_with("tok_"));
    assert_eq!(rows[3]["actor"], "ada");
    let clear = |row: &Value| json!([row["by"], row["token"], row["actor"]]);
    assert_eq!(clear(&without_keys[3]), json!(["operator", null, null]));
    drop(audit);
}

#[test]
fn reading_what_operators_said_is_on_record_and_reading_an_event_is_not() {
    let Guarded {
        server,
        data,
        audit,
        operate,
        ..
    } = guarded(&[]);
    deliver(&server);
    post(&server, &operate, "/v1/sessions/vs_1/hold?livemode=false");

    // Entry 0 is the retry policy.
    for entry in [1, 2, 2] {
        get(&server, &audit, &format!("/v1/log/entries/{entry}"));
    }
    server.stop();

    assert_eq!(
        summary(&record(data.path(), &[])),
        [
            json!(["operator", "hold", "vs_1", null, false]),
            json!(["token", "read_words", null, 2, null]),
        ]
    );
}

#[test]
fn what_cannot_be_put_on_record_is_not_told_and_the_hot_read_goes_on() {
    let directory = tempdir().unwrap();
    let read = create(directory.path(), "read", &[]);
    let server = Process::start(directory.path());
    deliver(&server);
    server.stop();
    let mut command = serve(directory.path());
    command.arg("--set=log.disk_free_bytes_min=1099511627776");
    let server = Process::of(command).unwrap();

    for path in ["/v1/users", "/v1/sessions", "/v1/sessions/vs_1"] {
        let url = format!("{}{path}?livemode=false", server.url());
        let refused = Client::new().get(url).bearer_auth(&read).send().unwrap();

        assert_eq!(refused.status(), 503, "{path}");
        let body = refused.text().unwrap();
        assert!(body.contains("disk_full"), "{body}");
        assert!(!body.contains("MARKERUSER"), "{body}");
    }
    get(&server, &read, "/v1/users/MARKERUSER?livemode=false");
}

#[test]
fn an_export_is_on_record_before_anything_is_written() {
    let directory = tempdir().unwrap();
    Process::start(directory.path()).stop();
    let elsewhere = tempdir().unwrap();
    let out = elsewhere.path().join("export");
    let [to, from] = [&*out, directory.path()].map(|path| path.to_str().unwrap());

    let output = avow(&[&["export", "--out", to, "--data-dir", from], &FLAGS[..]].concat());

    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let rows = opened_record(directory.path());
    assert_eq!(
        summary(&rows),
        [json!(["local", "export", null, null, null])]
    );
    assert_eq!(
        json!([rows[0]["actor"], rows[0]["reason"]]),
        json!(["ada", "avow export"])
    );
    // What was exported tells of itself.
    assert_eq!(summary(&record(&out, &[])), summary(&rows));
}

/// Begins a rebuild, and waits for its end.
fn rebuild(server: &Process, token: &str, wanted: &Value) {
    let url = format!("{}/v1/rebuilds?livemode=false", server.url());
    let client = Client::new();
    let request = client.post(&url).bearer_auth(token).json(wanted);
    let begun = request.send().unwrap();
    assert_eq!(begun.status(), 202, "{wanted}");
    let begun: Value = begun.json().unwrap();
    let url = format!(
        "{}/v1/rebuilds/{}",
        server.url(),
        begun["id"].as_str().unwrap()
    );
    let look = || -> Value {
        let answer = client.get(&url).bearer_auth(token).send().unwrap();
        answer.json().unwrap()
    };
    while look()["ended_at"].is_null() {
        std::thread::yield_now();
    }
    assert_eq!(look()["status"], "done", "{wanted}");
}

#[test]
fn every_rebuild_is_on_record_with_its_token_also_of_a_part_and_a_dry_run() {
    let Guarded {
        server,
        data,
        operate,
        ..
    } = guarded(&[]);
    deliver(&server);
    for wanted in [
        json!({}),
        json!({}),
        json!({ "dry_run": true }),
        json!({ "session": "vs_1" }),
        json!({ "user": "MARKERUSER" }),
    ] {
        rebuild(&server, &operate, &wanted);
    }
    server.stop();

    let rows = opened_record(data.path());

    assert_eq!(
        summary(&rows),
        [
            json!(["token", "rebuild", null, null, null]),
            json!(["token", "rebuild", null, null, null]),
            json!(["token", "rebuild_dry_run", null, null, null]),
            json!(["token", "rebuild", "vs_1", null, false]),
            json!(["token", "rebuild", null, null, false]),
        ]
    );
    assert!(rows[4]["user_tag"].is_string(), "{}", rows[4]);
    assert_eq!(rows[0]["reason"], "POST /v1/rebuilds");
    assert!(!Value::from(rows).to_string().contains("MARKERUSER"));
}

#[test]
fn without_tokens_each_export_and_each_rebuild_is_on_record_and_no_read_is() {
    let directory = tempdir().unwrap();
    let server = Process::start(directory.path());
    deliver(&server);
    let elsewhere = tempdir().unwrap();

    for path in [
        "/v1/users?livemode=false",
        "/v1/sessions/vs_1?livemode=false",
        "/v1/log/payloads/000.p/1",
    ] {
        get(&server, "none", path);
    }
    for name in ["first", "second"] {
        let out = elsewhere.path().join(name);
        let arguments = ["export", "--server", server.url(), "--out"];
        let output = avow(&[&arguments[..], &[out.to_str().unwrap()]].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
    }
    for wanted in [json!({}), json!({}), json!({ "dry_run": true })] {
        rebuild(&server, "none", &wanted);
    }
    server.stop();

    let rows = opened_record(directory.path());
    assert_eq!(
        summary(&rows),
        [
            json!(["anonymous", "export", null, null, null]),
            json!(["anonymous", "export", null, null, null]),
            json!(["anonymous", "rebuild", null, null, null]),
            json!(["anonymous", "rebuild", null, null, null]),
            json!(["anonymous", "rebuild_dry_run", null, null, null]),
        ]
    );
    assert!(rows.iter().all(|row| row["token"].is_null()), "{rows:?}");
    assert_eq!(
        json!([rows[0]["actor"], rows[0]["reason"]]),
        json!(["whoever reaches the server", "POST /v1/log/exports"])
    );
}

#[test]
fn a_rebuild_that_cannot_be_put_on_record_does_not_begin() {
    let directory = tempdir().unwrap();
    let operate = create(directory.path(), "operate", &[]);
    let mut command = serve(directory.path());
    command.arg("--set=log.disk_free_bytes_min=1099511627776");
    let server = Process::of(command).unwrap();
    let url = format!("{}/v1/rebuilds", server.url());
    let client = Client::new();

    let request = client.post(&url).bearer_auth(&operate).json(&json!({}));
    let refused = request.send().unwrap();

    assert_eq!(refused.status(), 503);
    assert!(refused.text().unwrap().contains("disk_full"));
    let list: Value = {
        let request = client.get(&url).bearer_auth(&operate);
        request.send().unwrap().json().unwrap()
    };
    assert_eq!(list["data"], json!([]));
}

#[test]
fn a_rebuild_without_a_server_is_on_record_and_covers_its_own_entry() {
    let directory = tempdir().unwrap();
    let server = Process::start(directory.path());
    deliver(&server);
    server.stop();
    let from = directory.path().to_str().unwrap();
    let world = ["--livemode", "false"];

    for more in [&["--dry-run"][..], &[], &["--session", "vs_1"]] {
        let arguments = [&["rebuild", "--data-dir", from][..], &FLAGS, &world, more].concat();
        let output = avow(&arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{more:?}: {told}");
    }

    let rows = opened_record(directory.path());
    assert_eq!(
        summary(&rows),
        [
            json!(["local", "rebuild_dry_run", null, null, null]),
            json!(["local", "rebuild", null, null, null]),
            json!(["local", "rebuild", "vs_1", null, false]),
        ]
    );
    assert_eq!(
        json!([rows[0]["actor"], rows[0]["reason"]]),
        json!(["ada", "avow rebuild"])
    );
}

#[test]
fn a_change_of_the_tokens_is_on_record() {
    let Guarded {
        server, data, read, ..
    } = guarded(&[]);
    let fresh = create(data.path(), "read", &[]);
    let url = format!("{}/v1/digest", server.url());
    let ask = || Client::new().get(&url).bearer_auth(&fresh).send().unwrap();
    while ask().status() != 200 {
        std::thread::yield_now();
    }
    drop(read);
    server.stop();

    let rows = opened_record(data.path());

    assert_eq!(
        summary(&rows),
        [json!(["local", "tokens", null, null, null])]
    );
    let reason = rows[0]["reason"].as_str().unwrap();
    assert!(reason.ends_with(" (read) admitted"), "{reason}");
}
