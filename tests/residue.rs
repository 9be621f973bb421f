//! `avow doctor --residue` finds what an erasure should have left nothing of, wherever it lies, and changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use avow::log::residue::{RemainsKind, search};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::log::{
    Home, MASTER_KEY, append_events, copy, erase, master_key, random, session_name, state,
};
use crate::support::traces::FIRST_SLOT;

const OF_SLOT: u64 = 8192 + FIRST_SLOT * 128;
const SEGMENT: &str = "log/journal/00000000000000000000.segment";

/// A data directory in which the first of five sessions is erased, one as it was before, and a file with the master key.
struct Erased {
    home: Home,
    before: Home,
    keys: TempDir,
}

impl Erased {
    fn new() -> Self {
        let home = Home::new();
        let log = home.open();
        append_events(&log, 0..5);
        log.close();
        let before = Home::copy_of(&home);
        let log = home.open();
        erase(&log, "vs_000000");
        log.close();
        Self {
            home,
            before,
            keys: TempDir::new().unwrap(),
        }
    }

    fn data_dir(&self) -> &Path {
        self.home.data_dir()
    }

    /// Copies a file as it was before the erasure to another place in the data directory.
    fn put_back(&self, from: &str, to: &str) {
        let to = self.data_dir().join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(self.before.data_dir().join(from), to).unwrap();
    }

    fn doctor(&self, flags: &[&str]) -> Output {
        let key = self.keys.path().join("master.key");
        fs::write(&key, MASTER_KEY).unwrap();
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_avow"));
        command
            .args(["doctor", "--residue", "--master-key-file"])
            .arg(&key);
        command.arg("--data-dir").arg(self.data_dir()).args(flags);
        command.env_clear().output().unwrap()
    }

    /// Returns what is found, and the exit code.
    fn found(&self) -> (Value, Option<i32>) {
        let output = self.doctor(&["--json"]);
        let report = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (report, output.status.code())
    }
}

fn remains(file: &str, offset: u64, kind: &str) -> Value {
    json!({ "file": file, "offset": offset, "key_slot": FIRST_SLOT, "kind": kind })
}

/// Returns where the payload's record of the erased session lies in the journal.
const RECORD_AT: u64 = 128;

#[test]
fn after_an_erasure_nothing_is_left() {
    let erased = Erased::new();

    let (report, code) = erased.found();
    let text = erased.doctor(&[]);

    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["remains"], json!([]));
    assert_eq!(report["erased"], 1);
    assert_eq!(
        report["unreadable_payloads"], 1,
        "sled's, whose key is gone"
    );
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.ends_with("✓ nothing is left of them\n"), "{text}");
}

#[test]
fn a_link_that_leads_in_a_circle_is_followed_once() {
    let erased = Erased::new();
    let circle = erased.data_dir().join("log/circle");
    std::os::unix::fs::symlink(erased.data_dir(), circle).unwrap();

    let (report, code) = erased.found();

    assert_eq!(code, Some(0), "{report}");
    assert_eq!(report["erased"], 1);
}

type Planting<'row> = &'row dyn Fn(&Erased);

#[test]
fn what_is_left_anywhere_is_named_with_its_file_and_offset() {
    let in_place = |erased: &Erased| {
        let vault = erased.data_dir().join("vault");
        let before = fs::read(erased.before.data_dir().join("vault")).unwrap();
        let mut bytes = fs::read(&vault).unwrap();
        let slot = usize::try_from(OF_SLOT).unwrap();
        bytes[slot..slot + 128].copy_from_slice(&before[slot..slot + 128]);
        fs::write(vault, bytes).unwrap();
    };
    let shifted = |erased: &Erased| {
        let before = fs::read(erased.before.data_dir().join("vault")).unwrap();
        let slot = usize::try_from(OF_SLOT).unwrap();
        let wrapped = [&[7; 13], &before[slot..slot + 80], &[9; 100]].concat();
        fs::write(erased.data_dir().join("notes"), wrapped).unwrap();
    };
    #[rustfmt::skip]
    let rows: [(Planting<'_>, Vec<Value>); 5] = [
        (&|erased| erased.put_back("vault", "backup/vault.1"),
            vec![remains("backup/vault.1", OF_SLOT, "wrapped_key"), sleds_payload()]),
        (&in_place,
            vec![sleds_payload(), remains("vault", OF_SLOT, "wrapped_key")]),
        (&shifted,
            vec![sleds_payload(), remains("notes", 13, "wrapped_key")]),
        (&|erased| erased.put_back(SEGMENT, SEGMENT),
            vec![remains(SEGMENT, RECORD_AT, "sealed_payload")]),
        (&|erased| erased.put_back(SEGMENT, "log/journal.old/1"),
            vec![remains("log/journal.old/1", RECORD_AT, "sealed_payload")]),
    ];
    for (plant, expected) in rows {
        let erased = Erased::new();
        plant(&erased);

        let (report, code) = erased.found();

        assert_eq!(code, Some(1), "{report}");
        let mut found = report["remains"].as_array().unwrap().clone();
        for remains in &mut found {
            // Where sled puts it is sled's matter.
            if remains["file"] == "log/sled/db" {
                *remains = sleds_payload();
            }
        }
        let sorted = |mut list: Vec<Value>| {
            list.sort_by_key(Value::to_string);
            list
        };
        assert_eq!(sorted(found), sorted(expected));
    }
}

fn sleds_payload() -> Value {
    json!("a sealed payload in sled's file, whose key is there")
}

#[test]
fn what_cannot_be_told_is_no_clean_bill() {
    let other = Home::new();
    let log = other.open();
    append_events(&log, 0..1);
    log.close();
    let erased = Erased::new();
    fs::copy(
        other.data_dir().join("vault"),
        erased.data_dir().join("stray"),
    )
    .unwrap();
    assert_eq!(erased.found().1, Some(2), "keys of another log");

    let rows = ["log/journal", "vault"];
    for row in rows {
        let erased = Erased::new();
        let path = erased.data_dir().join(row);
        fs::rename(&path, erased.keys.path().join("away")).unwrap();
        let output = erased.doctor(&[]);
        assert_eq!(output.status.code(), Some(2), "{row}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains(&path.display().to_string()), "{told}");
    }
}

#[test]
fn an_erasure_that_waits_is_counted_and_not_searched_for() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..2);
    drop(state(
        &log,
        session_name("vs_000000"),
        avow::log::Statement::Hold,
    ));
    drop(state(
        &log,
        session_name("vs_000000"),
        avow::log::Statement::Erase,
    ));
    log.close();

    let residue = search(home.data_dir(), &master_key(), |_, _| {}).unwrap();

    assert_eq!(
        (residue.waiting, residue.erased, residue.remains),
        (1, 0, Vec::new())
    );
}

#[test]
fn a_search_reads_every_byte_and_changes_none() {
    let erased = Erased::new();
    let mut noise = vec![0; 3 << 20];
    random(&mut noise).unwrap();
    fs::write(erased.data_dir().join("noise"), noise).unwrap();
    let before = contents(erased.data_dir());
    let mut last = (0, 0);

    let residue = search(erased.data_dir(), &master_key(), |done, total| {
        last = (done, total);
    })
    .unwrap();

    assert_eq!(residue.remains, []);
    assert_eq!(last.0, last.1);
    assert_eq!(last.1, 2 * residue.bytes);
    assert_eq!(contents(erased.data_dir()), before);
    erased.put_back("vault", "copy");
    let residue = search(erased.data_dir(), &master_key(), |_, _| {}).unwrap();
    assert_eq!(residue.remains[0].what, RemainsKind::WrappedKey);
}

fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let copied = TempDir::new().unwrap();
    copy(directory, copied.path());
    let mut contents = BTreeMap::new();
    let mut directories = vec![copied.path().to_owned()];
    while let Some(directory) = directories.pop() {
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(copied.path()).unwrap().to_owned();
                contents.insert(name, fs::read(path).unwrap());
            }
        }
    }
    contents
}
