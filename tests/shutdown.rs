//! SIGTERM: what was accepted is committed and answered first. One data directory has one process.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::tempdir;

use crate::support::delivery::event;
use crate::support::ledger::Ledger;
use crate::support::process::{Process, serve};
use crate::support::seed::Seed;

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 5;

/// Returns far more bodies than are delivered before the end.
fn bodies(round: usize) -> impl Iterator<Item = Vec<u8>> {
    (0..5_000).map(move |number| {
        let (id, session) = (
            format!("evt_{round}_{number}"),
            format!("vs_{round}_{number}"),
        );
        serde_json::to_vec(&event(&id, &session, "user", "created", 10)).unwrap()
    })
}

#[test]
fn sigterm_under_load_answers_whatever_it_keeps_and_ends_well_in_time() {
    let directory = tempdir().unwrap();
    let seed = Seed::new();
    let mut dice = seed.dice();
    let mut acknowledged = 0;

    for round in 0..ROUNDS {
        let mut ledger = Ledger::default();
        let mut command = serve(directory.path());
        command.arg("--set=http.shutdown_seconds=10");
        let process = Process::of(command).unwrap();
        let last = usize::try_from(dice.roll(200)).unwrap();
        let asked = OnceLock::new();
        ledger.deliver(&process, CONNECTIONS, bodies(round), |number| {
            if number == last {
                asked.set(Instant::now()).unwrap();
                process.terminate();
            }
        });

        let ended = process.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
        let took = asked.get().unwrap().elapsed();
        assert!(took < Duration::from_secs(10), "it took {took:?}");
        acknowledged += ledger.acknowledged();
        let process = Process::start(directory.path());
        ledger.assert_known(&process);
        // What was kept was answered, too; but for the policy's entry, which nobody asked for.
        assert_eq!(usize::try_from(process.entries()), Ok(acknowledged + 1));
    }
}

#[test]
fn a_second_process_on_a_data_directory_is_refused_with_a_sentence() {
    let directory = tempdir().unwrap();
    let first = Process::start(directory.path());

    let second = Process::of(serve(directory.path())).err().unwrap();

    assert_eq!(second.status.code(), Some(2));
    assert!(second.stderr.contains("in use"), "{}", second.stderr);
    let mut ledger = Ledger::default();
    let body = bodies(0).take(1);
    assert_eq!(ledger.deliver(&first, 1, body, |_| {}), []);
    first.stop();
}
