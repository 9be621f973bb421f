//! How fast a log is audited: a synthetic data directory, with and without payloads, on one core.
//!
//! `cargo bench --bench audit -- [ENTRIES]`
#![expect(clippy::print_stdout, reason = "output is its purpose")]

use std::fs;
use std::path::Path;
use std::time::Instant;

use avow::audit::auditor::{Request, audit};
use avow::audit::payload_check::Keys;
use avow::log::entry::{Fact, Leaf, PayloadDigest, SessionFact};
use avow::log::vault::KeySlot;
use avow::stripe::decode::EventForm;
use avow::stripe::secret::SecretFingerprint;
use avow::transparency::checkpoint::SignedCheckpoint;
use avow::transparency::frontier::Frontier;
use avow::transparency::hash::leaf_hash;
use avow::transparency::policy::Policy;
use avow::transparency::signing_key::SigningKey;
use sha2::{Digest, Sha256};
use state_machine::event::{Event, EventType, Status};
use state_machine::id::{EventId, ReportId, SequenceNumber, SessionId, UserTag, World};
use state_machine::time::{ReceivedAt, Timestamp};
use tempfile::tempdir;

const ENTRIES: u64 = 1_000_000;
const PAYLOAD_BYTES: usize = 600;
/// A log that takes in a thousand entries a second signs as often.
const ENTRIES_PER_CHECKPOINT: u64 = 1_000;
const SEGMENT_BYTES: usize = 64 * 1024 * 1024;

fn main() {
    let entries = std::env::args().find_map(|argument| argument.parse().ok());
    let entries = entries.unwrap_or(ENTRIES);
    let directory = tempdir().expect("a temporary directory");
    let key = SigningKey::new("avow/bench".parse().expect("a name"), &[7; 32]);
    write_log(directory.path(), entries, &key);
    for payloads in [false, true] {
        let request = Request {
            policy: Some(Policy::of_log(key.verifier_key().clone())),
            seen: Vec::new(),
            keys: Keys::default(),
            vault: None,
            payloads,
            projections: false,
        };
        // The highest mark of resident memory is that of this audit, not of what was written before (proc_pid_clear_refs(5)).
        fs::write("/proc/self/clear_refs", "5").expect("the mark can be reset");
        let began = Instant::now();
        let place = directory.path().to_str().expect("a path");
        let report = audit(place, None, request, &mut |_, _| {});
        let seconds = began.elapsed().as_secs_f64();
        assert_eq!(
            (report.entries, report.stored_hashes >= entries),
            (entries, true)
        );
        let with = if payloads { "with" } else { "without" };
        println!(
            "{with} payloads: {:.0} entries/s ({seconds:.2} s), {} resident at most",
            f64::from(u32::try_from(entries).expect("fewer entries")) / seconds,
            resident_max()
        );
    }
}

/// Returns how much memory was resident at most, as the kernel tells it.
fn resident_max() -> String {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.expect("a high-water mark").trim().to_owned()
}

/// Writes what an audit reads, in the formats of the log.
fn write_log(directory: &Path, entries: u64, key: &SigningKey) {
    let log = directory.join("log");
    fs::create_dir_all(log.join("journal")).expect("a journal");
    fs::create_dir_all(log.join("tree")).expect("a tree");
    let (mut frontier, mut levels) = (Frontier::new(), vec![Vec::new(); 8]);
    let (mut link, mut checkpoints) = ([0; 32], Vec::new());
    let (mut segment, mut first) = (header(0, 0, &link), 0);
    for sequence in 0..entries {
        let sealed = payload(sequence);
        let leaf = leaf(sequence, &sealed).encode();
        if segment.len() > SEGMENT_BYTES {
            fs::write(log.join(format!("journal/{first:020}.segment")), &segment)
                .expect("a segment");
            segment = header(sequence, first, &link);
            first = sequence;
        }
        put_record(&mut segment, sequence, &link, &leaf, &sealed);
        let hash = leaf_hash(&leaf);
        link = Sha256::new()
            .chain_update(link)
            .chain_update(hash.0)
            .finalize()
            .into();
        frontier.push(hash, |level, hash| {
            levels[usize::from(level)].extend(hash.0);
        });
        if (sequence + 1) % ENTRIES_PER_CHECKPOINT == 0 || sequence + 1 == entries {
            let note = SignedCheckpoint::sign(frontier.head(), key)
                .note()
                .to_string();
            checkpoints.extend(
                u32::try_from(note.len())
                    .expect("a short note")
                    .to_le_bytes(),
            );
            checkpoints.extend(crc32c::crc32c(note.as_bytes()).to_le_bytes());
            checkpoints.extend(note.as_bytes());
        }
    }
    fs::write(log.join(format!("journal/{first:020}.segment")), &segment).expect("a segment");
    fs::write(log.join("checkpoints"), checkpoints).expect("the checkpoints");
    for (level, hashes) in levels.iter().enumerate() {
        fs::write(log.join(format!("tree/{level}")), hashes).expect("a level");
    }
}

fn leaf(sequence: u64, sealed: &[u8]) -> Leaf {
    // Four events of each session.
    let session = sequence / 4;
    let fact = SessionFact {
        world: World {
            livemode: true,
            account: None,
        },
        session: SessionId::parse(&format!("vs_1MgkFZ2eZvKYlo2C{session:08}")).expect("a session"),
        form: EventForm::Snapshot,
        event: Event {
            id: EventId::parse(&format!("evt_1MgkFZ2eZvKYlo2C{sequence:08}")).expect("an event"),
            event_type: EventType::Verified,
            created: Timestamp(1_760_000_000),
            session_created: Some(Timestamp(1_760_000_000)),
            status: Some(Status::Verified),
            last_error: None,
            report: Some(
                ReportId::parse(&format!("vr_1MgkFZ2eZvKYlo2C{sequence:08}")).expect("a report"),
            ),
            redaction: None,
            user: Some(UserTag([7; 16])),
        },
        api_version: Some("2026-10-28.endive".to_owned()),
    };
    Leaf {
        sequence: SequenceNumber(sequence),
        received_at: ReceivedAt(1_760_000_000_000),
        secret: Some(SecretFingerprint([7; 8])),
        key_slot: KeySlot(2 + session),
        fact: Fact::Event(fact),
        payload: Some(PayloadDigest {
            sealed_sha256: Sha256::digest(sealed).into(),
            commitment: [7; 32],
            plaintext_bytes: 2_400,
        }),
    }
}

fn payload(sequence: u64) -> Vec<u8> {
    let seed: [u8; 32] = Sha256::digest(sequence.to_le_bytes()).into();
    seed.iter().copied().cycle().take(PAYLOAD_BYTES).collect()
}

fn header(first: u64, previous: u64, before: &[u8; 32]) -> Vec<u8> {
    let parts = [
        b"AVOWSEG1".as_slice(),
        &[7; 32],
        &first.to_le_bytes(),
        &previous.to_le_bytes(),
        before,
    ];
    let checked = parts.concat();
    let mut header = crc32c::crc32c(&checked).to_le_bytes().to_vec();
    header.extend(checked);
    header.resize(128, 0);
    header
}

fn put_record(segment: &mut Vec<u8>, sequence: u64, before: &[u8; 32], leaf: &[u8], sealed: &[u8]) {
    let length = |bytes: &[u8]| {
        u32::try_from(bytes.len())
            .expect("a short entry")
            .to_le_bytes()
    };
    let mut checked = Vec::with_capacity(60 + leaf.len());
    checked.extend(length(leaf));
    checked.extend(length(sealed));
    checked.extend(crc32c::crc32c(sealed).to_le_bytes());
    checked.extend(sequence.to_le_bytes());
    checked.extend(sequence.to_le_bytes());
    checked.extend(before);
    checked.extend(leaf);
    segment.extend(b"AVW2");
    segment.extend(crc32c::crc32c(&checked).to_le_bytes());
    segment.extend(&checked);
    segment.extend(sealed);
    segment.resize(segment.len().next_multiple_of(8), 0);
}
