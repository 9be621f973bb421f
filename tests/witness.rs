//! A witness cosigns what continues the checkpoint that it cosigned last, and nothing else: after a restart, a kill at
//! the worst moment, and when two histories are submitted at once.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use avow::system::now_seconds;
use avow::transparency::add_checkpoint::AddCheckpoint;
use avow::transparency::checkpoint::SignedCheckpoint;
use avow::transparency::cosignature::cosigned_at;
use avow::transparency::hash::{Hash, TreeHead};
use avow::transparency::note::Note;
use avow::transparency::signing_key::SigningKey;
use sha2::{Digest, Sha256};
use tempfile::{TempDir, tempdir};

use crate::support::process::Process;
use crate::support::strace::{self, Call, Trace};
use crate::support::witness::{History, Setting, WITNESS, avow};

const ORIGIN: &str = "log.example/avow";
/// Half as long as many a server keeps an idle connection.
const PATIENCE: Duration = Duration::from_secs(40);
const OTHER_ORIGIN: &str = "other.example/avow";

fn submit(witness: &Process, request: &AddCheckpoint) -> (u16, String) {
    let response = witness
        .post("/add-checkpoint", request.to_string())
        .unwrap();
    (response.status().as_u16(), response.text().unwrap())
}

/// Submits what has to be cosigned, and authenticates the cosignature.
fn cosigned(setting: &Setting, witness: &Process, request: &AddCheckpoint) {
    let before = now_seconds();
    let (status, lines) = submit(witness, request);
    assert_eq!(status, 200, "{lines}");
    let cosigned = format!("{}{lines}", request.checkpoint);
    let cosigned = Note::parse(cosigned.as_bytes()).unwrap();
    let at = cosigned_at(&cosigned, setting.key().verifier_key()).unwrap();
    assert!((before..=now_seconds()).contains(&at.unwrap()));
}

/// Returns the path under which a witness shows the checkpoint that it cosigned last.
fn path_of(origin: &str) -> String {
    format!("/{}/checkpoint", hex::encode(Sha256::digest(origin)))
}

/// Returns the head that a witness shows, after authenticating both signatures.
fn shown(setting: &Setting, witness: &Process, history: &History) -> Option<TreeHead> {
    let response = witness.get(&path_of(history.vkey().name().as_str()));
    if response.status() == 404 {
        return None;
    }
    let note = Note::parse(&response.bytes().unwrap()).unwrap();
    assert!(
        cosigned_at(&note, setting.key().verifier_key())
            .unwrap()
            .is_some()
    );
    assert_eq!(note.signatures().len(), 2);
    Some(
        SignedCheckpoint::authenticate(note, history.vkey())
            .unwrap()
            .tree(),
    )
}

/// A witness that has cosigned the first 300 leaves of a log, and nothing of another one.
struct Stage {
    _directory: TempDir,
    log: History,
    unseen: History,
    setting: Setting,
    witness: Process,
}

impl Stage {
    fn new() -> Self {
        let directory = tempdir().unwrap();
        let (log, unseen) = (History::of(ORIGIN), History::of(OTHER_ORIGIN));
        let setting = Setting::of(directory.path(), &[log.vkey(), unseen.vkey()]);
        let witness = setting.start();
        cosigned(&setting, &witness, &log.request(0, 300));
        Self {
            _directory: directory,
            log,
            unseen,
            setting,
            witness,
        }
    }

    /// Asserts how each request is answered, and that none of them changes anything.
    fn refuses(&self, rows: impl IntoIterator<Item = (&'static str, String, u16)>) {
        for (what, body, status) in rows {
            let response = self.witness.post("/add-checkpoint", body).unwrap();
            assert_eq!(
                response.status(),
                status,
                "{what}: {}",
                response.text().unwrap()
            );
        }
        let head = shown(&self.setting, &self.witness, &self.log);
        assert_eq!(head, Some(self.log.head(300)));
        assert_eq!(shown(&self.setting, &self.witness, &self.unseen), None);
        cosigned(&self.setting, &self.witness, &self.log.request(300, 500));
    }
}

/// Returns a request with a checkpoint of a head that is signed by some key.
fn signed(head: TreeHead, key: &SigningKey, old_size: u64, proof: &[Hash]) -> String {
    let request = AddCheckpoint {
        old_size,
        proof: proof.to_vec(),
        checkpoint: SignedCheckpoint::sign(head, key).note().clone(),
    };
    request.to_string()
}

#[test]
fn what_is_no_request_is_answered_400_and_what_is_too_large_413() {
    let stage = Stage::new();
    let good = stage.log.request(300, 500);
    let text = good.to_string();
    let checkpoint = |text: String| {
        let checkpoint = Note::sign(text, &stage.log.key).unwrap();
        let request = AddCheckpoint {
            checkpoint,
            ..good.clone()
        };
        request.to_string()
    };
    let root = stage.log.head(500).root;
    let hashes = AddCheckpoint {
        proof: vec![Hash([1; 32]); 64],
        ..good.clone()
    };
    #[rustfmt::skip]
    let rows = [
        ("nothing",                        String::new(),                                           400),
        ("no checkpoint",                  "old 300\n\n".to_owned(),                                400),
        ("no old size",                    text.replacen("old 300\n", "", 1),                       400),
        ("an old size with a zero before", text.replacen("old 300", "old 0300", 1),                 400),
        ("an old size that is no number",  text.replacen("old 300", "old all", 1),                  400),
        ("a proof that is no base64",      text.replacen("\n\n", "\n!\n\n", 1),                    400),
        ("64 hashes",                      hashes.to_string(),                                      400),
        ("a size with a zero before",      checkpoint(format!("{ORIGIN}\n0500\n{root}\n")),         400),
        ("a root that is no hash",         checkpoint(format!("{ORIGIN}\n500\nroot\n")),            400),
        ("no root",                        checkpoint(format!("{ORIGIN}\n500\n")),                  400),
        ("no signature",                   text.split("\n— ").next().unwrap().to_owned(),           400),
        ("an old size above the new one",  stage.log.request(501, 500).to_string(),                 400),
        ("a smaller tree",                 stage.log.request(300, 200).to_string(),                 400),
        ("a body without end",             "old 0\n".repeat(60_000),                                413),
    ];

    stage.refuses(rows);
}

#[test]
fn a_log_that_is_not_watched_is_answered_404_and_a_signature_that_is_not_its_own_403() {
    let stage = Stage::new();
    let good = stage.log.request(300, 500);
    let head = stage.log.head(500);
    let stranger = SigningKey::new(ORIGIN.parse().unwrap(), &[8; 32]);
    let unknown = SigningKey::new("unknown.example/log".parse().unwrap(), &[7; 32]);
    let other_text = good.to_string().replacen("\n500\n", "\n501\n", 1);
    #[rustfmt::skip]
    let rows = [
        ("a log that is not watched",      signed(head, &unknown, 300, &good.proof),          404),
        ("another key of that name",       signed(head, &stranger, 300, &good.proof),         403),
        ("a signature for another text",   other_text,                                        403),
    ];

    stage.refuses(rows);
}

#[test]
fn what_is_not_shown_to_continue_the_log_is_answered_422() {
    let stage = Stage::new();
    let (log, unseen) = (&stage.log, &stage.unseen);
    let with = |change: fn(&mut AddCheckpoint)| {
        let mut request = log.request(300, 500);
        change(&mut request);
        request.to_string()
    };
    let elsewhere = Hash([9; 32]);
    let nothing = TreeHead {
        size: 0,
        root: elsewhere,
    };
    #[rustfmt::skip]
    let rows = [
        ("no proof",                      with(|request| request.proof.clear()),                      422),
        ("a hash too few",                with(|request| request.proof.truncate(1)),                  422),
        ("a hash too many",               with(|request| request.proof.push(Hash([1; 32]))),          422),
        ("another proof",                 with(|request| request.proof[0] = Hash([1; 32])),           422),
        ("another history",               History::forked(ORIGIN, 200).request(300, 500).to_string(), 422),
        ("another tree of the same size", History::forked(ORIGIN, 299).request(300, 300).to_string(), 422),
        ("a proof from the empty tree",   signed(unseen.head(5), &unseen.key, 0, &[elsewhere]),       422),
        ("a root of the empty tree",      signed(nothing, &unseen.key, 0, &[]),                       422),
    ];

    stage.refuses(rows);
    assert!(
        stage.witness.said().contains("a log has forked"),
        "the evidence is told"
    );
}

#[test]
fn whoever_starts_from_another_size_is_told_the_right_one_with_409() {
    let stage = Stage::new();

    for old_size in [0, 299, 301, 500] {
        let request = stage.log.request(old_size, 500).to_string();
        let response = stage.witness.post("/add-checkpoint", request).unwrap();
        assert_eq!(response.status(), 409);
        assert_eq!(response.headers()["content-type"], "text/x.tlog.size");
        assert_eq!(response.text().unwrap(), "300\n");
    }

    stage.refuses([]);
}

#[test]
fn other_paths_and_methods_are_answered_404_and_405() {
    let stage = Stage::new();

    assert_eq!(stage.witness.get("/add-checkpoint").status(), 405);
    assert_eq!(stage.witness.get("/sign-subtree").status(), 404);
    assert_eq!(stage.witness.get("/ab/checkpoint").status(), 404);
    assert_eq!(stage.witness.get("/healthz").status(), 200);
}

#[test]
fn half_a_request_behind_another_holds_no_connection() {
    let stage = Stage::new();
    let address = stage.witness.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let requests = "GET /healthz HTTP/1.1\r\nhost: witness\r\n\r\nGET /healthz HTTP/1.1\r\nho";
    stream.write_all(requests.as_bytes()).unwrap();

    let mut answers = Vec::new();
    let ended = stream.read_to_end(&mut answers);

    // Bytes that nobody reads make the end of a connection a reset.
    let is_reset = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionReset;
    assert!(ended.as_ref().err().is_none_or(is_reset), "{ended:?}");
    assert!(answers.is_empty() || answers.starts_with(b"HTTP/1.1 200 OK"));
}

#[test]
fn a_log_is_cosigned_from_its_beginning_on_and_again_at_the_same_size() {
    let directory = tempdir().unwrap();
    let log = History::of(ORIGIN);
    let setting = Setting::of(directory.path(), &[log.vkey()]);
    let witness = setting.start();

    for (old_size, size) in [
        (0, 0),
        (0, 0),
        (0, 1),
        (1, 1),
        (1, 2),
        (2, 256),
        (256, 257),
        (257, 600),
        (600, 600),
    ] {
        cosigned(&setting, &witness, &log.request(old_size, size));

        assert_eq!(shown(&setting, &witness, &log), Some(log.head(size)));
    }
}

#[test]
fn signatures_by_others_neither_help_nor_hinder_and_are_not_kept() {
    let directory = tempdir().unwrap();
    let log = History::of(ORIGIN);
    let setting = Setting::of(directory.path(), &[log.vkey()]);
    let witness = setting.start();
    let mut request = log.request(0, 5);
    let stranger = SigningKey::new("stranger.example/s".parse().unwrap(), &[8; 32]);
    let lines: String = Note::sign("another text\n".to_owned(), &stranger)
        .unwrap()
        .signatures()
        .iter()
        .map(|signature| format!("{signature}\n").repeat(63))
        .collect();
    request.checkpoint = Note::parse(format!("{}{lines}", request.checkpoint).as_bytes()).unwrap();

    let (status, told) = submit(&witness, &request);

    assert_eq!(status, 200, "{told}");
    assert_eq!(shown(&setting, &witness, &log), Some(log.head(5)));
}

#[test]
fn a_restart_keeps_the_head_so_that_neither_fork_nor_rollback_is_cosigned() {
    let directory = tempdir().unwrap();
    let (log, fork) = (History::of(ORIGIN), History::forked(ORIGIN, 100));
    let setting = Setting::of(directory.path(), &[log.vkey()]);
    let witness = setting.start();
    cosigned(&setting, &witness, &log.request(0, 300));
    witness.stop();

    let witness = setting.start();

    assert_eq!(
        submit(&witness, &fork.request(0, 300)),
        (409, "300\n".to_owned())
    );
    assert_eq!(submit(&witness, &fork.request(300, 300)).0, 422);
    assert_eq!(submit(&witness, &fork.request(300, 400)).0, 422);
    assert_eq!(
        submit(&witness, &log.request(0, 200)),
        (409, "300\n".to_owned())
    );
    assert_eq!(
        submit(&witness, &log.request(200, 200)),
        (409, "300\n".to_owned())
    );
    assert_eq!(shown(&setting, &witness, &log), Some(log.head(300)));
    cosigned(&setting, &witness, &log.request(300, 301));
}

#[test]
fn of_two_histories_that_are_submitted_at_once_one_at_most_is_cosigned() {
    let (log, fork) = (History::of(ORIGIN), History::forked(ORIGIN, 0));
    let requests: Vec<String> = (0..8)
        .map(|number| {
            [&log, &fork][number % 2]
                .request(0, 300 + u64::try_from(number).unwrap())
                .to_string()
        })
        .collect();
    for _ in 0..50 {
        let directory = tempdir().unwrap();
        let setting = Setting::of(directory.path(), &[log.vkey()]);
        let witness = setting.open().unwrap();
        let barrier = Barrier::new(requests.len());
        let submit = |request: &String| {
            barrier.wait();
            witness.add_checkpoint(request.as_bytes())
        };

        let answers: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = requests
                .iter()
                .map(|request| scope.spawn(|| submit(request)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });

        let cosigned = answers.iter().filter(|answer| answer.is_ok());
        assert_eq!(cosigned.count(), 1, "{answers:?}");
    }
}

#[test]
fn a_cosignature_leaves_only_once_its_head_is_durable() {
    if !strace::is_present() {
        return;
    }
    let directory = tempdir().unwrap();
    let log = History::of(ORIGIN);
    let setting = Setting::of(directory.path(), &[log.vkey()]);
    let trace = Trace::in_directory(directory.path());
    let calls = "fsync,fdatasync,rename,renameat,write,writev,sendto,sendmsg";
    let witness = Process::of(trace.of(&setting.command(), None, calls, None)).unwrap();

    cosigned(&setting, &witness, &log.request(0, 300));
    witness.stop();

    let calls = trace.calls();
    let after = |line: usize, is_it: &dyn Fn(&Call) -> bool| {
        let call = calls.iter().find(|call| call.began > line && is_it(call));
        call.and_then(|call| call.succeeded)
    };
    let hash = hex::encode(Sha256::digest(ORIGIN));
    let written = after(0, &|call| {
        call.text.starts_with("write(") && call.text.contains(&hash)
    });
    let synced = after(written.unwrap(), &|call| {
        call.text.starts_with("fsync(") && call.text.contains(&hash)
    });
    let renamed = after(synced.unwrap(), &|call| {
        call.text.starts_with("rename(") && call.text.contains(&hash)
    });
    let named = after(renamed.unwrap(), &|call| {
        call.text.starts_with("fsync(") && call.text.contains("/state>")
    });
    // strace writes what is not ASCII in hexadecimal: "HTTP".
    let answer = |call: &&Call| call.text.contains(r"\x48\x54\x54\x50");
    assert!(
        calls.iter().find(answer).unwrap().began > named.unwrap(),
        "{calls:#?}"
    );
}

#[test]
fn a_kill_between_any_two_steps_lets_the_same_checkpoint_be_cosigned_and_no_other() {
    if !strace::is_present() {
        return;
    }
    let (log, fork) = (History::of(ORIGIN), History::forked(ORIGIN, 100));
    let hash = hex::encode(Sha256::digest(ORIGIN));
    let unfinished = format!("state/{hash}.new");
    #[rustfmt::skip]
    let rows = [
        (Some(unfinished.as_str()), "write",  300), // the bytes are lost
        (Some(unfinished.as_str()), "fsync",  300), // they are written, and not known to be kept
        (None,                      "rename", 300), // they are kept, under a name that nobody reads
        (Some("state"),             "fsync",  500), // they have their name, and it is not known to be kept
        (None,                      "sendto", 500), // they are kept, and the cosignature is lost
    ];
    for (file, call, size) in rows {
        let directory = tempdir().unwrap();
        let setting = Setting::of(directory.path(), &[log.vkey()]);
        let witness = setting.start();
        cosigned(&setting, &witness, &log.request(0, 300));
        witness.stop();
        let file = file.map(|file| directory.path().join(file));
        let fault = format!("{call}:signal=KILL:when=1");
        let trace = Trace::in_directory(directory.path());
        let watched = trace.of(&setting.command(), file.as_deref(), call, Some(&fault));
        let witness = Process::of(watched).unwrap();
        let struck = witness.post("/add-checkpoint", log.request(300, 500).to_string());
        assert!(struck.is_err(), "{fault} struck nobody");
        witness.wait();

        let witness = setting.start();

        assert_eq!(
            shown(&setting, &witness, &log),
            Some(log.head(size)),
            "{fault}"
        );
        assert_ne!(submit(&witness, &fork.request(size, 500)).0, 200, "{fault}");
        cosigned(&setting, &witness, &log.request(size, 500));
    }
}

#[test]
fn after_a_failed_write_nothing_is_cosigned_until_a_restart() {
    if !strace::is_present() {
        return;
    }
    let log = History::of(ORIGIN);
    let unfinished = format!("state/{}.new", hex::encode(Sha256::digest(ORIGIN)));
    for (file, call) in [
        (unfinished.as_str(), "write"),
        (&unfinished, "fsync"),
        ("state", "fsync"),
    ] {
        let directory = tempdir().unwrap();
        let setting = Setting::of(directory.path(), &[log.vkey()]);
        let file = directory.path().join(file);
        let fault = format!("{call}:error=EIO:when=1");
        let trace = Trace::in_directory(directory.path());
        let watched = trace.of(&setting.command(), Some(&file), call, Some(&fault));
        let witness = Process::of(watched).unwrap();

        assert_eq!(submit(&witness, &log.request(0, 300)).0, 500, "{fault}");
        assert_eq!(submit(&witness, &log.request(0, 300)).0, 503, "{fault}");
        assert_eq!(witness.get("/healthz").status(), 503);
        witness.stop();

        let witness = setting.start();
        assert_eq!(witness.get("/healthz").status(), 200);
        let old_size = shown(&setting, &witness, &log).map_or(0, |head| head.size);
        cosigned(&setting, &witness, &log.request(old_size, 300));
    }
}

#[test]
fn a_torn_or_foreign_state_file_is_refused_and_never_taken_for_a_log_that_was_not_seen() {
    let directory = tempdir().unwrap();
    let log = History::of(ORIGIN);
    let setting = Setting::of(directory.path(), &[log.vkey()]);
    let open = || setting.open();
    open()
        .unwrap()
        .add_checkpoint(log.request(0, 300).to_string().as_bytes())
        .unwrap();
    let path = setting.state().join(hex::encode(Sha256::digest(ORIGIN)));
    let whole = fs::read(&path).unwrap();
    let torn = (0..whole.len()).map(|length| whole[..length].to_vec());
    let flipped = (0..whole.len()).map(|place| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        bytes
    });

    for bytes in torn.chain(flipped) {
        fs::write(&path, &bytes).unwrap();
        assert!(open().is_err(), "{}", String::from_utf8_lossy(&bytes));
    }
    let refused = Process::of(setting.command()).err().unwrap();

    assert_eq!(refused.status.code(), Some(2));
    let sentence = format!(
        "avow: {} is not the checkpoint of {ORIGIN} that this witness cosigned last; put the newest copy back, or begin \
         again with another key: whoever forgets may cosign a fork: ",
        path.display()
    );
    assert!(refused.stderr.contains(&sentence), "{}", refused.stderr);
    fs::write(&path, &whole).unwrap();
    assert!(open().is_ok());
}

#[test]
fn what_a_witness_cannot_begin_with_is_told() {
    let directory = tempdir().unwrap();
    let log = History::of(ORIGIN);
    let setting = |directory: &Path| Setting::of(directory, &[log.vkey()]);
    let first = setting(directory.path()).start();
    let second = Process::of(setting(directory.path()).command())
        .err()
        .unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert!(
        second.stderr.contains("is in use by another process"),
        "{}",
        second.stderr
    );
    first.stop();

    let mut twice = setting(directory.path());
    twice.logs.push(log.vkey().clone());
    let mut of_a_witness = setting(directory.path());
    of_a_witness.logs = vec![of_a_witness.key().verifier_key().clone()];
    let mut weak = setting(directory.path());
    weak.seed = "ab".repeat(32);
    for (setting, sentence) in [
        (twice, "avow: log.example/avow is named twice"),
        (
            of_a_witness,
            "avow: the key of witness.example/w1 is one of a witness, not of a log",
        ),
        (
            weak,
            "avow: the key of the witness is not 64 random hexadecimal digits",
        ),
    ] {
        let refused = Process::of(setting.command()).err().unwrap();
        assert!(refused.stderr.starts_with(sentence), "{}", refused.stderr);
        assert_eq!(refused.status.code(), Some(2));
    }
}

#[test]
fn vkey_prints_the_key_for_policies_from_a_file_that_only_its_owner_reads() {
    let directory = tempdir().unwrap();
    let log = History::of(ORIGIN);
    let setting = Setting::of(directory.path(), &[log.vkey()]);
    let key_file = setting.key_file();
    let vkey = || {
        let mut command = avow();
        command
            .args(["witness", "vkey", "--name", WITNESS, "--key-file"])
            .arg(&key_file);
        let output = command.output().unwrap();
        (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };

    let (told, _) = vkey();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(0o640)).unwrap();
    let (none, refusal) = vkey();

    assert_eq!(told, format!("{}\n", setting.key().verifier_key()));
    assert_eq!(none, "");
    assert!(
        refusal.starts_with("avow: group or others may read the file that `--key-file` names"),
        "{refusal}"
    );
}
