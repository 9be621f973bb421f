//! Users: the standing of a user and the decision whether they may try again, in the shape that others rely on.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::server::Server;

/// Records a failed attempt of a user in a session of its own.
fn fail(server: &Server, user: &str, number: i64, at: i64) -> u64 {
    let session = format!("vs_{user}_{number}");
    let failed = event(
        &format!("evt_{user}_{number}"),
        &session,
        user,
        "requires_input",
        at,
    );
    let failed = with_report(failed, &format!("vr_{user}_{number}"));
    server.record(&Delivery::event(&with_error(failed, "document_expired")))
}

fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().unwrap();
    data.iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_standing_has_the_shape_that_is_documented() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let processing = event("evt_1", "vs_1", "user_42", "processing", 1_760_000_060);
    server.record(&Delivery::event(&processing));
    let failed = event("evt_2", "vs_1", "user_42", "requires_input", 1_760_000_075);
    let failed = with_error(with_report(failed, "vr_1"), "document_expired");
    server.record(&Delivery::event(&failed));

    let mut standing = server.read("/v1/users/user_42");

    let policy = standing["decision"]["policy"].take();
    let tag = standing["tag"].take();
    assert_eq!(policy.as_str().unwrap().len(), 16);
    assert_eq!(tag.as_str().unwrap().len(), "tag_".len() + 32);
    assert_eq!(
        standing,
        json!({
            "object": "user_standing", "id": "user_42", "tag": null, "livemode": false, "account": null,
            "status": "requires_input", "since": 1_760_000_075, "current_session": "vs_1",
            "attempts": { "total": 1, "in_window": 0, "limit": 5 },
            "last_error": { "code": "document_expired", "at": 1_760_000_075 },
            "reversed": false,
            "decision": {
                "outcome": "allowed", "remaining": 5, "retry_at": null, "resume_session": "vs_1",
                "policy": null, "reasons": [],
            },
            "sessions": [{
                "id": "vs_1", "status": "requires_input", "created": 1_760_000_000,
                "since": 1_760_000_075, "redaction": null, "attempts": 1, "reversed": false,
            }],
            "anomalies": 0, "sequence": 1,
        })
    );
}

#[test]
fn the_fifth_failure_within_a_day_reaches_the_limit_and_says_until_when() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let start = avow::system::now_seconds().0 - 1_000;

    for number in 0..5 {
        fail(&server, "user_1", number, start + number);
    }

    let decision = &server.read("/v1/users/user_1")["decision"];
    assert_eq!(decision["outcome"], "limit_reached");
    assert_eq!(decision["remaining"], 0);
    assert_eq!(decision["retry_at"], start + 86_400);
    assert_eq!(decision["resume_session"], Value::Null);
}

#[test]
fn a_user_whom_no_session_names_is_missing() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());

    let response = server.get("/v1/users/nobody");

    assert_eq!(response.status(), 404);
    let error = &response.json::<Value>().unwrap()["error"];
    assert_eq!(error["code"], "resource_missing");
    assert_eq!(error["param"], "id");
    assert!(!error.to_string().contains("nobody"));
}

#[test]
fn users_are_found_by_references_that_need_escaping() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let cases = [
        ("ü/1 a", "%C3%BC%2F1%20a"),
        ("50%41", "50%2541"),
        ("a%2Fb", "a%252Fb"),
        ("a+b", "a+b"),
        ("x?y#z", "x%3Fy%23z"),
    ];
    for (number, (reference, _)) in cases.iter().enumerate() {
        let (id, session) = (format!("evt_{number}"), format!("vs_{number}"));
        let created = event(&id, &session, reference, "created", 10);
        server.record(&Delivery::event(&created));
    }

    for (reference, escaped) in cases {
        assert_eq!(
            server.read(&format!("/v1/users/{escaped}"))["id"],
            reference
        );
    }
}

#[test]
fn a_list_of_users_pages_in_both_directions_and_names_each_user_once() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    for number in 0..7 {
        fail(&server, &format!("user_{number}"), 0, 10);
    }

    let first = server.read("/v1/users?limit=3");
    let all = server.read("/v1/users?limit=100");
    let last_id = ids(&first).pop().unwrap();
    let second = server.read(&format!("/v1/users?limit=3&starting_after={last_id}"));
    let back = server.read(&format!(
        "/v1/users?limit=3&ending_before={}",
        ids(&second)[0]
    ));

    assert_eq!(
        (first["object"].as_str(), first["url"].as_str()),
        (Some("list"), Some("/v1/users"))
    );
    assert_eq!(first["has_more"], true);
    assert_eq!(all["has_more"], false);
    assert_eq!(ids(&all).len(), 7);
    assert_eq!(ids(&all)[..3], ids(&first));
    assert_eq!(ids(&all)[3..6], ids(&second));
    assert_eq!(ids(&back), ids(&first));
}

#[test]
fn a_place_in_the_list_can_be_named_by_tag_which_outlasts_the_name() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    for number in 0..3 {
        fail(&server, &format!("user_{number}"), 0, 10);
    }
    let all = server.read("/v1/users");

    let tag = all["data"][0]["tag"].as_str().unwrap();
    let rest = server.read(&format!("/v1/users?starting_after={tag}"));

    assert_eq!(ids(&rest), ids(&all)[1..]);
}

#[test]
fn users_are_listed_by_status_by_decision_and_by_how_near_the_limit_they_are() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let start = avow::system::now_seconds().0 - 1_000;
    for (user, failures) in [("fresh", 1), ("near", 4), ("over", 5)] {
        for number in 0..failures {
            fail(&server, user, number, start + number);
        }
    }
    let verified = with_report(event("evt_v", "vs_v", "done", "verified", start), "vr_v");
    server.record(&Delivery::event(&verified));
    let cases = [
        ("status=verified", vec!["done"]),
        ("decision=already_verified", vec!["done"]),
        ("decision=limit_reached", vec!["over"]),
        ("decision=allowed&remaining_max=1", vec!["near"]),
        (
            "status=requires_input&decision=allowed",
            vec!["fresh", "near"],
        ),
        ("status=processing", vec![]),
    ];

    for (filter, expected) in cases {
        let mut found = ids(&server.read(&format!("/v1/users?{filter}")));
        found.sort();
        assert_eq!(found, expected, "{filter}");
    }
}

#[test]
fn an_answer_that_the_client_holds_is_304_until_it_changes() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    fail(&server, "user_1", 0, 10);
    let url = server.url("/v1/users/user_1?livemode=false");
    let tag = server.get("/v1/users/user_1").headers()["etag"].clone();
    let ask = || {
        server
            .client()
            .get(&url)
            .header("If-None-Match", &tag)
            .send()
            .unwrap()
    };

    let unchanged = ask();
    fail(&server, "user_2", 0, 10);
    let after_another_user = ask();
    fail(&server, "user_1", 1, 20);
    let changed = ask();

    assert_eq!(unchanged.status(), 304);
    assert_eq!(unchanged.headers()["etag"], tag);
    assert_eq!(after_another_user.status(), 304);
    assert_eq!(changed.status(), 200);
    assert_ne!(changed.headers()["etag"], tag);
}

#[test]
fn min_sequence_is_answered_once_reached_and_refused_when_it_is_not_in_time() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.http.min_sequence_wait_seconds_max = 1;
    });
    let sequence = fail(&server, "user_1", 0, 10);

    let reached = server.get(&format!("/v1/users/user_1?min_sequence={sequence}"));
    let waits = std::thread::scope(|scope| {
        let asking = scope.spawn(|| server.get("/v1/users/user_1?min_sequence=1"));
        fail(&server, "user_1", 1, 20);
        asking.join().unwrap()
    });
    let too_far = server.get("/v1/users/user_1?min_sequence=99");

    assert_eq!(reached.status(), 200);
    assert_eq!(waits.json::<Value>().unwrap()["sequence"], 1);
    assert_eq!(too_far.status(), 503);
    assert!(too_far.headers().contains_key("retry-after"));
}

#[test]
fn what_was_acknowledged_is_in_every_later_answer_while_others_read_and_write() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.http.workers = Some(4);
    });
    let acknowledged = AtomicU64::new(fail(&server, "user_1", 0, 10));
    let read = || {
        for _ in 0..400 {
            let expected = acknowledged.load(Ordering::SeqCst);
            let standing = server.read("/v1/users/user_1");
            assert!(standing["sequence"].as_u64().unwrap() >= expected);
        }
    };

    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(read);
        }
        for number in 1..=150 {
            fail(&server, "user_2", number, 10);
            acknowledged.store(fail(&server, "user_1", number, 10), Ordering::SeqCst);
        }
    });

    assert_eq!(
        server.read("/v1/users/user_1")["attempts"]["total"],
        json!(151)
    );
}

#[test]
fn a_parameter_that_is_wrong_repeated_or_unknown_is_refused_by_name() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let cases = [
        ("/v1/users?limit=0", "parameter_invalid"),
        ("/v1/users?limit=101", "parameter_invalid"),
        ("/v1/users?limit=ten", "parameter_invalid"),
        ("/v1/users?status=unseen", "parameter_invalid"),
        ("/v1/users?decision=perhaps", "parameter_invalid"),
        (
            "/v1/users?starting_after=a&ending_before=b",
            "parameter_invalid",
        ),
        ("/v1/users?account=a%20b", "parameter_invalid"),
        ("/v1/users?livemode=false", "parameter_repeated"),
        ("/v1/users?colour=red", "parameter_unknown"),
        ("/v1/sessions?age_seconds_min=5", "parameter_invalid"),
        ("/v1/sessions?starting_after=vs_none", "resource_missing"),
        ("/v1/users?starting_after=nobody", "resource_missing"),
        ("/v1/users?ending_before=[redacted]", "resource_missing"),
    ];

    for (path, code) in cases {
        let response = server.get(path);
        assert_eq!(response.status(), 400, "{path}");
        assert_eq!(
            response.json::<Value>().unwrap()["error"]["code"],
            code,
            "{path}"
        );
    }
}
