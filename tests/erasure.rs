//! After an erasure no copy of a payload or its key can be read from any file of the service: by an operator's wish, or
//! by the `redacted` event on its own.

use std::path::Path;
use std::sync::mpsc;

use avow::log::Log;
use avow::log::entry::{Fact, Leaf};
use avow::log::keys::MasterKey;
use avow::log::residue::{Residue, search};
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use state_machine::id::SequenceNumber;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event};
use crate::support::log::{Home, append, erase, event_body, random};
use crate::support::server::{MASTER_KEY, Server};
use crate::support::traces::{FIRST_SLOT, Trace, found_in, holds, traces_of_key};

fn words() -> Value {
    json!({ "actor": "Dana D. P. Officer", "reason": "the person asked for it" })
}

/// Delivers three events of session `vs_1`, whose key lies in the first slot, and one of `vs_2`.
fn deliver(server: &Server) {
    for (id, session, name) in [
        ("evt_1", "vs_1", "created"),
        ("evt_2", "vs_1", "processing"),
        ("evt_3", "vs_1", "verified"),
        ("evt_4", "vs_2", "created"),
    ] {
        server.record(&Delivery::event(&event(
            id,
            session,
            "person_marker",
            name,
            10,
        )));
    }
}

fn redacted() -> Delivery {
    Delivery::event(&event(
        "evt_redacted",
        "vs_1",
        "person_marker",
        "redacted",
        20,
    ))
}

/// Returns the leaves of a data directory that no server holds, and the sealed payloads that sled has.
fn entries(data_dir: &Path) -> Vec<(Leaf, Vec<u8>)> {
    let key = MasterKey::parse(MASTER_KEY).unwrap();
    let options = avow::log::Options {
        ballast_bytes: 0,
        disk_free_bytes_min: 0,
        ..avow::log::Options::new(random, avow::system::now)
    };
    let (log, _) = Log::open(&data_dir.join("log"), &key, options).unwrap();
    let entries = log.entries_from(SequenceNumber(0)).map(Result::unwrap);
    entries
        .map(|entry| (entry.leaf.clone(), entry.sealed.clone()))
        .collect()
}

fn residue(data_dir: &Path) -> Residue {
    search(data_dir, &MasterKey::parse(MASTER_KEY).unwrap(), |_, _| {}).unwrap()
}

/// Waits until the erasure of `vs_1` is done: a reader sees it as soon as it is folded.
fn erasure_of(server: &Server) -> Value {
    let answer = server.state("vs_1", "erase", &words());
    assert_eq!(answer.status(), 200);
    answer.json().unwrap()
}

#[test]
fn nothing_of_an_erased_session_can_be_read_from_any_file() {
    type Wish<'wish> = &'wish dyn Fn(&Server);
    let by_operator = |server: &Server| drop(erasure_of(server));
    let by_event = |server: &Server| assert_eq!(server.record(&redacted()), 4);
    let rows: [(&str, Wish<'_>); 2] = [("an operator", &by_operator), ("the event", &by_event)];
    for (by, wish) in rows {
        let directory = tempdir().unwrap();
        let server = Server::start(directory.path());
        deliver(&server);
        let mut traces = traces_of_key(directory.path(), MASTER_KEY, FIRST_SLOT);
        let other = traces_of_key(directory.path(), MASTER_KEY, FIRST_SLOT + 1);

        wish(&server);
        erasure_of(&server); // done, whoever wanted it
        drop(server);

        traces.extend(["person_marker", "metadata_marker"].map(|marker| (marker, marker.into())));
        assert_eq!(
            found_in(directory.path(), &traces),
            Vec::<String>::new(),
            "{by}"
        );
        let wrapped = &found_in(&directory.path().join("vault"), &other);
        assert_eq!(
            wrapped.len(),
            3,
            "{by}: the search finds what is there: {wrapped:?}"
        );
        assert_journal_is_blank(directory.path(), by);
        let residue = residue(directory.path());
        assert_eq!(
            (residue.erased, residue.remains.as_slice()),
            (1, [].as_slice()),
            "{by}"
        );
    }
}

/// Asserts that no sealed payload of the session in the first slot lies in the journal, while those of others do.
fn assert_journal_is_blank(data_dir: &Path, by: &str) {
    let sealed = entries(data_dir)
        .into_iter()
        .filter(|(_, sealed)| !sealed.is_empty());
    let (erased, others): (Vec<_>, Vec<_>) =
        sealed.partition(|(leaf, _)| leaf.key_slot.0 == FIRST_SLOT);
    let trace = |(_, sealed): (Leaf, Vec<u8>)| ("a sealed payload", sealed[..32].to_vec());
    let erased: Vec<Trace> = erased.into_iter().map(trace).collect();
    let others: Vec<Trace> = others.into_iter().map(trace).collect();
    let journal = data_dir.join("log/journal");
    assert!(erased.len() >= 3, "{by}: sled still has them");
    assert_eq!(found_in(&journal, &erased), Vec::<String>::new(), "{by}");
    assert_eq!(found_in(&journal, &others).len(), others.len(), "{by}");
}

#[test]
fn an_erasure_is_reported_and_reported_again() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server);

    let first = erasure_of(&server);
    let again = erasure_of(&server);

    let mut expected = json!({
        "object": "erasure", "session": "vs_1", "entry": null, "livemode": false, "account": null,
        "status": "done", "sequence": 4, "duplicate": false, "hold": null,
        "report": {
            "done_sequence": 5, "key_slot": FIRST_SLOT, "payloads": 3, "entries": [0, 1, 2],
            "erased_in": ["vault", "log/journal"],
            "remains": first["report"]["remains"],
        },
    });
    assert_eq!(first, expected);
    let remains = first["report"]["remains"].as_array().unwrap();
    let places: Vec<_> = remains
        .iter()
        .map(|remains| remains["place"].as_str().unwrap())
        .collect();
    assert_eq!(places, ["log", "log/sled"]);
    expected["duplicate"] = json!(true);
    assert_eq!(again, expected);
    let session = server.read("/v1/sessions/vs_1");
    assert_eq!(
        session["erasure"],
        json!({ "status": "done", "sequence": 4, "done_sequence": 5 })
    );
    assert_eq!(
        (&session["user"], &session["status"]),
        (&json!("[redacted]"), &json!("verified"))
    );
    assert_eq!(server.read("/v1/sessions/vs_2")["user"], "person_marker");
    assert_eq!(
        server.read("/v1/users/person_marker")["attempts"]["total"],
        1
    );
}

#[test]
fn whoever_folds_the_log_is_told_of_an_erasure_once_it_is_done() {
    let home = Home::in_memory();
    let log = home.open();
    let (sender, told) = mpsc::channel();
    log.when_erased(move |done| sender.send(done).unwrap());
    append(&log, &event_body("evt_1", "1", "verified"));

    let done = erase(&log, "vs_1");

    assert_eq!(told.recv().unwrap(), done);
}

#[test]
fn who_wanted_it_and_why_is_kept_sealed() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server);
    erasure_of(&server);
    drop(server);

    let markers = ["Dana D. P. Officer", "the person asked"].map(|text| (text, text.into()));
    assert_eq!(found_in(directory.path(), &markers), Vec::<String>::new());

    let key = MasterKey::parse(MASTER_KEY).unwrap();
    let options = avow::log::Options::new(random, avow::system::now);
    let (log, _) = Log::open(&directory.path().join("log"), &key, options).unwrap();
    let entry = log.entry(SequenceNumber(4)).unwrap().unwrap();
    let words = log.words(&entry).unwrap();
    assert_eq!(words.actor, "Dana D. P. Officer");
    assert_eq!(words.reason, "the person asked for it");
}

#[test]
fn a_hold_keeps_what_is_to_be_erased_until_it_is_released() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server);
    let traces = traces_of_key(directory.path(), MASTER_KEY, FIRST_SLOT);
    let stated = |verb: &str| {
        let answer = server.state("vs_1", verb, &words());
        assert_eq!(answer.status(), 200, "{verb}");
        let answer: Value = answer.json().unwrap();
        ["status", "sequence", "duplicate", "hold"].map(|name| answer[name].clone())
    };

    assert_eq!(
        stated("hold"),
        [json!("held"), json!(4), json!(false), json!(null)]
    );
    assert_eq!(
        stated("hold"),
        [json!("held"), json!(4), json!(true), json!(null)]
    );
    server.record(&redacted());
    assert_eq!(
        stated("erase"),
        [json!("waiting"), json!(6), json!(true), json!(4)]
    );
    assert_eq!(
        stated("hold"),
        [json!("held"), json!(4), json!(true), json!(null)]
    );

    let waiting = server.read("/v1/sessions/vs_1");
    assert_eq!(waiting["hold"], 4);
    assert_eq!(
        waiting["erasure"],
        json!({ "status": "waiting", "sequence": 6, "done_sequence": null })
    );
    assert_eq!(waiting["user"], "person_marker");
    assert!(!found_in(&directory.path().join("vault"), &traces).is_empty());

    assert_eq!(
        stated("release")[..3],
        [json!("released"), json!(7), json!(false)]
    );
    assert_eq!(
        stated("erase"),
        [json!("done"), json!(6), json!(true), json!(null)]
    );
    assert_eq!(found_in(directory.path(), &traces), Vec::<String>::new());
    let refused = server.state("vs_1", "hold", &words());
    assert_eq!(refused.status(), 409);
    drop(server);
    let done = |(leaf, _): &(Leaf, Vec<u8>)| matches!(leaf.fact, Fact::ErasureDone(_));
    assert_eq!(
        entries(directory.path())
            .iter()
            .filter(|entry| done(entry))
            .count(),
        1
    );
}

#[test]
fn what_cannot_be_stated_is_refused() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server);
    erasure_of(&server);
    let long = |bytes: usize| "x".repeat(bytes);
    #[rustfmt::skip]
    let rows = [
        ("vs_9", "erase",   words(),                                          404, "resource_missing",  json!("id")),
        ("v s",  "erase",   words(),                                          404, "resource_missing",  json!("id")),
        ("vs_1", "hold",    words(),                                          409, "erasure_begun",     json!(null)),
        ("vs_2", "release", words(),                                          409, "not_held",          json!(null)),
        ("vs_2", "erase",   json!({ "actor": " ", "reason": "why" }),         400, "parameter_invalid", json!("actor")),
        ("vs_2", "erase",   json!({ "actor": long(256), "reason": "why" }),   400, "parameter_invalid", json!("actor")),
        ("vs_2", "erase",   json!({ "actor": "who", "reason": "" }),          400, "parameter_invalid", json!("reason")),
        ("vs_2", "erase",   json!({ "actor": "who", "reason": long(4097) }),  400, "parameter_invalid", json!("reason")),
        ("vs_2", "erase",   json!({ "actor": "who" }),                        400, "body_invalid",      json!(null)),
        ("vs_2", "erase",   json!({ "actor": "who", "reason": "why", "x": 1 }), 400, "body_invalid",    json!(null)),
        ("vs_2", "erase",   json!({ "actor": "who", "reason": long(33_000) }), 413, "body_too_large",   json!(null)),
    ];
    for (session, verb, body, status, code, param) in rows {
        let answer = server.state(session, verb, &body);

        assert_eq!(answer.status(), status, "{session} {verb}");
        let error = answer.json::<Value>().unwrap()["error"].clone();
        assert_eq!(
            (&error["code"], &error["param"]),
            (&json!(code), &param),
            "{session} {verb}"
        );
    }
    let url = server.url("/v1/sessions/vs_2/erase?livemode=false");
    let text = server.client().post(url).header(CONTENT_TYPE, "text/plain");
    assert_eq!(text.body(words().to_string()).send().unwrap().status(), 415);
    let other_world = server
        .client()
        .post(server.url("/v1/sessions/vs_2/erase?livemode=true"));
    assert_eq!(other_world.json(&words()).send().unwrap().status(), 404);
    assert_eq!(
        server.read("/v1/sessions/vs_2")["erasure"],
        json!(null),
        "nothing came of any"
    );
}

#[test]
fn what_comes_late_for_an_erased_session_is_recorded_without_its_payload_and_mints_no_key() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server);
    erasure_of(&server);
    let late = event("evt_late", "vs_1", "person_marker", "requires_input", 30);
    let again = event("evt_3", "vs_1", "person_marker", "verified", 10);
    let fresh = event("evt_5", "vs_3", "person_marker", "created", 30);

    assert_eq!(server.record(&Delivery::event(&late)), 6);
    assert_eq!(server.record(&Delivery::event(&again)), 2, "a duplicate");
    assert_eq!(server.record(&Delivery::event(&fresh)), 7);
    server.record(&redacted());

    assert_eq!(server.read("/v1/sessions/vs_1")["user"], "[redacted]");
    assert_eq!(server.read("/v1/sessions/vs_1")["status"], "redacted");
    drop(server);
    let server = Server::start(directory.path());
    assert_eq!(server.read("/v1/sessions/vs_1")["user"], "[redacted]");
    drop(server);

    let entries = entries(directory.path());
    let kept = |sequence: usize| {
        (
            entries[sequence].0.key_slot.0,
            entries[sequence].0.payload.is_some(),
        )
    };
    assert_eq!(kept(6), (FIRST_SLOT, false), "evt_late");
    assert_eq!(
        kept(7),
        (FIRST_SLOT + 2, true),
        "no key was minted between vs_2 and vs_3"
    );
    assert_eq!(kept(8), (FIRST_SLOT, false), "evt_redacted");
    assert_eq!(entries.len(), 9, "erased once");
}

#[test]
fn after_a_rotation_an_erasure_leaves_nothing_under_either_key() {
    const OTHER_KEY: &str = "a17c39e0d25b4f8861f3907ace24bd50f81e6a92c7350dbe4f19286d0a73ec54";
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server);
    drop(server);
    let mut traces = traces_of_key(directory.path(), MASTER_KEY, FIRST_SLOT);
    let all_old = [0, 1, FIRST_SLOT, FIRST_SLOT + 1]
        .map(|slot| traces_of_key(directory.path(), MASTER_KEY, slot)[4..].to_vec());
    let (old, new) = [MASTER_KEY, OTHER_KEY]
        .map(|key| MasterKey::parse(key).unwrap())
        .into();

    avow::log::vault::rotation::rotate_master_key(directory.path(), &old, &new, random).unwrap();
    assert_eq!(
        found_in(directory.path(), &all_old.concat()),
        Vec::<String>::new()
    );
    traces.extend(traces_of_key(directory.path(), OTHER_KEY, FIRST_SLOT));
    let server = Server::start_under(directory.path(), OTHER_KEY);
    erasure_of(&server);

    assert_eq!(server.read("/v1/sessions/vs_2")["user"], "person_marker");
    drop(server);
    assert_eq!(found_in(directory.path(), &traces), Vec::<String>::new());
    assert!(
        search(directory.path(), &old, |_, _| {}).is_err(),
        "the old key opens nothing"
    );
    assert_eq!(
        search(directory.path(), &new, |_, _| {}).unwrap().remains,
        []
    );
}

#[test]
fn a_search_for_traces_finds_them_anywhere() {
    let directory = tempdir().unwrap();
    let below = directory.path().join("deep");
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join("file"), b"aaab").unwrap();

    assert!(holds(b"aaab", b"aab") && !holds(b"aaab", b"abb"));
    assert!(holds(b"\0\0\0ab", b"\0a") && !holds(b"ab", b"\0a"));
    assert_eq!(
        found_in(directory.path(), &[("it", b"aab".to_vec())]).len(),
        1
    );
}
