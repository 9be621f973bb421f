//! A 200 means that the event is on the disk: the order of the calls to the system shows it, and each of them that
//! fails is told to everyone who waits. `tests/tools/install` brings strace, which watches and breaks them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::tempdir;

use crate::support::delivery::event;
use crate::support::ledger::{Answer, Ledger};
use crate::support::process::{Process, serve};
use crate::support::strace::{self, Call, Trace};

const CONNECTIONS: usize = 6;
const SEGMENT: &str = "log/journal/00000000000000000000.segment";

fn bodies(name: &str, count: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(move |number| {
        let event = event(
            &format!("evt_{name}_{number}"),
            &format!("vs_{name}_{}", number / 8),
            "user",
            "processing",
            10,
        );
        serde_json::to_vec(&event).unwrap()
    })
}

/// Returns bodies that are kept whole although nothing in them can be read, and that fill a journal segment soon.
fn large_bodies(count: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|_| {
        let mut body = vec![0; 400_000];
        avow::system::fill_random(&mut body).unwrap();
        body
    })
}

#[test]
fn a_200_is_written_only_after_the_journals_write_and_sync_have_returned() {
    if !strace::is_present() {
        return;
    }
    let directory = tempdir().unwrap();
    let trace = Trace::in_directory(directory.path());
    let calls = "pwrite64,fdatasync,fsync,rename,write,writev,sendto,sendmsg";
    let command = serve(&directory.path().join("data"));
    let process = Process::of(trace.of(&command, None, calls, None)).unwrap();
    let mut ledger = Ledger::default();

    ledger.deliver(&process, CONNECTIONS, bodies("a", 200), |_| {});
    ledger.deliver(&process, CONNECTIONS, large_bodies(24), |_| {});
    ledger.deliver(&process, CONNECTIONS, bodies("b", 100), |_| {});
    process.stop();

    let calls = trace.calls();
    let commits: Vec<_> = calls
        .iter()
        .filter_map(|call| commit(&calls, call))
        .collect();
    let answers: Vec<_> = calls.iter().filter_map(answer).collect();
    let segments = calls
        .iter()
        .filter(|call| call.text.starts_with("rename(") && call.text.contains(".segment"));
    assert!(
        segments.count() > 2,
        "the journal went on in further segments"
    );
    assert_eq!(answers.len(), 324);
    assert_eq!(ledger.acknowledged(), 324);
    for (sequence, answered) in answers {
        let commit = commits
            .iter()
            .rfind(|commit| commit.first <= sequence)
            .unwrap();
        assert!(
            commit.durable.is_some_and(|durable| durable < answered),
            "{sequence} was answered on line {answered}: {commit:?}"
        );
    }
}

/// A commit group as the trace shows it.
#[derive(Debug)]
struct Commit {
    /// The sequence number of its first entry.
    first: u64,
    /// The line on which the last call returned that it needs to be durable.
    durable: Option<usize>,
}

/// Returns the commit that a call writes, if it writes one.
fn commit(calls: &[Call], write: &Call) -> Option<Commit> {
    let (path, record) = write.text.strip_prefix("pwrite64(")?.split_once(">, \"")?;
    let (_, path) = path.split_once('<')?;
    let record = record.replace("\\x", "");
    // A record begins with its magic, its checksum, and two lengths and another checksum; then comes its sequence number.
    let sequence = record.strip_prefix(&hex::encode("AVW2"))?.get(32..48)?;
    Some(Commit {
        first: u64::from_str_radix(sequence, 16).ok()?.swap_bytes(),
        durable: durable(calls, write, path),
    })
}

/// Returns when a write to the file at `path` was on the disk, with the file's name: a file that nobody finds after a
/// power cut is lost, however often it was synced.
fn durable(calls: &[Call], write: &Call, path: &str) -> Option<usize> {
    let returned = |begin: &str, part: &str, from: usize| {
        let is_it = |call: &&Call| {
            call.text.starts_with(begin) && call.text.contains(part) && call.began > from
        };
        calls.iter().find(is_it)?.succeeded
    };
    let journal = Path::new(path).parent()?.display();
    let synced = returned("fdatasync(", &format!("<{path}>"), write.succeeded?)?;
    let renamed = returned("rename(", &format!(" \"{path}\""), 0)?;
    let named = returned("fsync(", &format!("<{journal}>"), renamed)?;
    Some(synced.max(named))
}

/// Returns which entry a call acknowledges, if it does, and the line on which it began.
fn answer(call: &Call) -> Option<(u64, usize)> {
    let (_, body) = call.text.split_once("HTTP/1.1 200 OK")?;
    let (_, sequence) = body.split_once(r#"\"sequence\":"#)?;
    let (sequence, _) = sequence.split_once(',')?;
    Some((sequence.parse().unwrap(), call.began))
}

#[test]
fn a_checkpoint_is_shown_only_once_it_is_on_the_disk() {
    if !strace::is_present() {
        return;
    }
    let directory = tempdir().unwrap();
    let trace = Trace::in_directory(directory.path());
    let calls = "pwrite64,fdatasync,write,writev,sendto,sendmsg";
    let command = serve(&directory.path().join("data"));
    let process = Process::of(trace.of(&command, None, calls, None)).unwrap();
    let mut shown = BTreeSet::new();
    for name in ["a", "b", "c"] {
        let body = bodies(name, 1);
        assert_eq!(Ledger::default().deliver(&process, 1, body, |_| {}), []);
        while !shown.insert(process.get("/checkpoint").text().unwrap()) {}
    }
    process.stop();

    let calls = trace.calls();
    for note in &shown {
        let (text, _) = note.split_once("\n\n").unwrap();
        // strace writes a string in hexadecimal if it holds anything but ASCII.
        let [hexadecimal, plain] = [hex::encode(text), text.replace('\n', "\\n")];
        let holds = |call: &&Call| {
            let hexadecimal_text = call.text.replace("\\x", "");
            hexadecimal_text.contains(&hexadecimal) || call.text.contains(&plain)
        };
        let is_kept = |call: &&Call| call.text.contains("/log/checkpoints>");
        let written = calls.iter().filter(is_kept).find(holds).unwrap();
        let is_sync = |call: &&Call| {
            call.text.starts_with("fdatasync(") && Some(call.began) > written.succeeded
        };
        let synced = calls.iter().filter(is_kept).find(is_sync).unwrap();
        let answered = calls.iter().filter(|call| !is_kept(call)).find(holds);
        let answered = answered.unwrap().began;
        assert!(
            synced.succeeded.is_some_and(|synced| synced < answered),
            "{text} was shown on line {answered}: {synced:?}"
        );
    }
}

#[test]
fn a_write_or_a_sync_that_fails_stops_all_writing_and_loses_nothing_acknowledged() {
    if !strace::is_present() {
        return;
    }
    // The journal fails under the sequencer, which everyone waits for; the others behind it.
    #[rustfmt::skip]
    let rows = [
        (SEGMENT,       "fdatasync", "EIO",    12),
        (SEGMENT,       "pwrite64",  "EIO",    12),
        ("log/sled/db", "fsync",     "EIO",    2),
        ("log/head",    "fdatasync", "EIO",    2),
        ("log/head",    "pwrite64",  "ENOSPC", 2),
    ];
    for (file, call, error, number) in rows {
        let directory = tempdir().unwrap();
        let data = directory.path().join("data");
        let trace = Trace::in_directory(directory.path());
        let fault = format!("{call}:error={error}:when={number}");
        let command = trace.of(&serve(&data), Some(&data.join(file)), call, Some(&fault));
        let process = Process::of(command).unwrap();
        let mut ledger = Ledger::default();

        let refused = ledger.deliver(&process, CONNECTIONS, bodies("a", 20_000), |_| {});
        let later = ledger.deliver(&process, 1, bodies("b", 1), |_| {});

        let stopped = Answer::Refused {
            code: "writes_stopped".to_owned(),
            retry_after: true,
        };
        assert_eq!(
            refused,
            vec![stopped.clone(); CONNECTIONS],
            "{file} {fault}"
        );
        assert_eq!(later, [stopped], "{file} {fault}");
        assert!(ledger.acknowledged() > 0);
        assert_eq!(process.read("/v1/sessions/vs_a_0")["status"], "processing");
        assert_eq!(process.get("/healthz").status(), 200);
        let ready = process.get("/readyz");
        assert_eq!(ready.status(), 503);
        let obstacle = ready.json::<Value>().unwrap()["obstacle"].clone();
        assert_eq!(obstacle, "writing has stopped until restart");
        process.terminate();
        let ended = process.wait();
        let told = ended.stderr.matches("writing has stopped until restart");
        assert_eq!(told.count(), 1, "{}", ended.stderr);

        let process = Process::start(&data);
        ledger.assert_known(&process);
        assert_eq!(ledger.deliver(&process, 1, bodies("c", 1), |_| {}), []);
    }
}

#[test]
fn without_space_for_another_segment_deliveries_are_shed_until_there_is_some() {
    if !strace::is_present() {
        return;
    }
    let directory = tempdir().unwrap();
    let data = directory.path().join("data");
    Process::start(&data).stop();
    // So that none can be made ahead.
    fs::create_dir(data.join("log/journal/spare")).unwrap();
    let trace = Trace::in_directory(directory.path());
    let fault = "pwrite64:error=ENOSPC:when=1";
    // Behind the policy, the first megabyte has room for two.
    let next = data.join(format!("log/journal/{:020}.segment.new", 3));
    let process =
        Process::of(trace.of(&serve(&data), Some(&next), "pwrite64", Some(fault))).unwrap();
    let mut ledger = Ledger::default();

    assert_eq!(ledger.deliver(&process, 1, large_bodies(2), |_| {}), []);
    let shed = ledger.deliver(&process, 1, large_bodies(1), |_| {});
    let resumed = ledger.deliver(&process, 1, large_bodies(1), |_| {});

    let full = Answer::Refused {
        code: "disk_full".to_owned(),
        retry_after: true,
    };
    assert_eq!(shed, [full]);
    assert_eq!(resumed, []);
    drop(process);
    ledger.assert_known(&Process::start(&data));
}

#[test]
fn a_write_that_finds_no_space_is_taken_back_and_the_next_one_stands() {
    if !strace::is_present() {
        return;
    }
    for error in ["ENOSPC", "EDQUOT"] {
        let directory = tempdir().unwrap();
        let data = directory.path().join("data");
        let trace = Trace::in_directory(directory.path());
        let fault = format!("pwrite64:error={error}:when=12");
        let segment = data.join(SEGMENT);
        let command = trace.of(&serve(&data), Some(&segment), "pwrite64", Some(&fault));
        let process = Process::of(command).unwrap();
        let mut ledger = Ledger::default();

        let shed = ledger.deliver(&process, 1, bodies("a", 40), |_| {});
        let resumed = ledger.deliver(&process, CONNECTIONS, bodies("b", 200), |_| {});

        let full = Answer::Refused {
            code: "disk_full".to_owned(),
            retry_after: true,
        };
        assert_eq!((shed, resumed), (vec![full], vec![]), "{error}");
        process.kill();
        process.wait();
        ledger.assert_known(&Process::start(&data));
    }
}
