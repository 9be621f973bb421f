//! The server asks its witnesses, and publishes what a quorum of them cosigned: whoever of them is down, slow or wrong.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use avow::transparency::checkpoint::SignedCheckpoint;
use avow::transparency::key::VerifierKey;
use avow::transparency::note::Note;
use avow::transparency::policy::Policy;
use tempfile::{TempDir, tempdir};

use crate::support::delivery::event;
use crate::support::ledger::Answer;
use crate::support::log::copy;
use crate::support::process::{Process, serve};
use crate::support::witness::{Setting, avow};

/// How long something may take that happens in rounds of a second; a witness that failed is left alone for some rounds.
const PATIENCE: Duration = Duration::from_mins(2);

/// A server with two witnesses, `w1` and `w2`.
struct Stage {
    directory: TempDir,
    vkey: VerifierKey,
    settings: [Setting; 2],
}

impl Stage {
    fn new() -> Self {
        let directory = tempdir().unwrap();
        let server = Process::start(&directory.path().join("data"));
        let vkey: VerifierKey = server.read("/v1/log")["vkey"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        server.stop();
        let settings = ["w1", "w2"].map(|name| {
            let home = directory.path().join(name);
            fs::create_dir(&home).unwrap();
            let mut setting = Setting::of(&home, &[&vkey]);
            name.clone_into(&mut setting.name);
            setting.seed = setting
                .seed
                .replacen("c07a", &format!("{name}00").replace('w', "a"), 1);
            setting
        });
        Self {
            directory,
            vkey,
            settings,
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Starts both witnesses, each on a port that it keeps.
    fn start_witnesses(&mut self) -> [Process; 2] {
        self.settings.each_mut().map(|setting| {
            let witness = setting.start();
            witness
                .url()
                .trim_start_matches("http://")
                .clone_into(&mut setting.listen);
            witness
        })
    }

    /// Returns the text of the policy that asks `any` or `all` of the witnesses at these URLs.
    fn policy(&self, threshold: &str, urls: [&str; 2]) -> String {
        let [first, second] = self
            .settings
            .each_ref()
            .map(|setting| setting.key().verifier_key().to_string());
        let [first_url, second_url] = urls;
        format!(
            "witness w1 {first} {first_url}\nwitness w2 {second} {second_url}\n\
             group both {threshold} w1 w2\nquorum both\n"
        )
    }

    fn command(&self, policy: &str) -> Command {
        let path = self.directory.path().join("policy");
        fs::write(&path, policy).unwrap();
        let mut command = serve(&self.data());
        command
            .arg(format!("--set=witness.policy_file={}", path.display()))
            .args(
                ["submit_interval_seconds", "timeout_seconds"]
                    .map(|name| format!("--set=witness.{name}=1")),
            );
        command
    }

    fn serve(&self, policy: &str) -> Process {
        Process::of(self.command(policy)).expect("the server serves")
    }

    fn trusted(&self, policy: &str, note: &Note) -> Option<SignedCheckpoint> {
        let policy = Policy::parse(policy.as_bytes())
            .unwrap()
            .with_log(self.vkey.clone());
        policy.authenticate(note).ok()
    }

    /// Returns what is published of this size or more once the policy trusts it, with the names of its cosigners.
    fn wait_for_cosigned(
        &self,
        server: &Process,
        policy: &str,
        size: u64,
        names: &[&str],
    ) -> SignedCheckpoint {
        wait_for(|| {
            let note = published(server);
            let checkpoint = self.trusted(policy, &note)?;
            let parsed = Policy::parse(policy.as_bytes()).unwrap();
            let cosigners = parsed.cosigners(&note).unwrap();
            let cosigners: Vec<_> = cosigners
                .iter()
                .map(|cosigner| &*cosigner.witness.name)
                .collect();
            (checkpoint.tree().size >= size && cosigners == names).then_some(checkpoint)
        })
    }
}

fn published(server: &Process) -> Note {
    Note::parse(&server.get("/checkpoint").bytes().unwrap()).unwrap()
}

/// Delivers an event, which has to be recorded, and returns the size of the log with it.
fn deliver(server: &Process, id: &str) -> u64 {
    let event = event(
        &format!("evt_{id}"),
        &format!("vs_{id}"),
        "user",
        "processing",
        10,
    );
    let answer = Answer::to(server, &serde_json::to_vec(&event).unwrap());
    let Answer::Recorded { sequence, .. } = answer else {
        panic!("{answer:?}");
    };
    sequence + 1
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "it does not happen");
        thread::yield_now();
    }
}

/// Returns the URL of a server that takes every request and answers none.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Returns the URL of a server that gives every request the same answer.
fn answering(answer: String) -> String {
    let (listener, url) = silent();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            request_in(&mut stream);
            respond(&mut stream, "200 OK", &answer);
        }
    });
    url
}

/// Returns the URL of a server that answers the first request itself, and has the server at `then` answer the others.
fn answering_once(status: &'static str, answer: &'static str, then: &str) -> String {
    let (listener, url) = silent();
    let then = then.trim_start_matches("http://").to_owned();
    thread::spawn(move || {
        let mut streams = listener.incoming().map(Result::unwrap);
        let mut first = streams.next().unwrap();
        request_in(&mut first);
        respond(&mut first, status, answer);
        for mut stream in streams {
            let request = request_in(&mut stream);
            let mut server = TcpStream::connect(&then).unwrap();
            server.write_all(&request).unwrap();
            server.shutdown(Shutdown::Write).unwrap();
            // Whoever hangs up meanwhile does not want the rest.
            drop(io::copy(&mut server, &mut stream));
        }
    });
    url
}

/// Reads a request whole.
fn request_in(stream: &mut TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(stream);
    let (mut request, mut length) = (Vec::new(), 0);
    while !request.ends_with(b"\r\n\r\n") {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        request.extend(line.as_bytes());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    [request, body].concat()
}

fn respond(stream: &mut TcpStream, status: &str, answer: &str) {
    let head = format!("connection: close\r\ncontent-length: {}", answer.len());
    let answer = format!("HTTP/1.1 {status}\r\n{head}\r\n\r\n{answer}");
    // Whoever is told too much hangs up.
    drop(stream.write_all(answer.as_bytes()));
}

/// Returns how often something was said of the second witness. The first one may miss a round on a busy machine.
fn told(said: &str, what: &str) -> usize {
    let of_second = |line: &&str| line.contains(what) && line.contains("witness=\"w2\"");
    said.lines().filter(of_second).count()
}

#[test]
fn what_all_witnesses_cosigned_is_published_as_the_log_grows_and_after_a_restart() {
    let mut stage = Stage::new();
    let [first, second] = stage.start_witnesses();
    let policy = stage.policy("all", [first.url(), second.url()]);
    let server = stage.serve(&policy);

    for id in ["a", "b"] {
        let size = deliver(&server, id);
        stage.wait_for_cosigned(&server, &policy, size, &["w1", "w2"]);
    }
    let size = deliver(&server, "c");
    server.stop();
    // Its submitter has forgotten what the witnesses know: they tell.
    let server = stage.serve(&policy);
    stage.wait_for_cosigned(&server, &policy, size, &["w1", "w2"]);
    let size = deliver(&server, "d");
    stage.wait_for_cosigned(&server, &policy, size, &["w1", "w2"]);
    server.terminate();
    let ended = server.wait();

    assert_eq!(ended.status.code(), Some(0));
    assert!(!ended.stderr.contains("ERROR"), "{}", ended.stderr);
}

#[test]
fn a_witness_that_is_down_or_silent_hinders_neither_the_log_nor_the_other_witness() {
    let (_listener, silent) = silent();
    let rows = [
        ("http://127.0.0.1:1", "it cannot be reached"),
        (&silent, "it does not answer in time"),
    ];
    for (second_url, trouble) in rows {
        let mut stage = Stage::new();
        let [first, _] = stage.start_witnesses();
        let policy = stage.policy("any", [first.url(), second_url]);
        let server = stage.serve(&policy);

        for id in ["a", "b", "c", "d"] {
            let size = deliver(&server, id);
            stage.wait_for_cosigned(&server, &policy, size, &["w1"]);
        }
        server.terminate();
        let ended = server.wait();

        assert_eq!(ended.status.code(), Some(0));
        assert_eq!(told(&ended.stderr, trouble), 1, "{}", ended.stderr);
    }
}

#[test]
fn without_a_quorum_the_last_cosigned_checkpoint_stays_until_the_witness_is_back() {
    let mut stage = Stage::new();
    let [first, second] = stage.start_witnesses();
    let policy = stage.policy("all", [first.url(), second.url()]);
    let server = stage.serve(&policy);
    let size = deliver(&server, "a");
    let before = stage.wait_for_cosigned(&server, &policy, size, &["w1", "w2"]);
    second.stop();

    let size = deliver(&server, "b");
    let shown = format!("/{}/checkpoint", origin_hash(&stage.vkey));
    wait_for(|| {
        let note = Note::parse(&first.get(&shown).bytes().unwrap()).unwrap();
        let seen = SignedCheckpoint::authenticate(note, &stage.vkey).unwrap();
        (seen.tree().size >= size).then_some(())
    });

    let still = stage.trusted(&policy, &published(&server)).unwrap();
    assert_eq!(still.tree(), before.tree());
    let _second = stage.settings[1].start();
    stage.wait_for_cosigned(&server, &policy, size, &["w1", "w2"]);
    let said = server.said();
    assert_eq!(told(&said, "it cannot be reached"), 1, "{said}");
    assert!(told(&said, "the witness cosigns again") > 0, "{said}");
}

#[test]
fn a_cosignature_that_the_witness_of_the_policy_did_not_make_counts_for_nothing() {
    let mut stage = Stage::new();
    let [first, _] = stage.start_witnesses();
    // The right name and id, over another text; the right text, by another witness; and no cosignature at all.
    let seen = Note::parse(b"text\n\n\xe2\x80\x94 w2 AAAAAAAA\n").unwrap();
    let key = stage.settings[1].key();
    let id = hex::decode(key.verifier_key().id().to_string()).unwrap();
    let forged = [id.as_slice(), &[0; 72]].concat();
    let forged = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, forged);
    let unusable = "its cosignature is not to be used";
    #[rustfmt::skip]
    let rows = [
        (answering(format!("\u{2014} w2 {forged}\n")),         unusable),
        (first.url().to_owned(),                               unusable),
        (answering(format!("{}\n", seen.signatures()[0])),      unusable),
        (answering("nothing of the kind".to_owned()),          unusable),
        (answering("\u{2014} w2 ".repeat(100_000)),            "it answers more than a cosignature can need"),
    ];
    for (url, trouble) in rows {
        let policy = stage.policy("any", [first.url(), &url]);
        let server = stage.serve(&policy);

        let size = deliver(&server, &format!("after_{}", server.entries()));
        stage.wait_for_cosigned(&server, &policy, size, &["w1"]);

        wait_for(|| (told(&server.said(), trouble) > 0).then_some(()));
        server.stop();
    }
}

#[test]
fn a_witness_that_named_a_size_beyond_the_log_once_is_asked_again() {
    let mut stage = Stage::new();
    let [first, second] = stage.start_witnesses();
    let absurd = "18446744073709551615\n";
    let second_url = answering_once("409 Conflict", absurd, second.url());
    let policy = stage.policy("all", [first.url(), &second_url]);
    let server = stage.serve(&policy);

    let size = deliver(&server, "a");

    stage.wait_for_cosigned(&server, &policy, size, &["w1", "w2"]);
    let said = server.said();
    assert_eq!(told(&said, "this log was rolled back"), 1, "{said}");
}

#[test]
fn a_log_that_was_set_back_is_not_cosigned_even_once_it_has_outgrown_its_past() {
    let mut stage = Stage::new();
    let [first, second] = stage.start_witnesses();
    let policy = stage.policy("all", [first.url(), second.url()]);
    let server = stage.serve(&policy);
    let past = deliver(&server, "a");
    server.stop();
    let backup = stage.directory.path().join("backup");
    copy(&stage.data(), &backup);
    let server = stage.serve(&policy);
    let size = deliver(&server, "b");
    stage.wait_for_cosigned(&server, &policy, size, &["w1", "w2"]);
    server.stop();

    fs::remove_dir_all(stage.data()).unwrap();
    copy(&backup, &stage.data());
    let server = stage.serve(&policy);
    wait_for(|| {
        server
            .said()
            .contains("this log was rolled back")
            .then_some(())
    });
    deliver(&server, "c");
    deliver(&server, "d");
    wait_for(|| {
        server
            .said()
            .contains("does not continue the checkpoint")
            .then_some(())
    });

    let trusted = stage.trusted(&policy, &published(&server));
    assert!(trusted.is_none_or(|checkpoint| checkpoint.tree().size <= past));
}

#[test]
fn a_policy_that_cannot_be_followed_is_refused_with_a_sentence() {
    let stage = Stage::new();
    let url = "http://127.0.0.1:1";
    let good = stage.policy("all", [url, url]);
    let other_log = stage.settings[0].key();
    let other_log = avow::transparency::signing_key::SigningKey::new(
        other_log.verifier_key().name().clone(),
        &[1; 32],
    );
    #[rustfmt::skip]
    let rows = [
        (format!("log {}\n{good}", other_log.verifier_key()), format!("the policy names other logs than this one; add the line `log {}`", stage.vkey)),
        (stage.policy("all", [url, ""]),                      "the witnesses with a URL in the policy are too few to meet its quorum".to_owned()),
        (stage.policy("all", [url, "ftp://127.0.0.1"]),       "the URL of the witness w2 in the policy is not of the form https://".to_owned()),
        ("quorum w1\n".to_owned(),                            "the file that `witness.policy_file` names cannot be used: line 1 of the policy: no earlier line defines the name w1".to_owned()),
    ];
    for (policy, sentence) in rows {
        let refused = Process::of(stage.command(&policy)).err().unwrap();
        assert!(refused.stderr.contains(&sentence), "{}", refused.stderr);
        assert_eq!(refused.status.code(), Some(2));
    }

    let mut slow = avow();
    slow.args(["config", "--set=witness.timeout_seconds=9"]);
    let slow = slow.output().unwrap();
    let told = String::from_utf8(slow.stderr).unwrap();
    assert_eq!(slow.status.code(), Some(1));
    assert!(
        told.starts_with("avow: `witness.timeout_seconds` is 9, more than `witness.submit_interval_seconds` with 5"),
        "{told}"
    );
}

fn origin_hash(vkey: &VerifierKey) -> String {
    hex::encode(<sha2::Sha256 as sha2::Digest>::digest(vkey.name().as_str()))
}
