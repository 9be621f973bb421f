//! Overload and a full disk shed deliveries with 503 and `Retry-After`; nothing that was acknowledged is lost.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::Value;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event};
use crate::support::server::Server;

/// What the queue holds under the storm, and how many want into it at once.
const QUEUE_ENTRIES: u64 = 4;
const SENDERS: usize = 64;
/// The storm goes on until so many were shed.
const SHED: usize = 100;

/// Deliveries of numbered events, each of a session of its own, and what became of them.
#[derive(Default)]
struct Storm {
    next: AtomicU64,
    is_over: AtomicBool,
    /// The entries of those that were answered 200.
    entries: Mutex<Vec<u64>>,
    shed: Mutex<Vec<u64>>,
}

impl Storm {
    /// Delivers one event after the other until the storm is over.
    fn send(&self, server: &Server) {
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            assert!(number < 200_000, "the queue never filled");
            let response = server.deliver(&numbered(number));
            if response.status() == 200 {
                let answer = response.json::<Value>().unwrap();
                let entry = answer["sequence"].as_u64().unwrap();
                self.entries.lock().unwrap().push(entry);
                continue;
            }
            assert_eq!(response.status(), 503);
            assert!(response.headers().contains_key("retry-after"));
            let mut shed = self.shed.lock().unwrap();
            shed.push(number);
            self.is_over.fetch_or(shed.len() >= SHED, Ordering::Relaxed);
        }
    }

    /// Looks at the queue until the storm is over: it is never longer than it may be.
    fn watch(&self, server: &Server) {
        while !self.is_over.load(Ordering::Relaxed) {
            let text = server.get_plain("/metrics").text().unwrap();
            assert_eq!(gauge(&text, "avow_queue_entries_max"), QUEUE_ENTRIES);
            assert!(gauge(&text, "avow_queue_entries") <= QUEUE_ENTRIES);
        }
    }
}

fn numbered(number: u64) -> Delivery {
    let [id, session, user] = ["evt", "vs", "user"].map(|prefix| format!("{prefix}_{number}"));
    Delivery::event(&event(&id, &session, &user, "created", 10))
}

fn gauge(text: &str, name: &str) -> u64 {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap().parse().unwrap()
}

#[test]
fn what_a_storm_brings_is_recorded_once_or_shed_and_taken_when_it_comes_again() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.log.queue_entries_max = usize::try_from(QUEUE_ENTRIES).unwrap();
        settings.log.group_entries_max = 1;
        settings.http.workers = Some(2);
    });
    let storm = Storm::default();

    std::thread::scope(|scope| {
        scope.spawn(|| storm.watch(&server));
        for _ in 0..SENDERS {
            scope.spawn(|| storm.send(&server));
        }
    });

    assert_eq!(server.get_plain("/readyz").status(), 200);
    let shed = storm.shed.into_inner().unwrap();
    let mut entries = storm.entries.into_inner().unwrap();
    for number in &shed {
        entries.push(server.record(&numbered(*number)));
    }
    let delivered = storm.next.into_inner();
    let each_once: BTreeSet<_> = entries.iter().copied().collect();
    assert_eq!(each_once, (0..delivered).collect());
    assert_eq!(entries.len(), each_once.len());
    let live = server.read_plain("/v1/digest");
    for number in shed {
        let session = server.read(&format!("/v1/sessions/vs_{number}"));
        assert_eq!(session["status"], "requires_input");
    }
    drop(server);
    fs::remove_dir_all(directory.path().join("projections")).unwrap();
    let folded_afresh = Server::start(directory.path());
    assert_eq!(folded_afresh.read_plain("/readyz")["entries"], delivered);
    assert_eq!(folded_afresh.read_plain("/v1/digest"), live);
}

#[test]
fn a_full_queue_sheds_and_keeps_what_it_acknowledged() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.log.queue_entries_max = 1;
        settings.log.group_entries_max = 1;
        settings.http.workers = Some(2);
    });
    let (recorded, shed, next) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));

    std::thread::scope(|scope| {
        let send = || {
            while shed.load(Ordering::Relaxed) == 0 {
                let number = next.fetch_add(1, Ordering::Relaxed);
                assert!(number < 200_000, "the queue never filled");
                let id = format!("evt_{number}");
                let response =
                    server.deliver(&Delivery::event(&event(&id, "vs_1", "u", "created", 10)));
                match response.status().as_u16() {
                    200 => recorded.fetch_add(1, Ordering::Relaxed),
                    503 => {
                        assert!(response.headers().contains_key("retry-after"));
                        let error = response.json::<Value>().unwrap();
                        assert_eq!(error["error"]["code"], "overloaded");
                        shed.fetch_add(1, Ordering::Relaxed)
                    }
                    status => panic!("answered {status}"),
                };
            }
        };
        for _ in 0..32 {
            scope.spawn(send);
        }
    });

    let recorded = recorded.into_inner();
    assert_eq!(server.read_plain("/readyz")["entries"], recorded);
    drop(server);
    assert_eq!(
        Server::start(directory.path()).read_plain("/readyz")["entries"],
        recorded
    );
}

#[test]
fn a_disk_without_the_configured_space_sheds_and_is_not_ready() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.log.disk_free_bytes_min = 1 << 50;
    });

    let response = server.deliver(&Delivery::of("[]"));

    assert_eq!(response.status(), 503);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(
        response.json::<Value>().unwrap()["error"]["code"],
        "disk_full"
    );
    let ready = server.client().get(server.url("/readyz")).send().unwrap();
    assert_eq!(ready.status(), 503);
    let alive = server.client().get(server.url("/healthz")).send().unwrap();
    assert_eq!(alive.status(), 200);
}
