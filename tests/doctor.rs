//! The doctor finds what is really broken, and the command that it names mends it.

use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::delivery::{Delivery, event};
use crate::support::log::copy;
use crate::support::process::Process;
use crate::support::server::{MASTER_KEY, SECRET, Server};

/// A service that was stopped, and a backup of it.
struct Home {
    directory: TempDir,
}

impl Home {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let home = Self { directory };
        let server = Server::start(&home.data());
        for number in 0..20 {
            let [id, session] = ["evt", "vs"].map(|prefix| format!("{prefix}_{number}"));
            server.record(&Delivery::event(&event(&id, &session, "u", "verified", 10)));
        }
        drop(server);
        copy(&home.data(), &home.path("backup"));
        for (file, text) in [("master-key", MASTER_KEY), ("secrets", SECRET)] {
            fs::write(home.path(file), text).unwrap();
            set_mode(&home.path(file), 0o600);
        }
        set_mode(&home.path("backup/vault"), 0o600);
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Returns a home that is the same as another.
    fn copy_of(other: &Self) -> Self {
        let directory = TempDir::new().unwrap();
        copy(other.directory.path(), directory.path());
        Self { directory }
    }

    /// Runs a line in a shell that knows `avow` and its secrets.
    fn shell(&self, line: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_avow")).parent().unwrap();
        let path = format!(
            "{}:{}",
            program.display(),
            avow::config::environment("PATH").unwrap()
        );
        Command::new("sh")
            .args(["-c", line])
            .env_clear()
            .env("PATH", path)
            .env("AVOW_LOG_BALLAST_BYTES", "0")
            .env("AVOW_LOG_DISK_FREE_BYTES_MIN", "1048576")
            .env("AVOW_MASTER_KEY_FILE", self.path("master-key"))
            .env("AVOW_WEBHOOK_SECRETS_FILE", self.path("secrets"))
            .output()
            .unwrap()
    }

    /// Asks the doctor; returns its exit code and what is not good.
    fn examined(&self, more: &str) -> (Option<i32>, Vec<Value>) {
        let data = self.data();
        let line = format!("avow doctor --json --data-dir {} {more}", data.display());
        let output = self.shell(&line);
        let answer: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let findings = answer["findings"].as_array().unwrap().iter();
        // Whether the file system of the tests overwrites in place is not theirs to say.
        let told = findings.filter(|finding| {
            !["good", "note"]
                .map(Value::from)
                .contains(&finding["status"])
        });
        (output.status.code(), told.cloned().collect())
    }

    /// Asks the doctor, who has to find one thing wrong, and returns it.
    fn wrong(&self, more: &str) -> Value {
        let (code, mut findings) = self.examined(more);
        findings.retain(|finding| finding["status"] == "wrong");
        assert_eq!((code, findings.len()), (Some(1), 1), "{findings:?}");
        findings.remove(0)
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn last_segment(data: &Path) -> PathBuf {
    let files = fs::read_dir(data.join("log/journal")).unwrap();
    files.map(|file| file.unwrap().path()).max().unwrap()
}

fn shorten(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
}

#[test]
fn a_service_that_is_well_is_found_to_be() {
    let home = Home::new();

    assert_eq!(home.examined(""), (Some(0), Vec::new()));
    assert_eq!(home.examined("--thorough"), (Some(0), Vec::new()));
}

#[test]
fn what_is_broken_is_found_and_mended_by_the_command_that_is_named() {
    type Break = fn(&Home);
    #[rustfmt::skip]
    let rows: [(&str, &str, Break); 18] = [
        ("the head is gone",                   "head",        |home| fs::remove_file(home.path("data/log/head")).unwrap()),
        ("the head is damaged",                "head",        |home| fs::write(home.path("data/log/head"), [7; 8192]).unwrap()),
        ("the identity is gone",               "identity",    |home| fs::remove_file(home.path("data/log/identity")).unwrap()),
        ("a record is damaged",                "journal",     |home| File::options().write(true).open(last_segment(&home.data())).unwrap().write_all_at(&[7; 64], 300).unwrap()),
        ("the journal has lost its end",       "journal",     |home| File::options().write(true).open(last_segment(&home.data())).unwrap().set_len(2000).unwrap()),
        ("the header of a segment is damaged", "journal",     |home| File::options().write(true).open(last_segment(&home.data())).unwrap().write_all_at(&[7; 64], 0).unwrap()),
        ("sled has lost its end",              "sled",        |home| shorten(&home.path("data/log/sled/db"))),
        ("sled left a snapshot half done",     "sled",        |home| fs::write(home.path("data/log/sled/snap.00000000.generating"), "").unwrap()),
        ("the index was found damaged",        "index",       |home| fs::write(home.path("data/log/index/damaged"), "").unwrap()),
        ("the index is gone",                  "index",       |home| fs::remove_dir_all(home.path("data/log/index")).unwrap()),
        ("the projections are gone",           "projections", |home| fs::remove_dir_all(home.path("data/projections")).unwrap()),
        ("the projections are damaged",        "projections", |home| damage_projections(&home.path("data/projections"))),
        ("the vault is gone",                  "vault",       |home| fs::remove_file(home.path("data/vault")).unwrap()),
        ("the vault is damaged",               "vault",       |home| fs::write(home.path("data/vault"), [7; 9000]).unwrap()),
        ("others can write the data",          "permissions", |home| set_mode(&home.data(), 0o777)),
        ("others can read the vault",          "permissions", |home| set_mode(&home.path("data/vault"), 0o644)),
        ("others can write the tokens",        "permissions", |home| { home.shell(&format!("avow tokens create --data-dir {} --name monitoring --scope read", home.data().display())); set_mode(&home.path("data/tokens.json"), 0o666); }),
        ("others can read the secrets",        "permissions", |home| set_mode(&home.path("secrets"), 0o644)),
    ];
    let well = Home::new();
    for (case, part, broken) in rows {
        let home = Home::copy_of(&well);
        broken(&home);

        let finding = home.wrong("");
        let command = finding["command"].as_str().unwrap();
        let vault = home.path("backup/vault").display().to_string();
        let mended = home.shell(&command.replace("FILE", &vault));

        assert_eq!(finding["part"], part, "{case}");
        let stderr = String::from_utf8_lossy(&mended.stderr);
        assert!(mended.status.success(), "{case}: {command}: {stderr}");
        assert_eq!(
            home.examined("--thorough"),
            (Some(0), Vec::new()),
            "{case}: {stderr}"
        );
    }
}

fn damage_projections(directory: &Path) {
    let current = fs::read_to_string(directory.join("current")).unwrap();
    let store = directory.join(current.trim_end());
    for file in fs::read_dir(store).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            fs::write(path, [7; 64]).unwrap();
        }
    }
}

#[test]
fn what_only_a_person_can_mend_is_found_and_a_way_is_named() {
    #[rustfmt::skip]
    let rows = [
        ("--set retry.attempts_max=0",                       "configuration", "avow config --data-dir"),
        ("--set retry.attempts=3",                           "configuration", "avow config --reference"),
        ("--set log.disk_free_bytes_min=1099511627776",      "disk",          "du -xh"),
        ("--set witness.policy_file=none",                   "configuration", "avow config"),
    ];
    let home = Home::new();
    for (more, part, command) in rows {
        let finding = home.wrong(more);

        assert_eq!(finding["part"], part, "{more}");
        let named = finding["command"].as_str().unwrap();
        assert!(named.starts_with(command), "{more}: {named}");
    }
}

#[test]
fn a_master_key_that_others_read_or_that_is_not_the_vaults_is_found() {
    let home = Home::new();
    set_mode(&home.path("master-key"), 0o644);
    let open = home.wrong("");
    set_mode(&home.path("master-key"), 0o600);
    fs::write(
        home.path("master-key"),
        home.shell("avow keys generate").stdout,
    )
    .unwrap();
    let other = home.wrong("");
    fs::remove_file(home.path("master-key")).unwrap();
    let (code, none) = home.examined("");

    let command = format!("chmod 600 {}", home.path("master-key").display());
    assert_eq!(
        (&open["part"], &open["command"]),
        (&json!("configuration"), &json!(command))
    );
    assert_eq!(other["part"], "vault");
    let parts: Vec<_> = none.iter().map(|finding| finding["part"].clone()).collect();
    assert_eq!(
        (code, parts),
        (
            Some(1),
            ["configuration", "vault", "checkpoints"]
                .map(Value::from)
                .to_vec()
        )
    );
}

#[test]
fn checkpoints_of_another_log_and_a_log_behind_its_checkpoint_are_found() {
    let (home, other) = (Home::new(), Home::new());
    let [data, backup, vault] =
        ["data", "backups", "vault"].map(|name| home.path(name).display().to_string());
    let made = home.shell(&format!(
        "avow backup --out {backup} --vault-out {vault} --data-dir {data} &&
         avow tokens create --name monitoring --scope read --data-dir {data}"
    ));
    assert!(made.status.success(), "{made:?}");
    fs::copy(
        other.path("data/log/checkpoints"),
        home.path("data/log/checkpoints"),
    )
    .unwrap();
    let foreign = home.wrong("");
    fs::remove_dir_all(home.path("data/log")).unwrap();
    copy(&home.path("backup/log"), &home.path("data/log"));
    let empty = fs::read(last_segment(&home.data())).unwrap()[..128].to_vec();
    fs::write(last_segment(&home.data()), empty).unwrap();
    fs::remove_file(home.path("data/log/head")).unwrap();
    let (_, behind) = home.examined("");

    assert_eq!(foreign["part"], "checkpoints");
    let parts: Vec<_> = behind
        .iter()
        .map(|finding| finding["part"].clone())
        .collect();
    assert_eq!(
        parts,
        ["head", "checkpoints", "projections"].map(Value::from)
    );
    // The command for the checkpoints alone: the log is the older one's, whole.
    let command = behind[1]["command"].as_str().unwrap();
    let command = command.replace("BACKUP", &backup).replace("FILE", &vault);
    let restored = home.shell(&command);
    assert!(restored.status.success(), "{command}: {restored:?}");
    assert!(home.path("data/tokens.json").exists());
    assert_eq!(home.examined("--thorough"), (Some(0), Vec::new()));
}

#[test]
fn a_clock_behind_what_was_written_is_found() {
    let home = Home::new();
    let head = File::open(home.path("data/log/head")).unwrap();
    let later = avow::system::now_seconds().0 + 3_600;
    let later = UNIX_EPOCH + Duration::from_secs(later.try_into().unwrap());
    head.set_modified(later).unwrap();

    let finding = home.wrong("");

    assert_eq!(finding["part"], "clock");
    assert_eq!(finding["command"], "sudo timedatectl set-ntp true");
}

#[test]
fn a_server_with_another_time_or_none_at_all_is_found() {
    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        assert_ne!(connection.read(&mut request).unwrap(), 0);
        let body = r#"{"status":"ready","entries":20,"projected":20,"queue":0}"#;
        let head = "HTTP/1.1 200 OK\r\nDate: Fri, 01 Jan 2021 10:00:00 GMT\r\nContent-Length:";
        write!(connection, "{head} {}\r\n\r\n{body}", body.len()).unwrap();
    });

    let slow = home.wrong(&format!("--server {url}"));
    answering.join().unwrap();
    let (code, gone) = home.examined(&format!("--server {url}"));

    assert_eq!(slow["part"], "clock");
    assert_eq!(code, Some(2));
    assert_eq!(
        (&gone[0]["part"], &gone[0]["status"]),
        (&json!("server"), &json!("not_checked"))
    );
}

#[test]
fn a_running_server_is_not_disturbed_and_is_asked_for_what_it_holds() {
    let home = Home::new();
    let server = Process::start(&home.data());

    let (code, findings) = home.examined("");
    let (code_with, findings_with) = home.examined(&format!("--server {}", server.url()));

    let parts: Vec<_> = findings
        .iter()
        .map(|finding| finding["part"].clone())
        .collect();
    assert_eq!((code, parts), (Some(2), vec![json!("projections")]));
    assert_eq!((code_with, findings_with), (Some(0), Vec::new()));
    assert_eq!(server.entries(), 21, "and the policy's own");
    server.stop();
}

#[test]
fn each_finding_is_a_line_and_its_command_the_next() {
    let home = Home::new();
    set_mode(&home.path("data/vault"), 0o644);

    let output = home.shell(&format!("avow doctor --data-dir {}", home.data().display()));

    let vault = home.path("data/vault").display().to_string();
    let lines = format!(
        "✗ permissions: group or others may read {vault}, which holds the wrapped keys of all payloads\n    chmod 600 {vault}\n"
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(&lines), "{text}");
    assert!(
        text.contains("✓ journal: 20 entries; the last segment is whole\n"),
        "{text}"
    );
    assert_eq!(output.status.code(), Some(1));
}
