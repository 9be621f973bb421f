//! A real log in a temporary directory, and really signed deliveries for it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use avow::log::entry::{Entry, SubjectName};
use avow::log::keys::MasterKey;
use avow::log::{
    AppendError, Appended, Log, OpenError, Options, Prepared, RandomError, Repairs, Stated,
    Statement, Words,
};
use avow::stripe::decode::{Decoded, decode};
use avow::stripe::secret::Secrets;
use avow::stripe::signature::{AuthenticatedPayload, Delivery, authenticate, sign};
use avow::stripe::user_reference::UserReferenceSource;
use state_machine::id::{SequenceNumber, SessionId, World};
use state_machine::time::{ReceivedAt, Timestamp};
use tempfile::TempDir;

pub(crate) const MASTER_KEY: &str =
    "4f1c9ab2d35e6708915a2c7de0b4836f7712fe08c95bd4a13e6907cb28f5d1e0";
/// When everything here is signed and received.
pub(crate) const NOW: i64 = 1_760_000_000;

/// A log's directory, which outlives the log.
pub(crate) struct Home {
    directory: TempDir,
    pub(crate) options: Options,
}

impl Home {
    pub(crate) fn new() -> Self {
        let options = Options {
            journal_segment_bytes: 24 * 1024,
            disk_free_bytes_min: 0,
            ballast_bytes: 0,
            ..Options::new(random, avow::system::now)
        };
        Self {
            directory: TempDir::new().unwrap(),
            options,
        }
    }

    /// Returns a home in memory, where there is room for one: a law needs many, and no disk.
    pub(crate) fn in_memory() -> Self {
        let in_memory = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
        Self {
            directory: in_memory.unwrap(),
            ..Self::new()
        }
    }

    /// Returns the data directory: the log's, and its vault beside it.
    pub(crate) fn data_dir(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    pub(crate) fn try_open(&self) -> Result<(Log, Repairs), OpenError> {
        Log::open(&self.path(), &master_key(), self.options.clone())
    }

    /// Opens the log and returns what was mended, as sentences.
    pub(crate) fn open_mended(&self) -> (Log, Vec<String>) {
        let (log, repairs) = self.try_open().unwrap();
        (log, repairs.iter().map(ToString::to_string).collect())
    }

    /// Opens a log that needs no mending.
    pub(crate) fn open(&self) -> Log {
        let (log, repairs) = self.open_mended();
        assert_eq!(repairs, Vec::<String>::new());
        log
    }

    /// Returns a home with a copy of another's files, its vault's among them.
    pub(crate) fn copy_of(other: &Self) -> Self {
        let home = Self {
            options: other.options.clone(),
            ..Self::new()
        };
        copy(other.directory.path(), home.directory.path());
        home
    }
}

pub(crate) fn master_key() -> MasterKey {
    MasterKey::parse(MASTER_KEY).unwrap()
}

pub(crate) fn random(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(|_| RandomError)
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy(&file.path(), &to);
        } else {
            fs::copy(file.path(), to).unwrap();
        }
    }
}

/// Returns a body with this much noise, which nothing makes shorter.
pub(crate) fn long_body(number: u64, noise_bytes: usize) -> String {
    let mut noise = vec![0; noise_bytes];
    random(&mut noise).unwrap();
    numbered_body(number).replace("MARKERURL", &hex::encode(noise))
}

/// How many entries [`open_without_entry_1`] appends.
const ENTRIES: u64 = 1_280;

/// Opens a log whose sled loses entry 1 once it is open; returns its body, too. An opening reads the last 1,024 entries in
/// sled, and every few of those before; entry 1 fills more than a page, so that what is read beside it has not all of it.
pub(crate) fn open_without_entry_1(home: &Home) -> (Log, String) {
    let log = home.open();
    let body = long_body(1, 256 * 1024);
    append_events(&log, 0..1);
    append(&log, &body);
    append_events(&log, 2..ENTRIES);
    log.close();
    let log = home.open();
    let file = File::options()
        .write(true)
        .open(home.path().join("sled/db"))
        .unwrap();
    let bytes = usize::try_from(file.metadata().unwrap().len()).unwrap();
    file.write_all_at(&vec![0; bytes], 0).unwrap();
    (log, body)
}

/// An event of session `vs_<session>` as Stripe would send it, pretty-printed.
pub(crate) fn event_body(id: &str, session: &str, status: &str) -> String {
    format!(
        r#"{{
  "id": "{id}",
  "object": "event",
  "api_version": "2026-10-28.endive",
  "created": 1760000075,
  "data": {{
    "object": {{
      "id": "vs_{session}",
      "object": "identity.verification_session",
      "client_reference_id": null,
      "client_secret": "vs_{session}_secret_test_MARKERSECRET",
      "created": 1760000000,
      "last_error": null,
      "last_verification_report": "vr_{session}",
      "livemode": false,
      "metadata": {{
        "user_id": "MARKERUSER_{session}"
      }},
      "options": {{}},
      "provided_details": {{
        "email": "MARKEREMAIL@example.com"
      }},
      "redaction": null,
      "status": "{status}",
      "type": "document",
      "url": "https://verify.stripe.com/start/MARKERURL"
    }}
  }},
  "livemode": false,
  "pending_webhooks": 1,
  "request": {{
    "id": null,
    "idempotency_key": null
  }},
  "type": "identity.verification_session.verified"
}}"#
    )
}

/// Signs and authenticates a body, and hands it on.
pub(crate) fn authenticated<T>(
    body: &[u8],
    use_payload: impl FnOnce(&AuthenticatedPayload<'_>) -> T,
) -> T {
    let secrets = Secrets::parse("whsec_test_secret").unwrap();
    let header = sign(secrets.iter().next().unwrap(), Timestamp(NOW), body);
    let delivery = Delivery {
        signature_header: Some(header.as_bytes()),
        body,
        received_at: ReceivedAt(NOW * 1000),
    };
    use_payload(&authenticate(delivery, &secrets, 300).unwrap())
}

pub(crate) fn prepare(log: &Log, body: &[u8]) -> Prepared {
    authenticated(body, |payload| {
        match decode(
            payload,
            &[UserReferenceSource::Metadata("user_id".to_owned())],
        ) {
            Decoded::Event(event) => log.prepare_event(payload, *event).unwrap(),
            Decoded::Unreadable(unreadable) => log.prepare_unreadable(payload, unreadable).unwrap(),
            Decoded::Foreign { event_type } => panic!("{event_type} is not kept"),
        }
    })
}

/// Queues bodies together and waits for what became of each.
pub(crate) fn append_all(log: &Log, bodies: &[String]) -> Vec<Result<Appended, AppendError>> {
    let answers: Vec<_> = bodies
        .iter()
        .map(|body| {
            let (sender, receiver) = mpsc::channel();
            log.append(prepare(log, body.as_bytes()), move |result| {
                sender.send(result).unwrap();
            });
            receiver
        })
        .collect();
    answers
        .into_iter()
        .map(|receiver| receiver.recv().unwrap())
        .collect()
}

/// Appends the events of `ids` in one commit, by keeping the sequencer busy with a duplicate until all of
/// them wait.
pub(crate) fn append_group(log: &Log, ids: std::ops::Range<u64>) {
    let (release, released) = mpsc::channel::<()>();
    let (busy, is_busy) = mpsc::channel();
    log.append(prepare(log, numbered_body(0).as_bytes()), move |_| {
        busy.send(()).unwrap();
        released.recv().unwrap();
    });
    is_busy.recv().unwrap();
    let (sender, answers) = mpsc::channel();
    for number in ids.clone() {
        let sender = sender.clone();
        log.append(
            prepare(log, numbered_body(number).as_bytes()),
            move |result| {
                sender.send(result.unwrap().sequence.0).unwrap();
            },
        );
    }
    release.send(()).unwrap();
    assert!(answers.iter().take(ids.clone().count()).eq(ids));
}

pub(crate) fn append(log: &Log, body: &str) -> Appended {
    append_all(log, &[body.to_owned()]).remove(0).unwrap()
}

/// Appends `count` events of their own, each in a commit of its own.
pub(crate) fn append_events(log: &Log, ids: std::ops::Range<u64>) {
    for number in ids {
        let appended = append(log, &numbered_body(number));
        assert_eq!(
            (appended.sequence, appended.duplicate),
            (SequenceNumber(number), false)
        );
    }
}

pub(crate) fn numbered_body(number: u64) -> String {
    event_body(
        &format!("evt_{number:06}"),
        &format!("{number:06}"),
        "verified",
    )
}

/// Asserts that the log holds exactly the events that [`append_events`] made for `0..count`, payloads
/// included.
pub(crate) fn assert_holds_events(log: &Log, count: u64) {
    let entries: Vec<_> = log
        .entries_from(SequenceNumber(0))
        .map(Result::unwrap)
        .collect();
    assert_eq!(entries.len(), usize::try_from(count).unwrap());
    for (number, entry) in (0..).zip(&entries) {
        assert_eq!(entry.leaf.sequence, SequenceNumber(number));
        assert_eq!(body_of(log, entry), numbered_body(number));
    }
}

/// States something about a subject, and waits for what became of it.
pub(crate) fn state(
    log: &Log,
    name: SubjectName,
    statement: Statement,
) -> Result<Stated, AppendError> {
    let (subject, _) = log.subject(name).unwrap().expect("something is kept of it");
    let words = Words {
        actor: "an operator".to_owned(),
        reason: "a test".to_owned(),
        token: None,
    };
    let (sender, answer) = mpsc::channel();
    let reply = move |stated| sender.send(stated).unwrap();
    log.state(subject, statement, &words, reply).unwrap();
    answer.recv().expect("it is answered")
}

/// Erases a session, and returns the entry that says so.
pub(crate) fn erase(log: &Log, session: &str) -> SequenceNumber {
    match state(log, session_name(session), Statement::Erase).unwrap() {
        Stated::Erased { done, .. } => done,
        other @ (Stated::Held(_) | Stated::Released(_) | Stated::Waiting { .. }) => {
            panic!("{session} is not erased: {other:?}")
        }
    }
}

/// Returns the name of a session of the platform's test mode.
pub(crate) fn session_name(session: &str) -> SubjectName {
    let world = World {
        livemode: false,
        account: None,
    };
    SubjectName::Session(world, SessionId::parse(session).unwrap())
}

pub(crate) fn body_of(log: &Log, entry: &Entry) -> String {
    String::from_utf8(log.open_payload(entry).unwrap().body).unwrap()
}
