//! The commands that ask a server: each shows a token, from a file or from the environment, and never from its arguments.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use reqwest::blocking::Client;
use serde_json::Value;
use tempfile::tempdir;

use crate::support::access::{Guarded, guarded};
use crate::support::delivery::{Delivery, event};
use crate::support::server::SECRET;

/// Every command that asks a server, and the scope that it needs. `OUT` is a place for what it writes.
const COMMANDS: &[(&str, &str)] = &[
    ("audit verify URL --vkey VKEY", "audit"),
    ("export --server URL --out OUT/export", "audit"),
    ("replay URL", "audit"),
    ("audit access URL", "audit"),
    ("diff URL --from 0 --to 0", "audit"),
    (
        "backup --server URL --out OUT/backup --without-vault",
        "audit",
    ),
    ("explain URL --user user_1 --livemode false", "read"),
    ("digest --server URL", "read"),
    ("rebuild --server URL", "operate"),
    (
        "override block --server URL --user user_2 --actor a --reason b",
        "operate",
    ),
    (
        "hold --server URL --session vs_1 --actor a --reason b",
        "operate",
    ),
    (
        "release --server URL --session vs_1 --actor a --reason b",
        "operate",
    ),
    (
        "erase --server URL --user user_1 --actor a --reason b",
        "operate",
    ),
    (
        "simulate --to URL --scenario cancel --check --secret SECRET",
        "read",
    ),
];

/// Runs a command with some environment.
fn run(command: &str, url: &str, out: &Path, environment: &[(&str, &str)]) -> Output {
    let command = command
        .replace("URL", url)
        .replace("OUT", out.to_str().unwrap())
        .replace("SECRET", SECRET);
    Command::new(env!("CARGO_BIN_EXE_avow"))
        .args(command.split_whitespace())
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// Waits until the first entry is in a checkpoint, and returns the log's key.
fn key_once_there_is_a_checkpoint(url: &str, token: &str) -> String {
    let log = Client::new()
        .get(format!("{url}/v1/log"))
        .bearer_auth(token);
    loop {
        let answer: Value = log.try_clone().unwrap().send().unwrap().json().unwrap();
        if answer["size"] == 2 {
            return answer["vkey"].as_str().unwrap().to_owned();
        }
        std::thread::yield_now();
    }
}

fn told(output: &Output) -> String {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    format!("{stdout}{stderr}")
}

#[test]
fn every_command_that_asks_a_server_shows_it_a_token() {
    for from_file in [true, false] {
        let Guarded {
            server,
            data: _data,
            read,
            audit,
            operate,
        } = guarded(&[]);
        let recorded = server
            .deliver(&Delivery::event(&event(
                "evt_1", "vs_1", "user_1", "created", 10,
            )))
            .unwrap();
        assert_eq!(recorded.status(), 200);
        let vkey = key_once_there_is_a_checkpoint(server.url(), &audit);
        for (command, scope) in COMMANDS {
            let out = tempdir().unwrap();
            let command = command.replace("VKEY", &vkey);
            let token = [("read", &read), ("audit", &audit), ("operate", &operate)]
                .into_iter()
                .find_map(|(name, token)| (name == *scope).then_some(token))
                .unwrap();

            let without = run(&command, server.url(), out.path(), &[]);
            fs::remove_dir_all(out.path().join("export")).ok();
            let with = if from_file {
                let file = out.path().join("token");
                fs::write(&file, format!("{token}\n")).unwrap();
                // What the flag names stands above the environment.
                let command = format!("{command} --token-file {}", file.display());
                run(
                    &command,
                    server.url(),
                    out.path(),
                    &[("AVOW_TOKEN", "other")],
                )
            } else {
                run(&command, server.url(), out.path(), &[("AVOW_TOKEN", token)])
            };

            assert_eq!(
                without.status.code(),
                Some(2),
                "{command}: {}",
                told(&without)
            );
            assert!(
                told(&without).contains("401"),
                "{command}: {}",
                told(&without)
            );
            assert_eq!(with.status.code(), Some(0), "{command}: {}", told(&with));
            assert!(!told(&with).contains(&token[5..]), "{command}");
        }
    }
}

#[test]
fn a_token_that_is_cut_off_is_told_before_anybody_is_asked() {
    let out = tempdir().unwrap();
    let token = format!("avow_{}", "0".repeat(70));
    let command = "audit verify http://127.0.0.1:1";

    let output = run(command, "", out.path(), &[("AVOW_TOKEN", &token)]);

    assert_eq!(output.status.code(), Some(2));
    assert!(
        told(&output).starts_with("avow: AVOW_TOKEN holds no token: it is damaged or cut off"),
        "{}",
        told(&output)
    );
    assert!(!told(&output).contains(&token[5..]));
}

#[test]
fn an_export_waits_as_long_as_the_server_asks_it_to() {
    let Guarded {
        server,
        data: _data,
        audit,
        ..
    } = guarded(&["limits.token_requests_per_second=2"]);
    let out = tempdir().unwrap();
    let export = "export --server URL --out OUT/export";

    let exports = [1, 2].map(|_| {
        let output = run(export, server.url(), out.path(), &[("AVOW_TOKEN", &audit)]);
        fs::remove_dir_all(out.path().join("export")).unwrap();
        output
    });

    for output in exports {
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    }
}

#[test]
fn no_command_takes_a_token_among_its_arguments() {
    let out = tempdir().unwrap();
    for (command, _) in COMMANDS {
        let output = run(
            &format!("{command} --token x"),
            "http://127.0.0.1:1",
            out.path(),
            &[],
        );
        assert!(
            told(&output).contains("unexpected argument '--token'"),
            "{command}: {}",
            told(&output)
        );
    }
}
