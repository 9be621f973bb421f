//! How long the erasure of one session takes in a log of some 100 MB, beside the syncs that it cannot do without: those
//! of the wish, of the vault, of the blanked payloads and of the end. Both take turns in one run; medians are compared.

#![expect(clippy::print_stdout, reason = "output is its purpose")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use avow::log::entry::SubjectName;
use avow::log::keys::MasterKey;
use avow::log::{Log, Options, Prepared, RandomError, Stated, Statement, Words};
use avow::stripe::decode::{Decoded, decode};
use avow::stripe::secret::Secrets;
use avow::stripe::signature::{Delivery, authenticate, sign};
use avow::stripe::user_reference::UserReferenceSource;
use rustix::fs::FallocateFlags;
use state_machine::id::{SessionId, World};
use state_machine::time::{ReceivedAt, Timestamp};

const NOW: i64 = 1_760_000_000;
const SESSIONS: u64 = 40_000;
const EVENTS: [&str; 4] = ["created", "processing", "requires_input", "verified"];
/// Divides the number of sessions.
const SESSIONS_AT_ONCE: usize = 200;
const ERASURES: u64 = 300;
/// An erasure's own; one more for each further segment of the journal that holds a payload of the session.
const SYNCS: u32 = 4;
const TARGET: Duration = Duration::from_millis(10);
const RAW_BYTES: u64 = 64 * 1024 * 1024;

/// The allocator of the `avow` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let directory = std::env::args_os()
        .nth(1)
        .filter(|path| Path::new(path).is_dir());
    let directory =
        tempfile::tempdir_in(directory.unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into()))
            .unwrap();
    let path = directory.path().join("log");
    let key = MasterKey::parse("4f1c9ab2d35e6708915a2c7de0b4836f7712fe08c95bd4a13e6907cb28f5d1e0");
    let options = Options::new(random, avow::system::now);
    let (log, _) = Log::open(&path, &key.unwrap(), options).unwrap();
    fill(&log);
    let journal: u64 = fs::read_dir(path.join("journal"))
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    println!(
        "{} entries of {SESSIONS} sessions, a journal of {} MB",
        log.size(),
        journal / 1_000_000
    );
    let raw = raw_file(&directory.path().join("raw"));

    let (mut erasures, mut syncs) = (Vec::new(), Vec::new());
    for number in 0..ERASURES {
        let session = number * (SESSIONS / ERASURES);
        syncs.push(timed(|| sync_raw(&raw, number)));
        erasures.push(timed(|| erase(&log, session)));
    }

    print(erasures, syncs);
}

fn print(erasures: Vec<Duration>, syncs: Vec<Duration>) {
    let beyond = erasures
        .iter()
        .zip(&syncs)
        .map(|(erasure, syncs)| erasure.saturating_sub(*syncs));
    let beyond = median(beyond.collect());
    let (erasure, syncs) = (median(erasures), median(syncs));
    println!("medians of {ERASURES}:");
    println!("one erasure               {erasure:>10.2?}");
    println!("{SYNCS} writes, each synced     {syncs:>10.2?}");
    println!("an erasure beyond these   {beyond:>10.2?}   target: below {TARGET:?}");
    println!(
        "ratio                     {:>9.2}",
        erasure.as_secs_f64() / syncs.as_secs_f64()
    );
}

/// Appends the events of every session, those of one together.
fn fill(log: &Log) {
    let (sender, answers) = mpsc::channel();
    for first in (0..SESSIONS).step_by(SESSIONS_AT_ONCE) {
        for session in (first..SESSIONS).take(SESSIONS_AT_ONCE) {
            for name in EVENTS {
                let sender = sender.clone();
                log.append(prepare(log, &body(session, name)), move |appended| {
                    sender.send(appended.map(drop)).unwrap();
                });
            }
        }
        answers
            .iter()
            .take(SESSIONS_AT_ONCE * EVENTS.len())
            .for_each(Result::unwrap);
    }
    while log.health().store_behind_entries > 0 {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn erase(log: &Log, session: u64) {
    let world = World {
        livemode: false,
        account: None,
    };
    let name = SubjectName::Session(world, SessionId::parse(&session_id(session)).unwrap());
    let (subject, _) = log.subject(name).unwrap().unwrap();
    let words = Words {
        actor: "a bench".to_owned(),
        reason: "to be timed".to_owned(),
        token: None,
    };
    let (sender, answer) = mpsc::channel();
    let reply = move |stated| sender.send(stated).unwrap();
    log.state(subject, Statement::Erase, &words, reply).unwrap();
    let stated = answer.recv().unwrap().unwrap();
    assert!(matches!(stated, Stated::Erased { .. }));
}

/// Makes a file like a segment of the journal: allocated, and written here and there.
fn raw_file(path: &Path) -> File {
    let file = File::create(path).unwrap();
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RAW_BYTES).unwrap();
    file.sync_all().unwrap();
    file
}

fn sync_raw(file: &File, number: u64) {
    for sync in 0..u64::from(SYNCS) {
        let place = (number * 7 + sync * 1009) * 4096 % RAW_BYTES;
        file.write_all_at(&[7; 512], place).unwrap();
        file.sync_data().unwrap();
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn median(mut durations: Vec<Duration>) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}

fn session_id(session: u64) -> String {
    format!("vs_1Mbench{session:016}")
}

fn body(session: u64, name: &str) -> String {
    let (id, status) = (
        session_id(session),
        name.replace("created", "requires_input"),
    );
    format!(
        r#"{{"id":"evt_{session}_{name}","object":"event","api_version":"2026-10-28.endive","created":{NOW},
"livemode":false,"pending_webhooks":1,"request":{{"id":null,"idempotency_key":null}},
"type":"identity.verification_session.{name}","data":{{"object":{{"id":"{id}",
"object":"identity.verification_session","created":{NOW},"client_reference_id":null,
"client_secret":"{id}_secret_test_bench","last_error":null,"last_verification_report":null,"livemode":false,
"metadata":{{"user_id":"user_{session}"}},"options":{{}},"provided_details":{{"email":"user_{session}@example.com"}},
"redaction":null,"related_customer":null,"status":"{status}","type":"document","url":null}}}}}}"#
    )
}

fn prepare(log: &Log, body: &str) -> Prepared {
    let secrets = Secrets::parse("whsec_bench_secret").unwrap();
    let header = sign(
        secrets.iter().next().unwrap(),
        Timestamp(NOW),
        body.as_bytes(),
    );
    let delivery = Delivery {
        signature_header: Some(header.as_bytes()),
        body: body.as_bytes(),
        received_at: ReceivedAt(NOW * 1000),
    };
    let payload = authenticate(delivery, &secrets, 300).unwrap();
    match decode(
        &payload,
        &[UserReferenceSource::Metadata("user_id".to_owned())],
    ) {
        Decoded::Event(event) => log.prepare_event(&payload, *event).unwrap(),
        Decoded::Unreadable(_) | Decoded::Foreign { .. } => panic!("no event: {body}"),
    }
}

fn random(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(|_| RandomError)
}
