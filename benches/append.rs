//! How fast the log appends, as a ratio to the least that durability costs: a raw file, written and synced in
//! groups by one thread behind the same queue. Slices of both take turns in one run; medians are compared.

#![expect(clippy::print_stdout, reason = "output is its purpose")]
#![expect(clippy::too_many_lines, reason = "a whole body as Stripe prints it")]

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use avow::log::entry::Entry;
use avow::log::keys::MasterKey;
use avow::log::{AppendError, Appended, Log, Options, Prepared, RandomError};
use avow::stripe::decode::{Decoded, decode};
use avow::stripe::secret::Secrets;
use avow::stripe::signature::{Delivery, authenticate, sign};
use avow::stripe::user_reference::UserReferenceSource;
use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::fs::FallocateFlags;
use state_machine::id::SequenceNumber;
use state_machine::time::{ReceivedAt, Timestamp};

const NOW: i64 = 1_760_000_000;
const SLICES: usize = 11;
/// Producers, and entries in a slice.
const ROWS: [(usize, usize); 4] = [(1, 3_000), (8, 12_000), (64, 32_000), (256, 48_000)];
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// What Stripe's ids are made of.
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const RECORD_HEADER_BYTES: usize = 64;

/// The allocator of the `avow` binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let directory = tempfile::tempdir_in(
        std::env::args_os()
            .nth(1)
            .filter(|path| Path::new(path).is_dir())
            .unwrap_or_else(|| env!("CARGO_TARGET_TMPDIR").into()),
    )
    .unwrap();
    let path = directory.path().join("log");
    let key = MasterKey::parse("4f1c9ab2d35e6708915a2c7de0b4836f7712fe08c95bd4a13e6907cb28f5d1e0")
        .unwrap();
    let log = Arc::new(
        Log::open(&path, &key, Options::new(random, avow::system::now))
            .unwrap()
            .0,
    );
    let mut bodies = Bodies::default();
    let record_bytes = record_bytes(&log, &mut bodies);
    let raw = RawFile::start(&directory.path().join("raw"));
    println!(
        "a body has about {} bytes, a record {record_bytes}",
        bodies.bytes / bodies.made
    );
    println!(
        "{:>9} {:>12} {:>12} {:>7} {:>12} {:>7} {:>12} {:>7}",
        "producers", "raw/s", "append/s", "ratio", "prepare too", "ratio", "sled as well", "ratio"
    );
    for (producers, entries) in ROWS {
        let mut rates = Rates::default();
        for _ in 0..SLICES {
            rates
                .raw
                .push(raw_slice(&raw, record_bytes, producers, entries));
            let prepared = (0..entries)
                .map(|_| prepare(&log, &bodies.next()))
                .collect();
            let start = Instant::now();
            rates.append.push(append_slice(&log, producers, prepared));
            settle(&log);
            rates.settled.push(rate(entries, start.elapsed()));
            let delivered = (0..entries).map(|_| bodies.next()).collect();
            rates
                .prepare
                .push(prepare_slice(&log, producers, delivered));
            settle(&log);
        }
        rates.print(producers);
    }
    raw.stop();
    let entries = log.size();
    drop(Arc::into_inner(log));
    print_disk(&path, &bodies, entries);
}

#[derive(Default)]
struct Rates {
    raw: Vec<f64>,
    append: Vec<f64>,
    prepare: Vec<f64>,
    settled: Vec<f64>,
}

impl Rates {
    fn print(mut self, producers: usize) {
        let raw = median(&mut self.raw);
        let [append, prepare, settled] =
            [&mut self.append, &mut self.prepare, &mut self.settled].map(|rates| median(rates));
        println!(
            "{producers:>9} {raw:>12.0} {append:>12.0} {:>7.2} {prepare:>12.0} {:>7.2} {settled:>12.0} {:>7.2}",
            append / raw,
            prepare / raw,
            settled / raw
        );
    }
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn rate(entries: usize, elapsed: Duration) -> f64 {
    f64::from(u32::try_from(entries).unwrap()) / elapsed.as_secs_f64()
}

/// Shares `work` out to producers, which each wait for an answer before they go on, and returns the rate.
fn slice<T: Send>(
    producers: usize,
    work: Vec<T>,
    append: impl Fn(T, mpsc::SyncSender<()>) + Sync,
) -> f64 {
    let entries = work.len();
    let mut shares: Vec<Vec<T>> = (0..producers)
        .map(|_| Vec::with_capacity(entries / producers + 1))
        .collect();
    for (number, item) in work.into_iter().enumerate() {
        shares[number % producers].push(item);
    }
    let start = Instant::now();
    thread::scope(|scope| {
        for share in shares {
            scope.spawn(|| {
                let (answered, answer) = mpsc::sync_channel(1);
                for item in share {
                    append(item, answered.clone());
                    answer.recv().unwrap();
                }
            });
        }
    });
    rate(entries, start.elapsed())
}

fn append_slice(log: &Log, producers: usize, prepared: Vec<Prepared>) -> f64 {
    slice(producers, prepared, |prepared, answered| {
        log.append(prepared, move |appended| {
            must_be_new(appended);
            answered.send(()).unwrap();
        });
    })
}

fn prepare_slice(log: &Log, producers: usize, deliveries: Vec<String>) -> f64 {
    slice(producers, deliveries, |body, answered| {
        log.append(prepare(log, &body), move |appended| {
            must_be_new(appended);
            answered.send(()).unwrap();
        });
    })
}

/// Ends the benchmark where an entry is not appended: a panic on the log's own thread would leave everyone waiting.
fn must_be_new(appended: Result<Appended, AppendError>) {
    match appended {
        Ok(appended) => assert!(!appended.duplicate),
        Err(error) => {
            println!("not appended: {error}");
            std::process::exit(1);
        }
    }
}

/// Waits until sled has everything, so that no slice pays for another.
fn settle(log: &Log) {
    while log.health().store_behind_entries > 0 {
        thread::sleep(Duration::from_millis(1));
    }
}

type Answer = Box<dyn FnOnce() + Send>;

/// The ceiling: a preallocated file behind a queue and a thread like the log's.
struct RawFile {
    queue: Sender<(Vec<u8>, Answer)>,
    thread: JoinHandle<()>,
}

impl RawFile {
    fn start(directory: &Path) -> Self {
        fs::create_dir(directory).unwrap();
        let (queue, requests) = bounded(4_096);
        let directory = directory.to_owned();
        Self {
            queue,
            thread: thread::spawn(move || run_raw_file(&directory, &requests)),
        }
    }

    fn stop(self) {
        drop(self.queue);
        self.thread.join().unwrap();
    }
}

fn run_raw_file(directory: &Path, requests: &Receiver<(Vec<u8>, Answer)>) {
    let mut files = 0;
    let mut file = preallocated(directory, files);
    let mut offset = 0;
    while let Ok((mut group, answer)) = requests.recv() {
        let mut answers = vec![answer];
        while answers.len() < 1_024
            && let Ok((record, answer)) = requests.try_recv()
        {
            group.extend_from_slice(&record);
            answers.push(answer);
        }
        let bytes = u64::try_from(group.len()).unwrap();
        if offset + bytes > SEGMENT_BYTES {
            files += 1;
            file = preallocated(directory, files);
            offset = 0;
        }
        file.write_all_at(&group, offset).unwrap();
        file.sync_data().unwrap();
        offset += bytes;
        for answer in answers {
            answer();
        }
    }
}

fn preallocated(directory: &Path, number: u64) -> File {
    let file = File::create(directory.join(number.to_string())).unwrap();
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SEGMENT_BYTES).unwrap();
    file.sync_all().unwrap();
    file
}

fn raw_slice(raw: &RawFile, record_bytes: usize, producers: usize, entries: usize) -> f64 {
    let records = (0..entries).map(|_| vec![0x5a; record_bytes]).collect();
    slice(producers, records, |record, answered| {
        raw.queue
            .send((record, Box::new(move || answered.send(()).unwrap())))
            .unwrap();
    })
}

/// Bodies as Stripe sends them, each of its own: ids, times, metadata and reasons differ.
#[derive(Default)]
struct Bodies {
    made: usize,
    bytes: usize,
}

impl Bodies {
    fn next(&mut self) -> String {
        let mut random_bytes = [0; 96];
        random(&mut random_bytes).unwrap();
        let text: String = random_bytes
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(*byte) % 62]))
            .collect();
        let (event, session, report, user) =
            (&text[..24], &text[24..48], &text[48..72], &text[72..]);
        let created = NOW + i64::try_from(self.made).unwrap();
        let kind = ["created", "processing", "verified", "requires_input"][self.made % 4];
        let status = if kind == "created" {
            "requires_input"
        } else {
            kind
        };
        let (error, url) = match kind {
            "requires_input" => (
                r#"{
        "code": "document_expired",
        "reason": "The document is expired."
      }"#,
                "null".to_owned(),
            ),
            "created" => (
                "null",
                format!("\"https://verify.stripe.com/start/live_{event}{report}\""),
            ),
            _ => ("null", "null".to_owned()),
        };
        let body = format!(
            r#"{{
  "id": "evt_{event}",
  "object": "event",
  "api_version": "2026-10-28.endive",
  "created": {created},
  "data": {{
    "object": {{
      "id": "vs_{session}",
      "object": "identity.verification_session",
      "client_reference_id": "{user}",
      "client_secret": null,
      "created": {created},
      "last_error": {error},
      "last_verification_report": "vr_{report}",
      "livemode": true,
      "metadata": {{
        "user_id": "{user}",
        "order": "order-{}-{}",
        "campaign": "onboarding {}"
      }},
      "options": {{
        "document": {{
          "allowed_types": [
            "driving_license",
            "id_card",
            "passport"
          ],
          "require_id_number": false,
          "require_live_capture": true,
          "require_matching_selfie": true
        }}
      }},
      "provided_details": {{
        "email": "{}.{}@example.com",
        "phone": "+1415{:07}"
      }},
      "redaction": null,
      "related_customer": "cus_{}",
      "related_customer_account": null,
      "related_person": {{
        "account": "acct_{}",
        "person": "person_{}"
      }},
      "status": "{status}",
      "type": "document",
      "url": {url}
    }}
  }},
  "livemode": true,
  "pending_webhooks": 1,
  "request": {{
    "id": "req_{}",
    "idempotency_key": "{}-{}"
  }},
  "type": "identity.verification_session.{kind}"
}}"#,
            &text[10..18],
            &text[30..40],
            &text[50..58],
            &text[3..9],
            &text[60..68],
            self.made,
            &text[5..19],
            &text[20..34],
            &text[35..49],
            &text[40..54],
            &text[55..63],
            &text[64..76],
        );
        self.made += 1;
        self.bytes += body.len();
        body
    }
}

fn prepare(log: &Log, body: &str) -> Prepared {
    let secrets = Secrets::parse("whsec_test_secret").unwrap();
    let header = sign(
        secrets.iter().next().unwrap(),
        Timestamp(NOW),
        body.as_bytes(),
    );
    let delivery = Delivery {
        signature_header: Some(header.as_bytes()),
        body: body.as_bytes(),
        received_at: ReceivedAt(NOW * 1_000),
    };
    let payload = authenticate(delivery, &secrets, 300).unwrap();
    match decode(
        &payload,
        &[UserReferenceSource::Metadata("user_id".to_owned())],
    ) {
        Decoded::Event(event) => log.prepare_event(&payload, *event).unwrap(),
        Decoded::Foreign { .. } | Decoded::Unreadable(_) => unreachable!("the body is an event's"),
    }
}

fn record_bytes(log: &Log, bodies: &mut Bodies) -> usize {
    let prepared = (0..64).map(|_| prepare(log, &bodies.next())).collect();
    append_slice(log, 1, prepared);
    let sizes = log
        .entries_from(SequenceNumber(0))
        .map(|entry| record_size(&entry.unwrap()));
    sizes.sum::<usize>() / 64
}

fn record_size(entry: &Entry) -> usize {
    (RECORD_HEADER_BYTES + entry.leaf.encode().len() + entry.sealed.len()).next_multiple_of(8)
}

fn random(bytes: &mut [u8]) -> Result<(), RandomError> {
    getrandom::fill(bytes).map_err(|_| RandomError)
}

fn print_disk(path: &Path, bodies: &Bodies, entries: u64) {
    println!(
        "disk, in bytes per byte of {entries} raw bodies ({} MB):",
        bodies.bytes / 1_000_000
    );
    let mut both = 0;
    for part in ["journal", "sled", "index"] {
        let bytes: u64 = files(&path.join(part))
            .iter()
            .map(|file| file.metadata().unwrap().blocks() * 512)
            .sum();
        both += if part == "index" { 0 } else { bytes };
        println!("{part:>9} {:.3}", ratio(bytes, bodies.bytes));
    }
    println!(
        "{:>9} {:.3} (the last journal segment counts whole)",
        "both",
        ratio(both, bodies.bytes)
    );
}

fn ratio(bytes: u64, of: usize) -> f64 {
    f64::from(u32::try_from(bytes / 1_000).unwrap()) / f64::from(u32::try_from(of / 1_000).unwrap())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}
