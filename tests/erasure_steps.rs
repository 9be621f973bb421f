//! The process dies between any two steps of an erasure: the next start finishes it, once. `tests/tools/install` brings
//! strace, which kills it there.

use std::path::Path;

use avow::log::keys::MasterKey;
use avow::log::residue::search;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::support::delivery::{Delivery, event};
use crate::support::log::copy;
use crate::support::process::{Process, serve};
use crate::support::server::MASTER_KEY;
use crate::support::strace::{self, Trace};
use crate::support::traces::{FIRST_SLOT, found_in, traces_of_key};

/// The payloads of each session: each is a write of the eraser's.
const PAYLOADS: usize = 3;
const VAULT: &str = "vault";

/// Makes a data directory with the payloads of `vs_first` and `vs_struck` in the journal's first segment, which ends
/// behind them: of all threads, the eraser alone writes there from then on. Returns the second segment's path.
fn data() -> (TempDir, String) {
    let directory = tempdir().unwrap();
    let process = Process::start(directory.path());
    for number in 0..PAYLOADS {
        for session in ["vs_first", "vs_struck"] {
            let id = format!("evt_{session}_{number}");
            let event = event(&id, session, "person_marker", "processing", 10);
            assert_eq!(
                process.deliver(&Delivery::event(&event)).unwrap().status(),
                200
            );
        }
    }
    let segments = directory.path().join("log/journal");
    let names = || {
        let names = std::fs::read_dir(&segments).unwrap();
        let names = names.map(|name| name.unwrap().file_name());
        let mut names: Vec<_> = names
            .filter(|name| name.as_encoded_bytes().ends_with(b".segment"))
            .collect();
        names.sort();
        names
    };
    while names().len() == 1 {
        let mut body = vec![0; 400_000];
        avow::system::fill_random(&mut body).unwrap();
        assert_eq!(process.deliver(&Delivery::of(body)).unwrap().status(), 200);
    }
    process.stop();
    let second = names()[1].to_str().unwrap().to_owned();
    (directory, format!("log/journal/{second}"))
}

/// How the second erasure is wanted.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Operator,
    Event,
}

impl Wish {
    fn make(self, process: &Process) {
        // The answer is lost with the process, or is not.
        match self {
            Self::Operator => drop(process.state("vs_struck", "erase")),
            Self::Event => {
                let event = event("evt_redacted", "vs_struck", "person_marker", "redacted", 20);
                drop(process.deliver(&Delivery::event(&event)));
            }
        }
    }
}

#[test]
fn a_death_between_any_two_steps_is_finished_by_the_next_start_once() {
    use Wish::{Event, Operator};
    if !strace::is_present() {
        return;
    }
    let (data, second) = data();
    let first = "log/journal/00000000000000000000.segment";
    let of_first = PAYLOADS;
    // The first erasure goes through: what a thread calls in the second is told by its number.
    #[rustfmt::skip]
    let rows: [(&str, &str, usize, bool, &[Wish]); 9] = [
        (&second, "pwrite64",  3,            false, &[Operator]),        // before the wish is written
        (VAULT,   "pwrite64",  3,            true,  &[Operator, Event]), // the wish is durable
        (VAULT,   "fdatasync", 2,            true,  &[Operator]),        // the key is overwritten, and not synced
        (first,   "pwrite64",  of_first + 1, true,  &[Operator, Event]), // the key is gone
        (first,   "pwrite64",  of_first + 2, true,  &[Operator]),        // one payload is blank
        (first,   "fdatasync", 2,            true,  &[Operator]),        // all are, and not synced
        (&second, "pwrite64",  4,            true,  &[Operator]),        // before the end is written
        (&second, "fdatasync", 4,            true,  &[Operator]),        // it is, and not synced
        (VAULT,   "pwrite64",  4,            true,  &[Operator]),        // the vault does not know of it
    ];
    for (file, call, number, is_wanted, wishes) in rows {
        for wish in wishes {
            let home = tempdir().unwrap();
            let struck = home.path().join("data");
            copy(data.path(), &struck);
            let traces = traces_of_key(&struck, MASTER_KEY, FIRST_SLOT + 1);
            let trace = Trace::in_directory(home.path());
            let fault = format!("{call}:signal=KILL:when={number}");
            let command = trace.of(
                &serve(&struck),
                Some(&struck.join(file)),
                call,
                Some(&fault),
            );
            let process = Process::of(command).unwrap();
            assert_eq!(
                process.state("vs_first", "erase").unwrap().status(),
                200,
                "{file} {fault}"
            );

            wish.make(&process);
            let ended = process.wait();

            assert_eq!(
                ended.status.code(),
                None,
                "{file} {fault} {wish:?}: {}",
                ended.stderr
            );
            assert_finished(
                &struck,
                is_wanted,
                &traces,
                &format!("{file} {fault} {wish:?}"),
            );
        }
    }
}

/// Asserts that a start finishes what was wanted, that another finds nothing left to do, and that no trace is left.
fn assert_finished(data: &Path, is_wanted: bool, traces: &[(&'static str, Vec<u8>)], row: &str) {
    // To stop is to finish what start-up found.
    Process::start(data).stop();
    let process = Process::start(data);
    let erasure = process.read("/v1/sessions/vs_struck")["erasure"].clone();
    let entries = process.entries();
    if is_wanted {
        assert_eq!(erasure["status"], "done", "{row}");
    } else {
        assert_eq!(erasure, json!(null), "{row}");
    }
    let again: Value = process.state("vs_struck", "erase").unwrap().json().unwrap();
    assert_eq!(
        (&again["status"], &again["duplicate"]),
        (&json!("done"), &json!(is_wanted)),
        "{row}"
    );
    let report = &again["report"];
    assert!(
        report["payloads"].as_u64().unwrap() >= u64::try_from(PAYLOADS).unwrap(),
        "{row}: {report}"
    );
    let added = process.entries() - entries;
    assert_eq!(
        added,
        if is_wanted { 0 } else { 2 },
        "{row}: carried out once"
    );
    process.stop();

    assert_eq!(found_in(data, traces), Vec::<String>::new(), "{row}");
    let residue = search(data, &MasterKey::parse(MASTER_KEY).unwrap(), |_, _| {}).unwrap();
    assert_eq!(
        (residue.erased, residue.unfinished, residue.remains),
        (2, 0, Vec::new()),
        "{row}"
    );
}
