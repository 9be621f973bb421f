//! Stripe delivers at least once: an event is recorded once, and its event id determines it.

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::server::Server;

#[test]
fn a_redelivery_with_another_signature_and_pending_count_is_a_duplicate() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let mut created = event("evt_1", "vs_1", "user_1", "created", 10);
    let first = server.record(&Delivery::event(&created));

    created["pending_webhooks"] = json!(3);
    created["api_version"] = json!("2020-08-27");
    let answer: Value = server.deliver(&Delivery::event(&created)).json().unwrap();

    assert_eq!(
        answer,
        json!({ "received": true, "sequence": first, "duplicate": true })
    );
    assert_eq!(server.read("/v1/sessions/vs_1")["anomalies"], json!([]));
}

#[test]
fn many_deliveries_of_one_event_at_once_make_one_entry() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let delivery = Delivery::event(&event("evt_1", "vs_1", "user_1", "created", 10));

    let answers: Vec<Value> = std::thread::scope(|scope| {
        let send = || server.deliver(&delivery).json::<Value>().unwrap();
        let senders: Vec<_> = (0..16).map(|_| scope.spawn(send)).collect();
        senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .collect()
    });

    let is_first = |answer: &&Value| answer["duplicate"] == json!(false);
    assert_eq!(answers.iter().filter(is_first).count(), 1);
    assert!(answers.iter().all(|answer| answer["sequence"] == 0));
    assert_eq!(server.read_plain("/readyz")["entries"], 1);
}

#[test]
fn the_same_id_with_other_facts_is_kept_as_a_conflict_and_never_folded() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "user_1", "created", 10,
    )));
    let other = with_report(event("evt_1", "vs_1", "user_1", "verified", 20), "vr_1");

    let conflict = server.record(&Delivery::event(&other));
    let again = server.record(&Delivery::event(&other));

    assert_eq!((conflict, again), (1, 1));
    let session = server.read("/v1/sessions/vs_1");
    assert_eq!(session["status"], "requires_input");
    assert_eq!(session["events"], 1);
    assert_eq!(session["anomalies"][0]["rule"], "conflicting_event");
    assert_eq!(server.read("/v1/anomalies")["data"][0]["sequence"], 1);
}

#[test]
fn a_thin_event_is_kept_and_shown_and_never_folded() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "user_1", "created", 10,
    )));
    let thin = json!({
        "id": "evt_2", "object": "v2.core.event", "livemode": false, "context": null,
        "type": "v1.identity.verification_session.verified", "created": "2026-10-09T09:34:35.123Z",
        "related_object": { "id": "vs_1", "type": "identity.verification_session" },
    });

    let sequence = server.record(&Delivery::event(&thin));

    let session = server.read("/v1/sessions/vs_1");
    assert_eq!(session["status"], "requires_input");
    assert_eq!(session["events"], 1);
    assert_eq!(session["anomalies"][0]["rule"], "thin_event");
    assert_eq!(session["anomalies"][0]["sequence"], sequence);
    drop(server);
    let restarted = Server::start(directory.path());
    assert_eq!(restarted.read("/v1/sessions/vs_1"), session);
}

#[test]
fn a_second_event_object_for_one_change_adds_no_attempt() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let failed = |id| with_report(event(id, "vs_1", "user_1", "requires_input", 20), "vr_1");
    server.record(&Delivery::event(&event(
        "evt_1",
        "vs_1",
        "user_1",
        "processing",
        10,
    )));

    for id in ["evt_2", "evt_3"] {
        server.record(&Delivery::event(&with_error(
            failed(id),
            "document_expired",
        )));
    }

    let session = server.read("/v1/sessions/vs_1");
    assert_eq!(session["attempts"], 1);
    assert_eq!(session["events"], 3);
    assert_eq!(session["anomalies"], json!([]));
}
