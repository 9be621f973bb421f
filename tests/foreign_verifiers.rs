//! Programs that share no line with Avow audit a log that a real server wrote: Go's own implementation of transparency
//! logs and Sigstore's client for Node accept it, and refuse each way of tampering with it.
//! `tests/verifiers/install` brings them; a person may do without, continuous integration may not.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use avow::transparency::key::VerifierKey;
use serde_json::json;
use tempfile::{TempDir, tempdir};

use crate::support::delivery::{Delivery, deliver_numbered, event};
use crate::support::log::copy;
use crate::support::mirror::{Mirror, checkpoint_of, receipt_path, vkey};
use crate::support::process::Process;
use crate::support::tools;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const GO_PATH: &str = "/usr/share/gocode";
/// Where Go's own log library lies there.
const GO_LIBRARY: &str = "src/golang.org/x/mod/sumdb/tlog";

/// How long the log was when a checkpoint of it was kept.
const OLDER_SIZE: u64 = 5;
/// A full tile, some of a second, and so a level above.
const SIZE: u64 = 300;

/// A log that a server wrote, and checkpoints that somebody kept.
struct Written {
    mirror: Mirror,
    /// An earlier checkpoint of it.
    older: String,
    /// What a copy of it signed after it had gone another way.
    forked: String,
    /// The key of another log.
    other: VerifierKey,
}

static WRITTEN: LazyLock<Written> = LazyLock::new(|| {
    let [directory, copied, empty] = [(); 3].map(|()| tempdir().unwrap());
    let server = Process::start(directory.path());
    let older = grow(&server, 0..OLDER_SIZE);
    server.stop();
    copy(directory.path(), copied.path());
    let server = Process::start(copied.path());
    let forked = grow(&server, 100..100 + OLDER_SIZE);
    server.stop();

    let server = Process::start(directory.path());
    // The first entry is the policy's; one is erased, and the erasure makes three.
    let mut redacted = event("evt_redacted", "vs_1", "u", "redacted", 20);
    redacted["data"]["object"]["redaction"] = json!({ "status": "redacted" });
    let response = server.deliver(&Delivery::event(&redacted)).unwrap();
    assert_eq!(response.status(), 200);
    grow(&server, OLDER_SIZE..SIZE - 4);
    let get = |path: &str| server.get(path);
    checkpoint_of(get, SIZE);
    Written {
        mirror: Mirror::of(get),
        older,
        forked,
        other: vkey(|path| Process::start(empty.path()).get(path)),
    }
});

/// Delivers an event of each number, and returns the checkpoint that covers them.
fn grow(server: &Process, numbers: Range<u64>) -> String {
    deliver_numbered(numbers, |delivery| {
        server.deliver(delivery).unwrap().status().as_u16()
    });
    checkpoint_of(|path| server.get(path), server.entries())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verifier {
    Go,
    Sigstore,
}

/// How a verifier ended, and what it said.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Accepted(String),
    Refused(String),
}

impl Verifier {
    /// Returns those that are installed.
    fn installed() -> impl Iterator<Item = Self> {
        let script = "tests/verifiers/install";
        [Self::Go, Self::Sigstore]
            .into_iter()
            .filter(move |verifier| tools::is_present(verifier.name(), verifier.is_there(), script))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Go => "Go with golang.org/x/mod",
            Self::Sigstore => "Sigstore's client for Node",
        }
    }

    fn is_there(self) -> bool {
        match self {
            Self::Go => {
                let mut version = Command::new("go");
                version.arg("version").stdout(Stdio::null());
                let runs = version.status().is_ok_and(|status| status.success());
                runs && Path::new(GO_PATH).join(GO_LIBRARY).exists()
            }
            Self::Sigstore => folder().join("sigstore.installed").exists(),
        }
    }

    fn run(self, base: &str, vkey: &VerifierKey) -> Verdict {
        Verdict::of(self.command().arg(base).arg(vkey.to_string()))
    }

    fn command(self) -> Command {
        match self {
            Self::Go => Command::new(&*GO_PROGRAM),
            Self::Sigstore => {
                let mut node = Command::new("node");
                node.arg(format!("{ROOT}/tests/verifiers/sigstore/verify.js"))
                    .env("NODE_PATH", folder().join("node_modules"));
                node
            }
        }
    }
}

impl Verdict {
    fn of(command: &mut Command) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        let [stdout, stderr] = [stdout, stderr].map(|text| String::from_utf8(text).unwrap());
        match status.code() {
            Some(0) => Self::Accepted(stdout),
            Some(1) => Self::Refused(stderr),
            _ => panic!("{status}: {stderr}"),
        }
    }

    fn accepted(size: u64) -> Self {
        Self::Accepted(format!("accepted: {size} entries\n"))
    }

    fn assert_refused(&self, words: &str, what: &str) {
        let Self::Refused(reason) = self else {
            panic!("{what} is accepted");
        };
        assert!(reason.starts_with("refused: "), "{what}: {reason}");
        assert!(reason.contains(words), "{what}: {reason}");
    }
}

/// Cargo's folder for the files of tests stands directly in the target directory, as the verifiers' folder does.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("verifiers")
}

/// The program for Go, built from source and without a network.
static GO_PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let program = folder().join("verify");
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([program.as_os_str(), ".".as_ref()])
        .current_dir(format!("{ROOT}/tests/verifiers/go"))
        .env("GO111MODULE", "off")
        .env("GOPATH", GO_PATH)
        .env("GOPROXY", "off")
        .env("CGO_ENABLED", "0")
        .env("GOCACHE", folder().join("go-cache"))
        .env_remove("GOFLAGS")
        .status()
        .unwrap();
    assert!(built.success());
    program
});

fn written(mirror: &Mirror) -> TempDir {
    let directory = tempdir().unwrap();
    mirror.write(directory.path());
    directory
}

#[test]
fn foreign_verifiers_accept_what_a_server_serves() {
    let directory = tempdir().unwrap();
    let server = Process::start(directory.path());
    grow(&server, 0..OLDER_SIZE);
    let vkey = vkey(|path| server.get(path));
    for verifier in Verifier::installed() {
        let verdict = verifier.run(server.url(), &vkey);

        // The policy's entry, and one for each event.
        let size = OLDER_SIZE + 1;
        assert_eq!(verdict, Verdict::accepted(size), "{verifier:?}");
    }
}

#[test]
fn foreign_verifiers_accept_a_copy_of_a_log() {
    for verifier in Verifier::installed() {
        let Written { mirror, .. } = &*WRITTEN;
        let copy = written(mirror);

        let verdict = verifier.run(copy.path().to_str().unwrap(), &mirror.vkey);

        assert_eq!(verdict, Verdict::accepted(SIZE), "{verifier:?}");
    }
}

/// What is done to a file.
type Tampering = fn(&mut Vec<u8>);

#[test]
fn foreign_verifiers_refuse_every_copy_that_was_tampered_with() {
    let receipt_7 = receipt_path(7);
    let wrong_leaf = "the entries: the first 300 hash to";
    let wrong_tile = "holds other hashes than the entries have";
    let wrong_root = "calculated root hash does not match";
    let wrong_proof = "the receipt of entry 7: invalid transparency proof";
    let wrong_signature = "invalid signature for key";
    let unsigned = "invalid checkpoint signature";
    // What Go has to say, and Sigstore, which reads no tiles.
    #[rustfmt::skip]
    let rows: [(&str, &str, Tampering, &str, &str); 15] = [
        ("a signature",             "checkpoint",             |file| flip_signature(file), wrong_signature,            unsigned),
        ("a root",                  "checkpoint",             |file| flip_line(file, 2),   wrong_signature,            unsigned),
        ("a size",                  "checkpoint",             |file| replace(file, "\n300\n", "\n299\n"), wrong_signature, unsigned),
        ("an origin",               "checkpoint",             |file| flip(file, 0),        wrong_signature,            unsigned),
        ("a leaf",                  "tile/entries/000",       |file| flip(file, 50),       wrong_leaf,                 wrong_root),
        ("a leaf of the end",       "tile/entries/001.p/44",  |file| flip_last(file),      wrong_leaf,                 wrong_root),
        ("two leaves",              "tile/entries/000",       swap_first_leaves,           wrong_leaf,                 wrong_root),
        ("a leaf that is gone",     "tile/entries/000",       drop_first_leaf,             "ends before its last entry", wrong_root),
        ("a hash",                  "tile/0/000",             |file| flip(file, 100),      wrong_tile,                 ""),
        ("a hash at the edge",      "tile/0/001.p/44",        |file| flip_last(file),      wrong_tile,                 ""),
        ("a hash above",            "tile/1/000.p/1",         |file| flip(file, 31),       wrong_tile,                 ""),
        ("an index",                &receipt_7,               |file| replace(file, "index 7\n", "index 8\n"), "it is that of entry 8", "that of entry 8"),
        ("a sibling",               &receipt_7,               |file| flip_line(file, 2),   wrong_proof,                wrong_root),
        ("a sibling that is gone",  &receipt_7,               |file| drop_line(file, 2),   wrong_proof,                "invalid hash count"),
        ("a receipt's signature",   &receipt_7,               |file| flip_signature(file), wrong_signature,            unsigned),
    ];
    for verifier in Verifier::installed() {
        let Written { mirror, .. } = &*WRITTEN;
        let copy = written(mirror);
        for (what, path, tamper, go, sigstore) in rows {
            let words = match verifier {
                Verifier::Go => go,
                Verifier::Sigstore => sigstore,
            };
            let honest = &mirror.files[path];
            let mut tampered = honest.clone();
            tamper(&mut tampered);
            assert_ne!(tampered, *honest, "{what}");

            fs::write(copy.path().join(path), &tampered).unwrap();
            let verdict = verifier.run(copy.path().to_str().unwrap(), &mirror.vkey);
            fs::write(copy.path().join(path), honest).unwrap();

            if words.is_empty() {
                assert_eq!(verdict, Verdict::accepted(SIZE), "{verifier:?}: {what}");
            } else {
                verdict.assert_refused(words, &format!("{verifier:?}: {what}"));
            }
        }
    }
}

#[test]
fn foreign_verifiers_refuse_a_receipt_under_another_entrys_index() {
    for verifier in Verifier::installed() {
        let Written { mirror, .. } = &*WRITTEN;
        let mut receipt = mirror.files[&receipt_path(8)].clone();
        replace(&mut receipt, "index 8\n", "index 7\n");
        let copy = written(mirror);
        fs::write(copy.path().join(receipt_path(7)), receipt).unwrap();
        let words = match verifier {
            Verifier::Go => "the receipt of entry 7: invalid transparency proof",
            Verifier::Sigstore => "the receipt of entry 7: calculated root hash",
        };

        let verdict = verifier.run(copy.path().to_str().unwrap(), &mirror.vkey);

        verdict.assert_refused(words, &format!("{verifier:?}"));
    }
}

#[test]
fn foreign_verifiers_refuse_the_key_of_another_log() {
    for verifier in Verifier::installed() {
        let Written { mirror, other, .. } = &*WRITTEN;
        let copy = written(mirror);
        let words = match verifier {
            Verifier::Go => "the checkpoint: note has no verifiable signatures",
            Verifier::Sigstore => "invalid checkpoint signature",
        };

        let verdict = verifier.run(copy.path().to_str().unwrap(), other);

        verdict.assert_refused(words, &format!("{verifier:?}"));
    }
}

#[test]
fn go_finds_a_log_consistent_with_what_it_signed_before_and_with_no_fork() {
    for verifier in Verifier::installed().filter(|verifier| *verifier == Verifier::Go) {
        let Written {
            mirror,
            older,
            forked,
            ..
        } = &*WRITTEN;
        let copy = written(mirror);
        let kept = copy.path().join("kept");
        let verify = |checkpoint: &str| {
            fs::write(&kept, checkpoint).unwrap();
            let mut command = verifier.command();
            let command = command.arg(copy.path()).arg(mirror.vkey.to_string());
            Verdict::of(command.arg(&kept))
        };

        assert_eq!(verify(older), Verdict::accepted(SIZE));
        verify(forked).assert_refused(
            "the older checkpoint: invalid transparency proof",
            "a fork of the same key",
        );
        verify(&older.replacen("\n6\n", "\n5\n", 1))
            .assert_refused("the older checkpoint: invalid signature", "another size");
    }
}

fn flip(file: &mut [u8], at: usize) {
    file[at] ^= 1;
}

fn flip_last(file: &mut [u8]) {
    let last = file.len() - 1;
    flip(file, last);
}

/// Changes the signature in the last line, but not the id of the key before it.
fn flip_signature(note: &mut [u8]) {
    let at = note.len() - 20;
    exchange(&mut note[at]);
}

/// Changes a line in base64, which stays base64.
fn flip_line(text: &mut [u8], line: usize) {
    let starts = text.split(|byte| *byte == b'\n').take(line);
    let start: usize = starts.map(|line| line.len() + 1).sum();
    exchange(&mut text[start + 5]);
}

fn exchange(character: &mut u8) {
    *character = if *character == b'A' { b'B' } else { b'A' };
}

fn drop_line(text: &mut Vec<u8>, line: usize) {
    let lines = text.split_inclusive(|byte| *byte == b'\n').enumerate();
    let kept = lines.filter(|(number, _)| *number != line);
    *text = kept.flat_map(|(_, line)| line).copied().collect();
}

fn replace(text: &mut Vec<u8>, from: &str, to: &str) {
    let changed = String::from_utf8(text.clone()).unwrap();
    *text = changed.replacen(from, to, 1).into_bytes();
}

/// Returns how long a leaf is with its length before it.
fn leaf_end(bundle: &[u8]) -> usize {
    2 + usize::from(u16::from_be_bytes([bundle[0], bundle[1]]))
}

fn swap_first_leaves(bundle: &mut Vec<u8>) {
    let (first, rest) = bundle.split_at(leaf_end(bundle));
    let (second, rest) = rest.split_at(leaf_end(rest));
    *bundle = [second, first, rest].concat();
}

fn drop_first_leaf(bundle: &mut Vec<u8>) {
    *bundle = bundle.split_off(leaf_end(bundle));
}
