//! Overload and a full disk shed deliveries with 503 and `Retry-After`; nothing that was acknowledged is lost.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event};
use crate::support::server::Server;

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
