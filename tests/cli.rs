//! The command line: what each command prints, where, and with which exit code.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::{self, JoinHandle};

use avow::cli::Arguments;
use avow::cli::simulation::check;
use avow::cli::simulation::scenarios::SCENARIOS;
use avow::config::reference;
use clap::CommandFactory;
use serde_json::{Value, json};
use tempfile::TempDir;

const MASTER_KEY: &str = "8f1e0c5d7b3a49268d04c7e1f5a2b96370d8e4c1a95b2f7613e8d0c4b7a96f52";
const SECRET: &str = "whsec_0123456789abcdef";

/// Returns the words that call each command, the program itself first.
fn commands() -> Vec<String> {
    fn below(command: &clap::Command, words: &str, all: &mut Vec<String>) {
        all.push(words.to_owned());
        for sub in command.get_subcommands() {
            below(sub, format!("{words} {}", sub.get_name()).trim_start(), all);
        }
    }
    let mut all = Vec::new();
    below(&Arguments::command(), "", &mut all);
    all
}

#[test]
fn the_help_texts_are_the_manual() {
    // `cd tests/fixtures/help; for f in *.txt; do c=$(basename "$f" .txt); avow ${c#avow} --help > "$f"; done` writes them
    // anew, for a command that has none after `touch "$c.txt"`.
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/help");
    let mut fixtures: BTreeSet<PathBuf> = fs::read_dir(&directory)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();

    for command in commands() {
        let name = if command.is_empty() { "avow" } else { &command };
        let path = directory.join(format!("{name}.txt"));
        let output = avow(&format!("{command} --help"), &[]);
        let fixture = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(stdout(&output), fixture, "{command}");
        assert_eq!(output.status.code(), Some(0), "{command}");
        fixtures.remove(&path);
    }
    assert_eq!(
        fixtures,
        BTreeSet::new(),
        "help of commands that are not there"
    );
}

#[test]
fn every_command_has_a_man_page_of_what_its_help_says() {
    let directory = TempDir::new().unwrap();
    let out = directory.path().join("man1");

    let output = avow(&format!("man --out {}", out.display()), &[]);

    assert_eq!(
        (output.status.code(), stdout(&output)),
        (Some(0), String::new())
    );
    let pages: BTreeSet<String> = fs::read_dir(&out)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = commands();
    let expected = expected.iter().map(|words| {
        let words = ["avow"].into_iter().chain(words.split_whitespace());
        format!("{}.1", words.collect::<Vec<_>>().join("-"))
    });
    assert_eq!(pages, expected.collect());
    let page = fs::read_to_string(out.join("avow-keys-rotate.1")).unwrap();
    for part in [
        ".TH avow-keys-rotate 1",
        "Change the master key",
        "new\\-master\\-key\\-file",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = avow(&format!("completions {shell}"), &[]);

        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = stdout(&output);
        for word in commands().iter().flat_map(|words| words.split(' ')) {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
}

#[test]
fn bad_usage_is_told_on_stderr_and_ends_with_2() {
    for arguments in [
        "",
        "sing",
        "serve --loud",
        "simulate",
        "simulate --to http://127.0.0.1:1 --scenario none",
    ] {
        let output = avow(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments}");
        assert_eq!(stdout(&output), "", "{arguments}");
        assert_ne!(stderr(&output), "", "{arguments}");
    }
}

#[test]
fn serve_without_a_configuration_says_what_is_missing() {
    let output = avow("serve", &[]);

    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        stderr(&output),
        "avow: no data directory is set; give `--data-dir DIR`, AVOW_DATA_DIR, or `data_dir` in the file\n"
    );
}

#[test]
fn config_finds_what_serve_would_refuse() {
    let secrets = [
        ("AVOW_MASTER_KEY", MASTER_KEY),
        ("AVOW_WEBHOOK_SECRETS", SECRET),
    ];
    let rows = [
        ("config --data-dir data", Some(0), ""),
        ("config", Some(1), "avow: no data directory is set"),
        (
            "config --data-dir data --set retry.attempts_max=0",
            Some(1),
            "avow: the command line sets `retry.attempts_max` to 0",
        ),
        (
            "config --config no_such_file.toml",
            Some(2),
            "avow: the configuration file no_such_file.toml cannot be read: ",
        ),
    ];
    for (arguments, code, beginning) in rows {
        let output = avow(arguments, &secrets);
        let (told, talked) = (stdout(&output), stderr(&output));
        assert_eq!(output.status.code(), code, "{arguments}");
        assert!(talked.starts_with(beginning), "{talked}");
        assert_eq!(talked.is_empty(), beginning.is_empty(), "{talked}");
        for text in [told, talked] {
            assert!(!text.contains(MASTER_KEY) && !text.contains(SECRET));
        }
    }
}

#[test]
fn a_flag_stands_above_the_environment_and_avow_config_names_the_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("avow.toml");
    fs::write(&file, "listen = '127.0.0.1:1'\n[http]\nworkers = 3").unwrap();
    let environment = [
        ("AVOW_CONFIG", file.to_str().unwrap()),
        ("AVOW_LISTEN", "127.0.0.1:2"),
    ];

    let output = avow("config --listen 127.0.0.1:3", &environment);

    assert!(
        stdout(&output).contains("\nlisten = \"127.0.0.1:3\" # the command line\n"),
        "{}",
        stdout(&output)
    );
    assert!(
        stdout(&output).contains("\nworkers = 3 # "),
        "{}",
        stdout(&output)
    );
}

#[test]
fn config_prints_the_reference() {
    assert_eq!(
        stdout(&avow("config --reference", &[])),
        reference::markdown()
    );
}

#[test]
fn keys_are_64_digits_and_never_the_same() {
    let (one, other) = (avow("keys generate", &[]), avow("keys generate", &[]));

    assert_eq!(stdout(&one).trim_end().len(), 64);
    assert!(
        stdout(&one)
            .trim_end()
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
    );
    assert_ne!(stdout(&one), stdout(&other));
    assert!(stdout(&avow("keys generate --webhook-secret", &[])).starts_with("whsec_"));
}

#[test]
fn a_key_is_written_for_its_owner_alone_and_never_over_another() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("master.key");
    let command = format!("keys generate --out {}", path.display());

    let first = avow(&command, &[]);
    let key = fs::read_to_string(&path).unwrap();
    let second = avow(&command, &[]);

    assert_eq!(
        (first.status.code(), stdout(&first)),
        (Some(0), String::new())
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(
        stderr(&first).ends_with("; keep a copy of it apart from the data\n"),
        "{}",
        stderr(&first)
    );
    assert_eq!(second.status.code(), Some(2));
    assert!(
        stderr(&second).contains("is not written: File exists"),
        "{}",
        stderr(&second)
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), key);
}

#[test]
fn nobody_is_told_to_keep_a_copy_of_a_secret_for_tests() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("secret");
    let command = format!("keys generate --webhook-secret --out {}", path.display());

    assert_eq!(
        stderr(&avow(&command, &[])),
        format!("wrote {}\n", path.display())
    );
}

#[test]
fn a_generated_key_is_a_key_that_serve_accepts() {
    let key = stdout(&avow("keys generate", &[]));
    let secret = stdout(&avow("keys generate --webhook-secret", &[]));
    let environment = [
        ("AVOW_MASTER_KEY", key.as_str()),
        ("AVOW_WEBHOOK_SECRETS", secret.as_str()),
    ];

    assert_eq!(
        avow("config --data-dir data", &environment).status.code(),
        Some(0)
    );
}

#[test]
fn a_rotation_that_cannot_be_says_why_and_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    fs::create_dir_all(data.join("log")).unwrap();
    let key_file = |path: &str, key: &str, mode| {
        let path = directory.path().join(path);
        fs::write(&path, key).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    key_file("old", MASTER_KEY, 0o600);
    key_file("new", &stdout(&avow("keys generate", &[])), 0o600);
    key_file("open", MASTER_KEY, 0o644);
    key_file("short", "abc", 0o600);
    key_file("data/inside", MASTER_KEY, 0o600);
    #[rustfmt::skip]
    let rows = [
        ("none", "new",         "the old key cannot be used: the file that `--master-key-file` names cannot be read: No such file"),
        ("open", "new",         "the old key cannot be used: group or others may read the file that `--master-key-file` names"),
        ("old",  "open",        "the new key cannot be used: group or others may read the file that `--new-master-key-file` names"),
        ("old",  "data/inside", "the new key cannot be used: the file that `--new-master-key-file` names lies inside `data_dir`"),
        ("old",  "short",       "the new key cannot be used: the master key is not 64 hexadecimal digits"),
        ("old",  "new",         "there is no vault at "),
    ];
    for (old, new, sentence) in rows {
        let at = |path: &str| directory.path().join(path).display().to_string();
        let output = avow(
            &format!(
                "keys rotate --data-dir {} --master-key-file {} --new-master-key-file {}",
                at("data"),
                at(old),
                at(new)
            ),
            &[],
        );

        let told = stderr(&output);
        assert!(told.starts_with(&format!("avow: {sentence}")), "{told}");
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(!data.join("vault").exists());
    }
}

#[test]
fn the_demo_ends_every_scenario_as_it_has_to_and_leaves_nothing_behind() {
    let directory = TempDir::new().unwrap();

    let output = avow(
        "demo --once",
        &[
            ("TMPDIR", directory.path().to_str().unwrap()),
            // A proxy of the machine's has no part in it.
            ("HTTP_PROXY", "http://127.0.0.1:1"),
            ("http_proxy", "http://127.0.0.1:1"),
        ],
    );

    let told = stdout(&output);
    let count = SCENARIOS.len();
    assert_eq!(output.status.code(), Some(0), "{told}{}", stderr(&output));
    assert!(
        told.ends_with(&format!(
            "\n{count} of {count} scenarios ended as they have to\n"
        )),
        "{told}"
    );
    assert!(
        SCENARIOS
            .iter()
            .all(|one| told.contains(&format!("✓ {}: {}", one.name, one.shows))),
        "{told}"
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn simulate_checks_every_user_and_serve_ends_well_when_asked_to() {
    let mut server = Server::start();
    let to = server.url.clone();
    let all =
        format!("simulate --to {to} --users 3 --seed 1 --duplicates 50 --shuffle --check --json");

    let right = avow(&all, &[("AVOW_WEBHOOK_SECRETS", SECRET)]);
    let forged = avow(
        &format!("simulate --to {to} --secret whsec_not_the_right_one"),
        &[],
    );

    let result: Value = serde_json::from_str(&stdout(&right)).unwrap();
    assert_eq!(right.status.code(), Some(0), "{result}");
    assert_eq!(
        (&result["unexpected"], &result["wrong"]),
        (&json!(0), &json!([]))
    );
    assert_eq!(result["answers"]["400"], json!(3), "the forged ones");
    assert_eq!(forged.status.code(), Some(1));
    assert_eq!(
        server.stop(),
        (Some(0), String::new()),
        "nothing but the address is data"
    );
}

#[test]
fn simulate_sends_again_what_the_server_asks_for() {
    let (to, server) = server_that_answers(&[
        "503 Service Unavailable\r\nretry-after: 0",
        "503 Service Unavailable\r\nretry-after: 0",
        "200 OK",
        "200 OK",
    ]);
    let simulate = format!("simulate --to {to} --scenario cancel --connections 1 --json");

    let output = avow(&simulate, &[("AVOW_WEBHOOK_SECRETS", SECRET)]);

    let bodies = server.join().unwrap();
    let result: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(output.status.code(), Some(0), "{result}");
    assert_eq!(
        (&result["retries"], &result["answers"]),
        (&json!(2), &json!({"200": 2}))
    );
    assert_eq!(
        (&bodies[0], &bodies[1]),
        (&bodies[1], &bodies[2]),
        "the same delivery"
    );
    assert_ne!(bodies[2], bodies[3], "the next one");
}

#[test]
fn simulate_follows_no_redirect_as_stripe_follows_none() {
    let (to, server) = server_that_answers(&["302 Found\r\nlocation: /elsewhere", "200 OK"]);
    let simulate = format!("simulate --to {to} --scenario cancel --connections 1 --json");

    let output = avow(&simulate, &[("AVOW_WEBHOOK_SECRETS", SECRET)]);

    let bodies = server.join().unwrap();
    let result: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(output.status.code(), Some(1), "{result}");
    assert_eq!(result["answers"], json!({"200": 1, "302": 1}));
    assert!(bodies.iter().all(|body| !body.is_empty()));
}

#[test]
fn simulate_signs_with_the_first_of_several_secrets_and_says_what_is_wrong_with_them() {
    let (to, server) = server_that_answers(&["200 OK", "200 OK"]);
    let simulate = format!("simulate --to {to} --scenario cancel --connections 1");
    let rows = [
        (
            "",
            "avow: the webhook secrets cannot be used; copy each from the endpoint's page in Stripe's Dashboard: \
             there is no webhook secret in the list\n",
        ),
        (
            "whsec_0123456789 b",
            "avow: the webhook secrets cannot be used; copy each from the endpoint's page in Stripe's Dashboard: \
             webhook secret 1 of the list cannot be used: it holds whitespace\n",
        ),
    ];

    let listed = avow(
        &simulate,
        &[(
            "AVOW_WEBHOOK_SECRETS",
            ",whsec_the_first_one\nwhsec_the_second_one",
        )],
    );

    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    server.join().unwrap();
    for (secrets, sentence) in rows {
        let output = avow(&simulate, &[("AVOW_WEBHOOK_SECRETS", secrets)]);
        assert_eq!(
            (output.status.code(), stderr(&output).as_str()),
            (Some(2), sentence)
        );
    }
}

#[test]
fn simulate_signs_with_the_secret_that_serve_would_take() {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    let name = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (secrets, settings) = (name("secrets"), name("avow.toml"));
    fs::write(&secrets, SECRET).unwrap();
    fs::write(
        &settings,
        format!("[webhook]\nsecrets_file = {secrets:?}\n"),
    )
    .unwrap();
    let named = ("AVOW_WEBHOOK_SECRETS_FILE", secrets.as_str());
    let other = ("AVOW_WEBHOOK_SECRETS", "whsec_not_the_right_one");
    let config = format!("--config {settings}");
    let set = format!("--set webhook.secrets_file={secrets}");
    #[rustfmt::skip]
    let rows = [
        ("",                                &[named][..],       Some(0)),
        (config.as_str(),                   &[],                Some(0)),
        (set.as_str(),                      &[],                Some(0)),
        ("",                                &[other],           Some(1)), // the server has another
        ("--secret whsec_not_the_right_one", &[named],           Some(1)), // the flag stands above
        ("",                                &[named, other],    Some(2)), // which of them?
        ("",                                &[],                Some(2)),
    ];

    for (flags, environment, code) in rows {
        let output = avow(
            &format!("simulate --to {} --scenario cancel {flags}", server.url),
            environment,
        );
        let told = stderr(&output);
        assert_eq!(
            output.status.code(),
            code,
            "{flags} {environment:?}: {told}"
        );
    }
}

#[test]
fn simulate_cannot_check_where_nobody_answers() {
    let output = avow(
        "simulate --to http://127.0.0.1:1 --secret whsec_0123456789abcdef",
        &[],
    );

    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("http://127.0.0.1:1 answers nothing"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn each_thing_that_is_not_as_the_scenario_says_is_named() {
    let end = &SCENARIOS
        .iter()
        .find(|scenario| scenario.name == "redaction")
        .unwrap()
        .end;
    let standing = json!({
        "status": "redacted", "attempts": {"total": 1}, "decision": {"outcome": "allowed"}, "reversed": false, "anomalies": 0
    });
    let otherwise = json!({
        "status": "verified", "attempts": {"total": 2}, "decision": {"outcome": "blocked"}, "reversed": true
    });

    assert!(check::compare(end, &standing, &json!({"redaction": "done"})).is_empty());
    assert_eq!(
        check::compare(end, &otherwise, &json!({"redaction": null})),
        [
            "status is \"verified\", not \"redacted\"",
            "attempts is 2, not 1",
            "outcome is \"blocked\", not \"allowed\"",
            "reversed is true, not false",
            "anomalies is missing, not 0",
            "redaction is null, not \"done\"",
        ]
    );
}

/// Answers one request after the other, and returns their bodies.
fn server_that_answers(answers: &'static [&'static str]) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let answer_one = |answer: &&str| {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut length = 0;
            let mut line = String::from("head");
            while !line.trim_end().is_empty() {
                line.clear();
                stream.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let head =
                format!("HTTP/1.1 {answer}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            stream.get_mut().write_all(head.as_bytes()).unwrap();
            String::from_utf8(body).unwrap()
        };
        answers.iter().map(answer_one).collect()
    });
    (to, server)
}

/// A server of the real binary, with data of its own.
struct Server {
    process: Child,
    stdout: BufReader<std::process::ChildStdout>,
    url: String,
    _data: TempDir,
}

impl Server {
    fn start() -> Self {
        let data = TempDir::new().unwrap();
        let mut command =
            command("serve --listen 127.0.0.1:0 --set log.disk_free_bytes_min=1048576 --data-dir");
        command.arg(data.path()).envs([
            ("AVOW_MASTER_KEY", MASTER_KEY),
            ("AVOW_WEBHOOK_SECRETS", SECRET),
        ]);
        let mut process = command.stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line
            .trim_end()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        Self {
            process,
            stdout,
            url,
            _data: data,
        }
    }

    /// Asks it to stop, and returns its exit code and what else it wrote.
    fn stop(&mut self) -> (Option<i32>, String) {
        Command::new("kill")
            .arg(self.process.id().to_string())
            .status()
            .unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.process.wait().unwrap().code(), rest)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
    }
}

/// Runs the binary with nothing in its environment but what is given.
fn avow(arguments: &str, environment: &[(&str, &str)]) -> Output {
    command(arguments)
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn command(arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avow"));
    command
        .args(arguments.split_whitespace())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
