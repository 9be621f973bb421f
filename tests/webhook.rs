//! The webhook: what is authentic is kept and answered 200, what is not costs nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_report};
use crate::support::server::{SECRET, Server};

fn error_of(response: reqwest::blocking::Response) -> Value {
    response.json::<Value>().unwrap()["error"].clone()
}

/// Returns the bytes of every file in a directory.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

#[test]
fn an_authentic_event_is_answered_with_its_place_in_the_log() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());

    let response = server.deliver(&Delivery::event(&event(
        "evt_1", "vs_1", "u", "created", 10,
    )));

    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("request-id"));
    let answer: Value = response.json().unwrap();
    assert_eq!(
        answer,
        json!({ "received": true, "sequence": 0, "duplicate": false })
    );
}

#[test]
fn an_event_of_a_foreign_type_is_acknowledged_and_not_kept() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());

    let foreign =
        json!({ "id": "evt_1", "object": "event", "type": "charge.succeeded", "created": 10 });
    let answer: Value = server.deliver(&Delivery::event(&foreign)).json().unwrap();

    assert_eq!(
        answer,
        json!({ "received": true, "ignored": "charge.succeeded" })
    );
    assert_eq!(server.read_plain("/readyz")["entries"], 0);
}

#[test]
fn what_is_not_authentic_is_refused_by_rule_and_leaves_no_byte_on_disk() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let honest = Delivery::event(&event("evt_1", "vs_1", "u", "created", 10));
    let forged = Delivery {
        header: honest.header.replace("v1=", "v1=00"),
        ..honest.clone()
    };
    let tampered = Delivery {
        body: b"{}".to_vec(),
        ..honest.clone()
    };
    let nameless = Delivery {
        header: String::new(),
        ..honest
    };

    let journal = directory.path().join("log/journal");
    let before = files(&journal);
    for (delivery, code) in [
        (forged, "signature_mismatch"),
        (tampered, "signature_mismatch"),
        (nameless, "timestamp_missing"),
    ] {
        let response = server.deliver(&delivery);
        assert_eq!(response.status(), 400);
        let error = error_of(response);
        assert_eq!(error["type"], "invalid_request_error");
        assert_eq!(error["code"], code);
        assert!(!error.to_string().contains(SECRET));
    }

    assert_eq!(server.read_plain("/readyz")["entries"], 0);
    assert!(
        !before.is_empty() && before == files(&journal),
        "the journal has changed"
    );
}

#[test]
fn a_delivery_without_a_signature_is_refused() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());

    let response = server
        .client()
        .post(server.url("/webhooks/stripe"))
        .body("{}")
        .send()
        .unwrap();

    assert_eq!(response.status(), 400);
    assert_eq!(error_of(response)["code"], "signature_header_missing");
}

#[test]
fn a_body_over_the_limit_is_answered_413_and_one_at_the_limit_is_read() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.webhook.body_bytes_max = 1 << 14;
    });
    let of_size = |bytes: usize| Delivery::of([b"{}".to_vec(), vec![b' '; bytes - 2]].concat());

    let too_large = server.deliver(&of_size((1 << 14) + 1));
    let at_the_limit = server.deliver(&of_size(1 << 14));

    assert_eq!(too_large.status(), 413);
    assert_eq!(error_of(too_large)["code"], "body_too_large");
    assert_eq!(at_the_limit.status(), 200);
}

#[test]
fn an_authentic_body_that_cannot_be_read_is_kept_once_and_shown_as_an_anomaly() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());

    let first = server.record(&Delivery::of("} no JSON"));
    let again: Value = server.deliver(&Delivery::of("} no JSON")).json().unwrap();

    assert_eq!(
        again,
        json!({ "received": true, "sequence": first, "duplicate": true })
    );
    let anomalies = server.read("/v1/anomalies");
    assert_eq!(anomalies["data"][0]["rule"], "unreadable:not_json");
    assert_eq!(anomalies["data"].as_array().unwrap().len(), 1);
}

#[test]
fn a_thin_event_is_kept_without_a_status_and_shown_as_an_anomaly_of_its_session() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let thin = include_str!("fixtures/stripe/signed-samples/thin.requires_input.body.json");

    let sequence = server.record(&Delivery::of(thin));

    let session = server.read("/v1/sessions/vs_1TestIdentity0000000001");
    assert_eq!(session["status"], Value::Null);
    assert_eq!(session["events"], 0);
    assert_eq!(session["anomalies"][0]["rule"], "thin_event");
    assert_eq!(session["sequence"], sequence);
    assert_eq!(server.read("/v1/sessions")["data"], json!([]));
}

#[test]
fn an_event_of_a_connected_account_belongs_to_that_account_alone() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let mut connected = with_report(event("evt_1", "vs_1", "user_1", "verified", 10), "vr_1");
    connected["account"] = json!("acct_1");

    server.record(&Delivery::event(&connected));

    assert_eq!(server.get("/v1/users/user_1").status(), 404);
    assert_eq!(
        server.read("/v1/users/user_1?account=acct_1")["status"],
        "verified"
    );
}

#[test]
fn a_test_mode_event_never_verifies_a_live_user() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());

    let verified = with_report(event("evt_1", "vs_1", "user_1", "verified", 10), "vr_1");
    server.record(&Delivery::event(&verified));

    let live = server
        .client()
        .get(server.url("/v1/users/user_1?livemode=true"))
        .send()
        .unwrap();
    assert_eq!(live.status(), 404);
    assert_eq!(error_of(live)["code"], "resource_missing");
}

#[test]
fn other_methods_and_other_paths_are_refused_in_the_same_shape() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let cases = [
        ("/webhooks/stripe", 405, "method_not_allowed"),
        ("/nowhere", 404, "path_unknown"),
    ];

    for (path, status, code) in cases {
        let response = server.client().get(server.url(path)).send().unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert!(response.headers().contains_key("request-id"));
        assert_eq!(error_of(response)["code"], code);
    }
}
