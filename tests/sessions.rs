//! Sessions: what is known of one, how it came to be that, and the lists that operators work from.

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::server::Server;

fn ids(list: &Value) -> Vec<&str> {
    list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

#[test]
fn a_session_has_the_shape_that_is_documented() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    server.record(&Delivery::event(&event(
        "evt_1",
        "vs_1",
        "user_1",
        "created",
        1_760_000_000,
    )));
    let declined = event("evt_2", "vs_1", "user_1", "requires_input", 1_760_000_030);
    server.record(&Delivery::event(&with_error(declined, "consent_declined")));
    let verified = event("evt_3", "vs_1", "user_1", "verified", 1_760_000_075);
    server.record(&Delivery::event(&with_report(verified, "vr_1")));
    server.record(&Delivery::event(&event(
        "evt_4",
        "vs_1",
        "user_1",
        "processing",
        1_760_000_080,
    )));

    assert_eq!(
        server.read("/v1/sessions/vs_1"),
        json!({
            "object": "session", "id": "vs_1", "status": "verified", "created": 1_760_000_000,
            "since": 1_760_000_075, "redaction": null, "attempts": 2, "reversed": false,
            "user": "user_1", "livemode": false, "account": null, "last_error": null,
            "last_verification_report": "vr_1", "declines": { "consent_declined": 1 }, "events": 4,
            "anomalies": [{
                "object": "anomaly", "id": "3-processing_after_verified",
                "rule": "processing_after_verified", "event": "evt_4", "session": "vs_1",
                "at": 1_760_000_080, "sequence": 3,
            }],
            "hold": null, "erasure": null, "sequence": 3,
        })
    );
}

#[test]
fn a_history_explains_each_event_by_its_row_of_the_transition_table() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let verified = with_report(event("evt_3", "vs_1", "user_1", "verified", 75), "vr_1");
    server.record(&Delivery::event(&verified));
    server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "user_1", "created", 10,
    )));

    let history = server.read("/v1/sessions/vs_1/history");

    let steps: Vec<_> = history["data"].as_array().unwrap().iter().collect();
    let column = |name: &str| {
        steps
            .iter()
            .map(|step| step[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(column("event"), ["evt_1", "evt_3"]);
    assert_eq!(column("sequence"), [1, 0]);
    assert_eq!(
        column("row"),
        [
            "unseen/created",
            "requires_input/verified:processing_not_seen"
        ]
    );
    assert_eq!(column("mark"), ["expected", "inferred"]);
    assert_eq!(column("to"), ["requires_input", "verified"]);
    assert_eq!(steps[0]["type"], "identity.verification_session.created");
}

#[test]
fn a_redaction_keeps_the_owner_by_tag_alone_and_ends_the_session() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let verified = with_report(event("evt_1", "vs_1", "user_1", "verified", 75), "vr_1");
    server.record(&Delivery::event(&verified));
    let mut redacted = with_report(event("evt_2", "vs_1", "user_1", "redacted", 90_000), "vr_1");
    redacted["data"]["object"]["metadata"] = json!({});
    redacted["data"]["object"]["redaction"] = json!({ "status": "redacted" });
    server.record(&Delivery::event(&redacted));

    let session = server.read("/v1/sessions/vs_1");

    assert_eq!(session["status"], "redacted");
    assert_eq!(session["redaction"], "done");
    assert_eq!(session["user"], "[redacted]");
    assert_eq!(session["hold"], Value::Null);
    assert_eq!(session["erasure"]["sequence"], 2);
    assert_eq!(server.read("/v1/users/user_1")["attempts"]["total"], 1);
}

#[test]
fn sessions_are_listed_the_most_recently_created_first() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    for (number, created) in [(1, 100), (2, 300), (3, 200)] {
        let (id, session) = (format!("evt_{number}"), format!("vs_{number}"));
        let mut created_event = event(&id, &session, "user_1", "created", created);
        created_event["data"]["object"]["created"] = json!(created);
        server.record(&Delivery::event(&created_event));
    }

    let all = server.read("/v1/sessions");
    let page = server.read("/v1/sessions?limit=1&starting_after=vs_2");
    let back = server.read("/v1/sessions?limit=5&ending_before=vs_1");

    assert_eq!(ids(&all), ["vs_2", "vs_3", "vs_1"]);
    assert_eq!(ids(&page), ["vs_3"]);
    assert_eq!(page["has_more"], true);
    assert_eq!(ids(&back), ["vs_2", "vs_3"]);
    assert_eq!(back["has_more"], false);
}

#[test]
fn a_session_stuck_in_processing_is_found_by_its_age() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let now = avow::system::now_seconds().0;
    for (number, age) in [(1, 7_200), (2, 60), (3, 4_000)] {
        let (id, session) = (format!("evt_{number}"), format!("vs_{number}"));
        let processing = event(&id, &session, "user_1", "processing", now - age);
        server.record(&Delivery::event(&processing));
    }

    let stuck = server.read("/v1/sessions?status=processing&age_seconds_min=3600");
    let next =
        server.read("/v1/sessions?status=processing&age_seconds_min=3600&starting_after=vs_3");

    assert_eq!(ids(&stuck), ["vs_3", "vs_1"]);
    assert_eq!(ids(&next), ["vs_1"]);
}

#[test]
fn a_session_moves_to_the_user_whom_its_last_event_names() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "first", "created", 10,
    )));
    server.record(&Delivery::event(&event(
        "evt_2",
        "vs_1",
        "second",
        "processing",
        20,
    )));

    assert_eq!(server.get("/v1/users/first").status(), 404);
    assert_eq!(server.read("/v1/users/second")["status"], "processing");
    assert_eq!(ids(&server.read("/v1/users")), ["second"]);
    assert_eq!(
        server.read("/v1/sessions/vs_1")["anomalies"][0]["rule"],
        "user_changed"
    );
}

#[test]
fn anomalies_page_from_the_latest_entry_back() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    for body in ["1", "[]", "}"] {
        server.record(&Delivery::of(body));
    }

    let first = server.read("/v1/anomalies?limit=2");
    let last = ids(&first)[1];
    let second = server.read(&format!("/v1/anomalies?limit=2&starting_after={last}"));
    let back = server.read(&format!("/v1/anomalies?limit=2&ending_before={last}"));

    assert_eq!(
        ids(&first),
        ["2-unreadable:not_json", "1-unreadable:not_an_object"]
    );
    assert_eq!(ids(&second), ["0-unreadable:not_an_object"]);
    assert_eq!(ids(&back), ["2-unreadable:not_json"]);
}
