//! Overrides: what an operator decides about a user is a fact of the log, made once, and folded like any other.

use std::fs;
use std::sync::mpsc;

use avow::http::overrides::fresh_id;
use avow::log::{IdempotencyKey, WantedOverride, Words};
use avow::service::Service;
use avow::service::asked::Asked;
use avow::service::overrides::{MadeOverride, OverrideError};
use avow::stripe::user_reference::UserReference;
use serde_json::{Value, json};
use state_machine::id::World;
use state_machine::overrides::Action;
use state_machine::time::Timestamp;
use tempfile::{TempDir, tempdir};

use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::process::{Process, serve};
use crate::support::server::{Server, open_service};
use crate::support::strace::{self, Trace};
use crate::support::traces::found_in;

/// Returns what is asked for, with a reason.
fn wanted(action: Value) -> Value {
    let mut wanted = action;
    let members = wanted.as_object_mut().unwrap();
    members.insert("actor".to_owned(), "ada".into());
    members.insert("reason".to_owned(), "MARKERREASON".into());
    wanted
}

fn block() -> Value {
    wanted(json!({ "action": "block" }))
}

/// Makes an override that has to be taken, and returns what is told of it.
fn make(server: &Server, user: &str, wanted: &Value) -> Value {
    let response = server.decide(user, wanted, None);
    assert_eq!(response.status(), 200);
    response.json().unwrap()
}

/// Records as many failed attempts of a user, just now.
fn fail(server: &Server, user: &str, attempts: i64) {
    let start = avow::system::now_seconds().0 - 1_000;
    for number in 0..attempts {
        let (id, session) = (
            format!("evt_{user}_{number}"),
            format!("vs_{user}_{number}"),
        );
        let failed = event(&id, &session, user, "requires_input", start + number);
        let failed = with_report(failed, &format!("vr_{user}_{number}"));
        server.record(&Delivery::event(&with_error(failed, "document_expired")));
    }
}

fn decision(server: &Server, user: &str) -> Value {
    let decision = &server.read(&format!("/v1/users/{user}"))["decision"];
    json!([decision["outcome"], decision["remaining"]])
}

fn size(server: &Server) -> u64 {
    let sequence = server.read_plain("/v1/digest")["sequence"].as_u64();
    sequence.unwrap()
}

#[test]
fn what_an_operator_decides_holds_at_once() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    fail(&server, "ann", 5);
    #[rustfmt::skip]
    let rows = [
        (json!({ "action": "grant", "attempts": 2 }), json!(["allowed", 2])),
        (json!({ "action": "grant", "attempts": 1 }), json!(["allowed", 3])),
        (json!({ "action": "block" }),                json!(["blocked", 0])),
        (json!({ "action": "reset" }),                json!(["blocked", 0])),
        (json!({ "action": "unblock" }),              json!(["allowed", 8])),
    ];

    assert_eq!(decision(&server, "ann"), json!(["limit_reached", 0]));
    for (action, expected) in rows {
        make(&server, "ann", &wanted(action.clone()));
        assert_eq!(decision(&server, "ann"), expected, "after {action}");
    }
}

#[test]
fn an_override_is_told_in_the_shape_that_is_documented() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let expires = avow::system::now_seconds().0 + 3_600;

    let made = make(
        &server,
        "ann",
        &wanted(json!({ "action": "grant", "attempts": 2, "expires": expires })),
    );
    let standing = server.read("/v1/users/ann");

    let (id, at) = (made["id"].as_str().unwrap(), &made["at"]);
    assert!(id.starts_with("ovr_"), "{id}");
    assert_eq!(
        made,
        json!({
            "object": "override", "id": id, "user": "ann", "tag": standing["tag"], "livemode": false, "account": null,
            "action": "grant", "attempts": 2, "at": at, "expires": expires, "sequence": 0,
        })
    );
    assert_eq!(
        server.read("/v1/users/ann/overrides")["data"],
        json!([made])
    );
    assert_eq!(
        standing["decision"]["reasons"],
        json!([{ "reason": "grant", "override": id, "attempts": 2, "expires": expires }])
    );
}

#[test]
fn a_user_is_blocked_before_any_session_names_them() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());

    let made = make(&server, "newcomer", &block());
    let before = server.read("/v1/users/newcomer");
    let listed = server.read("/v1/users?decision=blocked");
    server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "newcomer", "created", 10,
    )));
    let after = server.read("/v1/users/newcomer");

    let shown = [
        &before["status"],
        &before["since"],
        &before["current_session"],
        &before["last_error"],
        &before["sessions"],
        &before["decision"]["outcome"],
        &before["sequence"],
    ];
    assert_eq!(
        json!(shown),
        json!([null, null, null, null, [], "blocked", 0])
    );
    assert_eq!(
        json!([listed["data"][0]["id"], listed["data"][0]["tag"]]),
        json!(["[unnamed]", made["tag"]])
    );
    assert_eq!(
        json!([after["status"], after["decision"]["outcome"]]),
        json!(["requires_input", "blocked"])
    );
    let status = server.read("/v1/users?status=requires_input&decision=blocked");
    assert_eq!(status["data"][0]["id"], "newcomer");
}

#[test]
fn an_override_holds_in_its_own_world() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());

    make(&server, "ann", &block());
    let live = server.get_plain("/v1/users/ann?livemode=true");
    let of_account = server.get("/v1/users/ann?account=acct_1");

    assert_eq!(
        (live.status().as_u16(), of_account.status().as_u16()),
        (404, 404)
    );
}

#[test]
fn the_entry_of_an_override_tells_who_made_it_and_why_and_no_file_does_in_clear() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let made = make(&server, "MARKERUSER", &block());
    let tag = made["tag"].as_str().unwrap();

    // A log that closes has a checkpoint over all of it.
    drop(server);
    let server = Server::start(directory.path());
    let entry = server.read_plain("/v1/log/entries/0");
    drop(server);

    assert_eq!(entry["kind"], "override");
    assert_eq!(
        entry["words"],
        json!({ "actor": "ada", "reason": "MARKERREASON" })
    );
    assert_eq!(
        entry["fact"],
        json!({
            "override": made["id"], "livemode": false, "account": null, "user_tag": tag, "action": "block",
            "attempts": null, "expires": null, "idempotency_key_tag": null, "content_tag": null,
        })
    );
    let traces = [
        ("the user", b"MARKERUSER".to_vec()),
        ("the reason", b"MARKERREASON".to_vec()),
    ];
    assert_eq!(found_in(directory.path(), &traces), Vec::<String>::new());
}

#[test]
fn the_answer_about_a_user_changes_with_each_override_and_only_then() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    make(&server, "ann", &block());
    let ask = || {
        let response = server.get("/v1/users/ann");
        let tag = response.headers()["etag"].clone();
        (tag, response.json::<Value>().unwrap()["sequence"].take())
    };

    let (first, again) = (ask(), ask());
    make(&server, "bob", &block());
    let after_another = ask();
    make(&server, "ann", &wanted(json!({ "action": "unblock" })));
    let (tag, sequence) = ask();

    assert_eq!((&first, &first), (&again, &after_another));
    assert_eq!((first.1, sequence), (json!(0), json!(2)));
    assert_ne!(first.0, tag);
}

#[test]
fn overrides_are_listed_the_latest_first_and_page_in_both_directions() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    for attempts in 1..=5 {
        make(
            &server,
            "ann",
            &wanted(json!({ "action": "grant", "attempts": attempts })),
        );
    }
    let page = |query: &str| {
        let page = server.read(&format!("/v1/users/ann/overrides?{query}"));
        let attempts = page["data"].as_array().unwrap().iter();
        let attempts: Vec<_> = attempts.map(|made| made["attempts"].as_u64()).collect();
        json!([attempts, page["has_more"]])
    };
    let all = server.read("/v1/users/ann/overrides");
    let id = |place: usize| all["data"][place]["id"].as_str().unwrap();

    assert_eq!(all["url"], "/v1/users/ann/overrides");
    assert_eq!(page("limit=10"), json!([[5, 4, 3, 2, 1], false]));
    assert_eq!(page("limit=2"), json!([[5, 4], true]));
    assert_eq!(
        page(&format!("limit=2&starting_after={}", id(1))),
        json!([[3, 2], true])
    );
    assert_eq!(
        page(&format!("limit=2&ending_before={}", id(3))),
        json!([[4, 3], true])
    );
    assert_eq!(
        page(&format!("limit=9&ending_before={}", id(1))),
        json!([[5], false])
    );
    let nowhere = server.get("/v1/users/ann/overrides?starting_after=ovr_none");
    assert_eq!(nowhere.status(), 400);
    assert_eq!(server.get("/v1/users/nobody/overrides").status(), 404);
}

#[test]
fn what_is_not_an_override_is_refused_by_name_and_leaves_no_entry() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let past = avow::system::now_seconds().0;
    let long = "x".repeat(4_097);
    #[rustfmt::skip]
    let rows = [
        (json!({ "action": "grant", "actor": "a", "reason": "r" }),                  "parameter_invalid", json!("attempts")),
        (json!({ "action": "grant", "attempts": 0, "actor": "a", "reason": "r" }),   "parameter_invalid", json!("attempts")),
        (json!({ "action": "block", "attempts": 1, "actor": "a", "reason": "r" }),   "parameter_invalid", json!("attempts")),
        (json!({ "action": "block", "expires": past, "actor": "a", "reason": "r" }), "parameter_invalid", json!("expires")),
        (json!({ "action": "block", "actor": " ", "reason": "r" }),                  "parameter_invalid", json!("actor")),
        (json!({ "action": "block", "actor": "a", "reason": long }),                 "parameter_invalid", json!("reason")),
        (json!({ "action": "forgive", "actor": "a", "reason": "r" }),                "body_invalid",      json!(null)),
        (json!({ "action": "block", "actor": "a" }),                                 "body_invalid",      json!(null)),
        (json!({ "action": "block", "actor": "a", "reason": "r", "until": 1 }),      "body_invalid",      json!(null)),
    ];
    for (wanted, code, param) in rows {
        let response = server.decide("ann", &wanted, None);

        assert_eq!(response.status(), 400, "{wanted}");
        let error = &response.json::<Value>().unwrap()["error"];
        assert_eq!((&error["code"], &error["param"]), (&json!(code), &param));
    }
    let long_key = server.decide("ann", &block(), Some(&"k".repeat(256)));
    assert_eq!(long_key.status(), 400);
    assert_eq!(size(&server), 0);
}

/// Asks under a key; returns the status, the answer, and whether it was given before.
fn under(server: &Server, key: &str, user: &str, wanted: &Value) -> (u16, Value, bool) {
    let response = server.decide(user, wanted, Some(key));
    let status = response.status().as_u16();
    let is_repeated = response.headers().contains_key("idempotent-replayed");
    (status, response.json().unwrap(), is_repeated)
}

#[test]
fn a_request_under_one_key_has_one_effect_and_one_answer_for_good() {
    let directory = tempdir().unwrap();
    let grant = wanted(json!({ "action": "grant", "attempts": 2 }));
    let server = Server::start(directory.path());
    let (status, answer, is_repeated) = under(&server, "key 1", "ann", &grant);
    assert_eq!((status, is_repeated), (200, false));

    assert_eq!(
        under(&server, "key 1", "ann", &grant),
        (200, answer.clone(), true)
    );
    drop(server);
    let server = Server::start(directory.path());
    assert_eq!(
        under(&server, "key 1", "ann", &grant),
        (200, answer.clone(), true)
    );
    drop(server);
    // The index is built anew from the leaves, which hold the tags.
    fs::remove_dir_all(directory.path().join("log/index")).unwrap();
    let server = Server::start(directory.path());
    assert_eq!(
        under(&server, "key 1", "ann", &grant),
        (200, answer.clone(), true)
    );

    assert_eq!(under(&server, "key 2", "ann", &grant).1["sequence"], 1);
    assert_eq!(make(&server, "ann", &grant)["sequence"], 2);
    assert_eq!(decision(&server, "ann"), json!(["allowed", 11]));
}

#[test]
fn a_key_that_comes_with_anything_else_is_refused() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let grant = |change: &dyn Fn(&mut Value)| {
        let mut grant = wanted(json!({ "action": "grant", "attempts": 2 }));
        change(&mut grant);
        grant
    };
    under(&server, "key", "ann", &grant(&|_| {}));
    let others = [
        ("bob", grant(&|_| {})),
        ("ann", grant(&|grant| grant["attempts"] = 3.into())),
        ("ann", grant(&|grant| grant["actor"] = "bo".into())),
        ("ann", grant(&|grant| grant["reason"] = "another".into())),
        ("ann", grant(&|grant| grant["expires"] = i64::MAX.into())),
        ("ann", wanted(json!({ "action": "block" }))),
    ];

    for (user, other) in others {
        let (status, answer, _) = under(&server, "key", user, &other);

        assert_eq!(status, 422, "{user} {other}");
        assert_eq!(answer["error"]["code"], "idempotency_key_reused");
    }
    assert_eq!(size(&server), 1);
}

#[test]
fn of_requests_that_race_under_one_key_one_has_an_effect() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let grants = [1, 2].map(|attempts| wanted(json!({ "action": "grant", "attempts": attempts })));

    let answers: Vec<_> = std::thread::scope(|scope| {
        let server = &server;
        let ask = |grant| scope.spawn(move || under(server, "key", "ann", grant));
        let asked: Vec<_> = grants.iter().cycle().take(16).map(ask).collect();
        let answers = asked.into_iter();
        answers.map(|one| one.join().unwrap()).collect()
    });

    let (taken, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|(status, _, _)| *status == 200);
    assert_eq!((taken.len(), refused.len()), (8, 8));
    assert!(taken.iter().all(|(_, answer, _)| *answer == taken[0].1));
    assert!(refused.iter().all(|(status, _, _)| *status == 422));
    assert_eq!(size(&server), 1);
}

#[test]
fn an_override_whose_answer_is_lost_with_the_process_is_there_and_is_made_once() {
    let directory = tempdir().unwrap();
    let process = Process::start(directory.path());
    let ask = |process: &Process| process.decide("ann", &block(), "key").unwrap();
    let first: Value = ask(&process).json().unwrap();

    process.kill();
    drop(process);
    let process = Process::start(directory.path());
    let blocked = process.read("/v1/users/ann")["decision"]["outcome"].take();
    let again = ask(&process);

    assert_eq!(blocked, "blocked");
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.json::<Value>().unwrap(), first);
    assert_eq!(process.entries(), 2, "the policy, and the override");
}

#[test]
fn an_override_that_dies_before_it_is_known_to_be_durable_is_made_once_when_it_is_asked_for_again()
{
    if !strace::is_present() {
        return;
    }
    // The journal's first writes are the zeros of its first segment and the policy, which share a sync.
    for (call, number, is_kept) in [("pwrite64", 3, false), ("fdatasync", 2, true)] {
        let directory = tempdir().unwrap();
        let data = directory.path().join("data");
        let trace = Trace::in_directory(directory.path());
        let segment = data.join("log/journal/00000000000000000000.segment");
        let fault = format!("{call}:signal=KILL:when={number}");
        let struck = trace.of(&serve(&data), Some(&segment), call, Some(&fault));
        let process = Process::of(struck).unwrap();
        assert_eq!(process.entries(), 1);

        let lost = process.decide("ann", &block(), "key");
        process.wait();
        let process = Process::start(&data);
        let kept = process.entries();
        let again = process.decide("ann", &block(), "key").unwrap();

        assert!(lost.is_err(), "{fault}");
        assert_eq!(kept, if is_kept { 2 } else { 1 }, "{fault}");
        let is_repeated = again.headers().contains_key("idempotent-replayed");
        assert_eq!(is_repeated, is_kept, "{fault}");
        let user = process.read("/v1/users/ann");
        assert_eq!(user["decision"]["outcome"], "blocked", "{fault}");
        assert_eq!(process.entries(), 2, "{fault}");
    }
}

/// A log with a user's sessions and overrides, and its digest.
fn overridden() -> (TempDir, String) {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    make(&server, "bob", &block());
    fail(&server, "ann", 2);
    make(
        &server,
        "ann",
        &wanted(json!({ "action": "grant", "attempts": 1 })),
    );
    let digest = server.read_plain("/v1/digest")["digest"].to_string();
    drop(server);
    (directory, digest)
}

#[test]
fn projections_that_are_lost_are_folded_again_with_their_overrides() {
    let (directory, before) = overridden();
    fs::remove_dir_all(directory.path().join("projections")).unwrap();

    let server = Server::start(directory.path());

    assert_eq!(
        server.read_plain("/v1/digest")["digest"].to_string(),
        before
    );
    assert_eq!(decision(&server, "bob"), json!(["blocked", 0]));
    assert_eq!(decision(&server, "ann"), json!(["allowed", 4]));
}

#[test]
fn an_override_ends_by_itself() {
    let directory = tempdir().unwrap();
    let service = open_service(directory.path());
    let user = service.user_tag(&UserReference::new("ann").unwrap());
    let (start, world) = (avow::system::now_seconds(), world());
    let expires = start.plus_seconds(60);
    let block = block_until(&service, expires, None);
    begin(&service, &block, start).recv().unwrap().unwrap();

    let outcome = |now| {
        let user = service
            .user(&world, user, &Asked::at(now))
            .unwrap()
            .unwrap();
        user.decision.outcome.as_str()
    };

    assert_eq!(outcome(expires.plus_seconds(-1)), "blocked");
    assert_eq!(outcome(expires), "allowed");
}

#[test]
fn a_request_that_comes_again_when_its_override_has_ended_gets_the_first_answer_however_soon() {
    let directory = tempdir().unwrap();
    let service = open_service(directory.path());
    let start = avow::system::now_seconds();
    let expires = start.plus_seconds(60);
    let keyed = |key| block_until(&service, expires, Some(key));
    let other = WantedOverride {
        action: Action::Unblock,
        ..keyed("key 1")
    };

    // None of them waits for the one before, so that the index knows of none.
    let [first, again, anew, differently, without_key] = [
        (keyed("key 1"), start),
        (keyed("key 1"), expires),
        (keyed("key 2"), expires),
        (other, expires),
        (block_until(&service, expires, None), expires),
    ]
    .map(|(wanted, now)| begin(&service, &wanted, now))
    .map(|answer| answer.recv().unwrap());

    let first = first.unwrap();
    let repeated = MadeOverride {
        is_repeated: true,
        ..first
    };
    assert_eq!(again.unwrap(), repeated);
    let refused = |answer: Result<_, OverrideError>| answer.unwrap_err().to_string();
    assert_eq!(refused(anew), "`expires` must lie in the future");
    assert_eq!(refused(without_key), "`expires` must lie in the future");
    assert_eq!(
        refused(differently),
        "the idempotency key came with another request, which entry 0 holds"
    );
    let known = begin(&service, &keyed("key 1"), expires).recv().unwrap();
    assert_eq!(known.unwrap(), repeated);
}

/// Returns a wish to block a user until a time.
fn block_until(service: &Service, expires: Timestamp, key: Option<&str>) -> WantedOverride {
    WantedOverride {
        id: fresh_id().unwrap(),
        world: world(),
        user: service.user_tag(&UserReference::new("ann").unwrap()),
        action: Action::Block,
        expires: Some(expires),
        idempotency_key: key.and_then(IdempotencyKey::new),
    }
}

/// Asks for an override, and returns by what the answer comes.
fn begin(
    service: &Service,
    wanted: &WantedOverride,
    now: Timestamp,
) -> mpsc::Receiver<Result<MadeOverride, OverrideError>> {
    let words = Words {
        actor: "ada".to_owned(),
        reason: "a test".to_owned(),
        token: None,
    };
    let (sender, made) = mpsc::channel();
    service.make_override(wanted, &words, now, move |made| {
        sender.send(made).unwrap();
    });
    made
}

fn world() -> World {
    World {
        livemode: false,
        account: None,
    }
}
