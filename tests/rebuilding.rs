//! Rebuilds: the log is folded anew while everything goes on, what differs is told, and one moment decides which store counts.

use std::collections::BTreeSet;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use avow::log::rows::database::Database;
use avow::projections::bulk::watch::Priority;
use avow::projections::generations::Generations;
use avow::projections::part::Part;
use avow::service::Service;
use avow::service::rebuilds::{BeginError, State, Wanted};
use avow::stripe::signature;
use avow::stripe::user_reference::UserReference;
use serde_json::{Value, json};
use state_machine::id::World;
use tempfile::{TempDir, tempdir};

use crate::digest::run_on;
use crate::support::delivery::{Delivery, deliver_numbered, event};
use crate::support::process::Process;
use crate::support::rows::{self, keyspace};
use crate::support::server::{Server, open_service};

const WHOLE: Wanted = Wanted {
    part: None,
    dry_run: false,
};

/// Starts a server, and delivers a little of everything: two users, a late event, a body that cannot be read.
fn delivered() -> (TempDir, Server) {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    for (id, session, user, name, created) in [
        ("evt_1", "vs_1", "user_1", "created", 10),
        ("evt_2", "vs_1", "user_1", "processing", 20),
        ("evt_3", "vs_1", "user_1", "verified", 30),
        ("evt_4", "vs_2", "user_2", "created", 40),
        ("evt_5", "vs_3", "user_1", "requires_input", 50),
        ("evt_6", "vs_1", "user_1", "created", 60),
    ] {
        server.record(&Delivery::event(&event(id, session, user, name, created)));
    }
    server.record(&Delivery::of("no JSON"));
    (directory, server)
}

/// Everything that is served.
fn everything(server: &Server) -> Vec<Value> {
    let paths = [
        "/v1/users/user_1",
        "/v1/users/user_2",
        "/v1/users",
        "/v1/users?status=verified",
        "/v1/sessions",
        "/v1/sessions?status=verified",
        "/v1/sessions/vs_1",
        "/v1/anomalies",
    ];
    paths.iter().map(|path| server.read(path)).collect()
}

/// Begins a rebuild, waits for its end, and returns it.
fn rebuild(server: &Server, wanted: &Value) -> Value {
    let begun = server
        .client()
        .post(server.url("/v1/rebuilds?livemode=false"))
        .json(wanted)
        .send()
        .unwrap();
    assert_eq!(begun.status(), 202);
    let begun: Value = begun.json().unwrap();
    let path = format!("/v1/rebuilds/{}", begun["id"].as_str().unwrap());
    end_of(|| server.read_plain(&path))
}

fn end_of(look: impl Fn() -> Value) -> Value {
    loop {
        let seen = look();
        let status = seen["status"].as_str().expect("it has a status").to_owned();
        if !["folding", "comparing"].contains(&status.as_str()) {
            return seen;
        }
        thread::yield_now();
    }
}

fn projections(directory: &Path) -> PathBuf {
    directory.join("projections")
}

fn database(directory: &Path) -> Database {
    let current = Generations::of(&projections(directory)).current();
    rows::open(&current.unwrap().unwrap())
}

/// Makes stopped projections say what the log does not: a session has the history of another, a row of a listing is gone
/// and another too many, a user has lost a session.
fn falsify(directory: &Path) {
    let database = database(directory);
    let sessions = keyspace(&database, "sessions");
    let stored = rows::rows(&database, &sessions);
    let (key, _) = &stored[0];
    sessions.insert(key.clone(), stored[1].1.clone()).unwrap();
    let listings = keyspace(&database, "listings");
    let listed = rows::rows(&database, &listings);
    let (first, value) = listed.iter().find(|(key, _)| key[0] == b'c').unwrap();
    listings.remove(first.clone()).unwrap();
    let mut other = first.clone();
    other[5] ^= 1; // listed at another time
    listings.insert(other, value.clone()).unwrap();
    let users = keyspace(&database, "users");
    let stored = rows::rows(&database, &users);
    users
        .insert(stored[0].0.clone(), stored[1].1.clone())
        .unwrap();
}

#[test]
fn a_rebuild_of_right_projections_finds_no_difference_and_is_served() {
    let (directory, server) = delivered();
    let before = everything(&server);
    let digest = server.read_plain("/v1/digest");

    let done = rebuild(&server, &json!({}));

    assert_eq!(done["status"], "done", "{done}");
    let result = &done["result"];
    assert_eq!(result["differences_count"], 0, "{done}");
    assert_eq!(result["digest_before"], result["digest_after"]);
    // It covers its own entry of the access record.
    let of = |digest: &Value| digest["sequence"].as_u64().unwrap();
    assert_eq!(of(result), of(&digest) + 1);
    assert_eq!(done["entries_done"], done["entries"]);
    assert_eq!(everything(&server), before);
    let after = server.read_plain("/v1/digest");
    assert_eq!(after["digest"], result["digest_after"]);
    assert_eq!(after["sequence"], result["sequence"]);
    let list = server.read_plain("/v1/rebuilds");
    assert_eq!(list["data"][0]["id"], done["id"]);
    let current = Generations::of(&projections(directory.path())).current();
    assert!(current.unwrap().unwrap().ends_with("generation-2"));
    // What comes later is folded into the store that is served now.
    let late = event("evt_9", "vs_2", "user_2", "canceled", 90);
    server.record(&Delivery::event(&late));
    assert_eq!(server.read("/v1/sessions/vs_2")["status"], "canceled");
}

#[test]
fn a_dry_run_tells_what_is_wrong_and_changes_nothing_and_a_rebuild_mends_it() {
    let (directory, server) = delivered();
    let right = everything(&server);
    drop(server);
    falsify(directory.path());
    let server = Server::start(directory.path());
    let wrong = server.read("/v1/sessions");

    let dry = rebuild(&server, &json!({ "dry_run": true }));

    assert_eq!(dry["status"], "done", "{dry}");
    let differences = dry["result"]["differences"].as_array().unwrap();
    let told: Vec<_> = differences
        .iter()
        .map(|one| (one["what"].as_str().unwrap(), one["why"].as_str().unwrap()))
        .collect();
    assert!(
        told.iter()
            .any(|(what, why)| *what == "record" && why.contains("events")),
        "{told:?}"
    );
    assert!(told.contains(&("listing", "it was not stored")), "{told:?}");
    assert!(
        told.contains(&("listing", "nothing in the log says so")),
        "{told:?}"
    );
    assert!(
        told.contains(&("record", "other sessions were stored as theirs")),
        "{told:?}"
    );
    assert_ne!(
        dry["result"]["digest_before"],
        dry["result"]["digest_after"]
    );
    assert_eq!(server.read("/v1/sessions"), wrong);
    let after = server.read_plain("/v1/digest");
    assert_eq!(after["digest"], dry["result"]["digest_before"]);

    let done = rebuild(&server, &json!({}));

    assert_eq!(done["result"]["differences"], dry["result"]["differences"]);
    assert_eq!(everything(&server), right);
    assert_eq!(
        server.read_plain("/v1/digest")["digest"],
        done["result"]["digest_after"]
    );
}

#[test]
fn a_part_is_mended_and_nothing_else() {
    for part in [json!({ "session": "vs_1" }), json!({ "user": "user_1" })] {
        let (directory, server) = delivered();
        drop(server);
        falsify(directory.path());
        let server = Server::start(directory.path());
        let dry = json!({ "dry_run": true });
        let wrong = rebuild(&server, &dry)["result"]["differences_count"].clone();
        let mut only_told = part.clone();
        only_told["dry_run"] = json!(true);

        let told = rebuild(&server, &only_told);
        assert_eq!(rebuild(&server, &dry)["result"]["differences_count"], wrong);
        let mended = rebuild(&server, &part);

        assert_eq!(mended["status"], "done", "{mended}");
        assert_eq!(
            mended["result"]["differences"],
            told["result"]["differences"]
        );
        let left = rebuild(&server, &dry)["result"]["differences_count"].clone();
        assert!(left.as_u64() < wrong.as_u64(), "{part}: {wrong} → {left}");
        let again = rebuild(&server, &part);
        assert_eq!(again["result"]["differences_count"], 0, "{again}");
    }
}

#[test]
fn mending_every_part_mends_the_whole() {
    let (directory, server) = delivered();
    drop(server);
    falsify(directory.path());
    let server = Server::start(directory.path());
    let whole = json!({ "dry_run": true });
    assert_ne!(rebuild(&server, &whole)["result"]["differences_count"], 0);

    for user in ["user_1", "user_2"] {
        assert_eq!(rebuild(&server, &json!({ "user": user }))["status"], "done");
    }

    let result = rebuild(&server, &whole)["result"].take();
    assert_eq!(result["differences_count"], 0, "{result}");
    assert_eq!(result["digest_before"], result["digest_after"]);
}

#[test]
fn a_damaged_record_is_mended_by_a_rebuild_without_a_restart() {
    let (directory, server) = delivered();
    let right = everything(&server);
    drop(server);
    let broken = database(directory.path());
    let sessions = keyspace(&broken, "sessions");
    for (key, _) in rows::rows(&broken, &sessions) {
        sessions.insert(key, [0xff; 3]).unwrap();
    }
    drop((sessions, broken));
    let server = Server::start(directory.path());
    assert_eq!(server.get("/v1/sessions/vs_1").status(), 500);

    let done = rebuild(&server, &json!({}));

    assert_eq!(done["status"], "done", "{done}");
    let why = &done["result"]["differences"][0]["why"];
    assert_eq!(why, "what was stored cannot be read");
    assert_eq!(everything(&server), right);
}

#[test]
fn reads_and_deliveries_never_fail_while_the_log_is_folded_anew_again_and_again() {
    let (_directory, server) = delivered();
    let is_over = AtomicBool::new(false);

    thread::scope(|scope| {
        for reader in 0..2 {
            let (server, is_over) = (&server, &is_over);
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let path = ["/v1/users/user_1", "/v1/sessions?status=verified"][reader];
                    assert_eq!(server.get(path).status(), 200, "{path}");
                    assert_eq!(server.get_plain("/readyz").status(), 200);
                }
            });
        }
        let (server, is_over) = (&server, &is_over);
        scope.spawn(move || {
            for number in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let id = format!("evt_live_{number}");
                let live = event(
                    &id,
                    &format!("vs_live_{number}"),
                    "user_3",
                    "created",
                    number,
                );
                let sequence = server.record(&Delivery::event(&live));
                let session = format!("/v1/sessions/vs_live_{number}?min_sequence={sequence}");
                assert_eq!(server.get(&session).status(), 200);
            }
        });
        for _ in 0..2 {
            let done = rebuild(server, &json!({}));
            assert_eq!(done["status"], "done", "{done}");
            assert_eq!(done["result"]["differences_count"], 0, "{done}");
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let done = rebuild(&server, &json!({ "dry_run": true }));
    assert_eq!(
        done["result"]["digest_before"],
        done["result"]["digest_after"]
    );
}

/// Delivers an event, and keeps the projector from going on until the returned sender is dropped.
fn hold_the_projector(service: &Service) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (held, is_held) = mpsc::channel();
    let event = event("evt_held", "vs_held", "user_9", "created", 99);
    ingest(service, &event, move || {
        held.send(()).unwrap();
        released.recv().ok();
    });
    is_held.recv().unwrap();
    release
}

fn ingest(service: &Service, event: &Value, folded: impl FnOnce() + Send + 'static) {
    let delivery = Delivery::event(event);
    let delivery = signature::Delivery {
        signature_header: Some(delivery.header.as_bytes()),
        body: &delivery.body,
        received_at: avow::system::now(),
    };
    service.ingest(delivery, move |ingested| {
        ingested.unwrap();
        folded();
    });
}

fn wait(service: &Service, id: &str) -> State {
    loop {
        let state = service.rebuild(id).unwrap().state;
        if !state.is_running() {
            return state;
        }
        thread::yield_now();
    }
}

#[test]
fn one_rebuild_runs_at_a_time_and_one_that_is_cancelled_changes_nothing() {
    let (directory, server) = delivered();
    drop(server);
    let service = open_service(directory.path());
    service.wait_until_caught_up();
    let release = hold_the_projector(&service);
    let current = || Generations::of(&projections(directory.path())).current();
    let before = current().unwrap();
    let first = service.begin_rebuild(WHOLE, Priority::Lowest).unwrap();

    let second = service.begin_rebuild(WHOLE, Priority::Lowest);
    service.cancel_rebuild(&first.id).unwrap();
    drop(release);

    assert!(matches!(second, Err(BeginError::Running(id)) if id == first.id));
    assert_eq!(wait(&service, &first.id), State::Cancelled);
    assert_eq!(current().unwrap(), before);
    assert!(!projections(directory.path()).join("rebuilding").exists());
    let third = service.begin_rebuild(WHOLE, Priority::Lowest).unwrap();
    assert!(matches!(wait(&service, &third.id), State::Done(_)));
    assert_eq!(service.rebuilds().len(), 2);
}

#[test]
fn a_session_that_names_a_user_while_they_are_folded_anew_stays_theirs() {
    let (directory, server) = delivered();
    drop(server);
    let service = open_service(directory.path());
    let release = hold_the_projector(&service);
    let reference = UserReference::new("user_1").unwrap();
    let world = World {
        livemode: false,
        account: None,
    };
    let wanted = Wanted {
        part: Some(Part::User(world, service.user_tag(&reference))),
        dry_run: false,
    };
    let begun = service.begin_rebuild(wanted, Priority::Lowest).unwrap();
    while service.rebuild(&begun.id).unwrap().state == State::Folding {
        thread::yield_now();
    }

    let (folded, is_folded) = mpsc::channel();
    let late = event("evt_late", "vs_late", "user_1", "created", 70);
    ingest(&service, &late, move || folded.send(()).unwrap());
    drop(release);
    is_folded.recv().unwrap();
    let ended = wait(&service, &begun.id);
    drop(service);

    assert!(
        matches!(&ended, State::Done(found) if found.count == 0),
        "{ended:?}"
    );
    let server = Server::start(directory.path());
    let dry = rebuild(&server, &json!({ "dry_run": true }));
    assert_eq!(dry["result"]["differences_count"], 0, "{dry}");
}

#[test]
fn a_rebuild_that_a_server_left_is_left_alone_by_commands_until_one_rebuilds_everything() {
    let (directory, server) = delivered();
    drop(server);
    let wish = projections(directory.path()).join("rebuilding");
    fs::write(&wish, "rebuild_left").unwrap();

    for command in [
        &["digest"][..],
        &["rebuild", "--dry-run"],
        &["rebuild", "--session", "vs_1"],
    ] {
        let (code, _, talk) = run_on(directory.path(), command);
        assert_eq!(code, Some(0), "{command:?}: {talk}");
        let left = fs::read_to_string(&wish).unwrap();
        assert_eq!(left, "rebuild_left", "{command:?}");
    }
    let (code, _, talk) = run_on(directory.path(), &["rebuild"]);

    assert_eq!(code, Some(0), "{talk}");
    assert!(!wish.exists());
}

#[test]
fn a_rebuild_that_a_service_closed_upon_is_begun_anew_by_the_next() {
    let (directory, server) = delivered();
    drop(server);
    let service = open_service(directory.path());
    service.wait_until_caught_up();
    let release = hold_the_projector(&service);
    let begun = service.begin_rebuild(WHOLE, Priority::Lowest).unwrap();
    let closing = thread::spawn(move || drop(service));
    // It is noted until the rebuild has come to its end, and this one cannot.
    assert!(projections(directory.path()).join("rebuilding").exists());
    drop(release);
    closing.join().unwrap();

    // It may have come to its end before it was told to end.
    let is_left = projections(directory.path()).join("rebuilding").exists();

    let service = open_service(directory.path());

    let resumed = service.rebuild(&begun.id);
    assert_eq!(resumed.is_some_and(|resumed| resumed.is_resumed), is_left);
    if is_left {
        assert!(matches!(wait(&service, &begun.id), State::Done(_)));
    }
}

#[test]
fn a_wish_that_a_killed_process_left_is_carried_out_at_the_next_start() {
    let directory = tempdir().unwrap();
    let process = Process::start(directory.path());
    for number in 0..3 {
        let id = format!("evt_{number}");
        let delivery = Delivery::event(&event(&id, "vs_1", "user_1", "created", number));
        assert_eq!(process.deliver(&delivery).unwrap().status(), 200);
    }
    let digest = process.read("/v1/digest");
    process.kill();
    process.wait();
    let shadow = projections(directory.path()).join("generation-7");
    fs::create_dir(&shadow).unwrap();
    fs::write(shadow.join("half"), "made").unwrap();
    fs::write(
        projections(directory.path()).join("rebuilding"),
        "rebuild_left",
    )
    .unwrap();

    let process = Process::start(directory.path());

    let done = end_of(|| process.read("/v1/rebuilds/rebuild_left"));
    assert_eq!(
        (&done["status"], &done["resumed"]),
        (&json!("done"), &json!(true))
    );
    assert_eq!(done["result"]["digest_after"], digest["digest"]);
    assert!(!shadow.exists());
    assert!(!projections(directory.path()).join("rebuilding").exists());
}

/// Returns the threads of a process that write and merge rows, and how far each steps back.
fn steps_back(process: &Process) -> BTreeSet<(String, String)> {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let stats = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("stat")));
    let threads = stats.filter_map(|stat| {
        // A thread may have ended meanwhile.
        let stat = stat.ok()?;
        let (begin, end) = stat.split_once(") ")?;
        let (_, name) = begin.split_once('(')?;
        let nice = end.split(' ').nth(16)?;
        Some((name.to_owned(), nice.to_owned()))
    });
    threads
        .filter(|(name, _)| name.starts_with("rows-"))
        .collect()
}

#[test]
fn what_a_rebuild_made_is_served_with_the_priority_of_what_it_replaces() {
    let directory = tempdir().unwrap();
    let process = Process::start(directory.path());
    let before = steps_back(&process);

    let begun: Value = process
        .post_json("/v1/rebuilds", &json!({}))
        .unwrap()
        .json()
        .unwrap();
    let path = format!("/v1/rebuilds/{}", begun["id"].as_str().unwrap());
    let done = end_of(|| process.read(&path));

    assert_eq!(done["status"], "done");
    assert_eq!(before.len(), 2, "{before:?}");
    assert_eq!(steps_back(&process), before);
}

#[test]
fn a_kill_at_any_moment_of_a_rebuild_leaves_projections_that_are_right() {
    let directory = tempdir().unwrap();
    let process = Process::start(directory.path());
    deliver_numbered(0..200, |delivery| {
        process.deliver(delivery).unwrap().status().as_u16()
    });
    let lists = |process: &Process| ["/v1/users", "/v1/sessions"].map(|path| process.list(path));
    let right = lists(&process);
    drop(process);

    for looks in 0..12 {
        let process = Process::start(directory.path());
        process.entries(); // what the kill took of the projections is folded again
        assert_eq!(lists(&process), right, "before kill {looks}");
        let begun = process.post_json("/v1/rebuilds", &json!({})).unwrap();
        // Another one may be going on, which the last kill left.
        assert!([202, 409].contains(&begun.status().as_u16()));
        for _ in 0..looks {
            assert_eq!(process.get("/v1/rebuilds").status(), 200);
        }
        process.kill();
        process.wait();
    }

    let process = Process::start(directory.path());
    process.entries();
    assert_eq!(lists(&process), right);
    let ask = || process.post_json("/v1/rebuilds", &json!({ "dry_run": true }));
    let begun = iter::repeat_with(|| ask().unwrap()).find(|begun| begun.status() == 202);
    let begun: Value = begun.unwrap().json().unwrap();
    let path = format!("/v1/rebuilds/{}", begun["id"].as_str().unwrap());
    let result = end_of(|| process.read(&path))["result"].take();
    assert_eq!(result["digest_before"], result["digest_after"], "{result}");
    let left = fs::read_dir(projections(directory.path())).unwrap();
    let left = left.filter(|file| file.as_ref().unwrap().path().is_dir());
    assert!(left.count() <= 2, "leftovers are removed");
}

#[test]
fn avow_rebuild_says_what_differs_by_its_exit_code_and_in_words() {
    let directory = tempdir().unwrap();
    let process = Process::start(directory.path());
    for (id, session) in [("evt_1", "vs_1"), ("evt_2", "vs_2")] {
        let delivery = Delivery::event(&event(id, session, "user_1", "created", 10));
        assert_eq!(process.deliver(&delivery).unwrap().status(), 200);
    }
    let url = process.url().to_owned();
    let online = avow(&["rebuild", "--server", &url]);
    assert_eq!(online.0, Some(0), "{}", online.2);
    let digest = process.read("/v1/digest");
    // The deliveries, the policy that decides, and that somebody rebuilt.
    assert_eq!(digest["sequence"], 4);
    let digest = digest["digest"].as_str().unwrap();
    assert_eq!(
        online.1,
        format!("before  4 {digest}\nafter   4 {digest}\n✓ nothing differs\n")
    );
    let (code, _, talk) = run_on(directory.path(), &["rebuild"]);
    assert_eq!(code, Some(2));
    assert!(talk.contains("ask it with `--server URL`"), "{talk}");
    process.stop();
    let broken = database(directory.path());
    let sessions = keyspace(&broken, "sessions");
    sessions
        .remove(rows::rows(&broken, &sessions)[1].0.clone())
        .unwrap();
    drop((sessions, broken));

    let dry = run_on(directory.path(), &["rebuild", "--dry-run"]);
    let part = run_on(
        directory.path(),
        &["rebuild", "--session", "vs_1", "--livemode", "false"],
    );
    let whole = run_on(directory.path(), &["rebuild"]);
    let stands = run_on(directory.path(), &["digest"]).1;
    let again = run_on(directory.path(), &["rebuild", "--dry-run"]);

    assert_eq!(dry.0, Some(1), "{}", dry.2);
    let line = "✗ session vs_2 (test): record: before: nothing; after: requires_input, 1 events; why: it was not stored";
    assert!(dry.1.contains(line), "{}", dry.1);
    assert_eq!(
        (part.0, part.1.as_str()),
        (Some(0), "✓ nothing differs\n"),
        "{}",
        part.2
    );
    assert_eq!(whole.0, Some(0), "{}", whole.2);
    assert!(whole.1.contains(line), "{}", whole.1);
    // So is each of the three.
    assert!(stands.starts_with("7 "), "{stands}");
    assert!(
        whole.1.contains(&format!("after   {stands}")),
        "{}",
        whole.1
    );
    assert_eq!(again.0, Some(0), "{}", again.1);
}

/// Runs the program with nothing in its environment.
fn avow(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_avow"))
        .args(arguments)
        .env_clear()
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn what_is_no_rebuild_is_refused() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let post = |body: &Value| {
        let request = server.client().post(server.url("/v1/rebuilds"));
        request.json(body).send().unwrap().status().as_u16()
    };

    assert_eq!(post(&json!({ "dry": true })), 400);
    assert_eq!(post(&json!({ "session": "vs_1", "user": "user_1" })), 400);
    assert_eq!(post(&json!({ "session": "" })), 400);
    assert_eq!(server.get_plain("/v1/rebuilds/rebuild_none").status(), 404);
    let cancel = server.url("/v1/rebuilds/rebuild_none/cancel");
    let cancel = server.client().post(cancel).json(&json!({})).send();
    assert_eq!(cancel.unwrap().status(), 404);
}

#[test]
fn projections_of_an_older_reducer_are_folded_afresh_before_anything_is_answered() {
    let (directory, server) = delivered();
    let right = everything(&server);
    let digest = server.read_plain("/v1/digest");
    drop(server);
    falsify(directory.path());
    let older = database(directory.path());
    let version = 1_u32.to_be_bytes();
    keyspace(&older, "meta")
        .insert("reducer_version", version)
        .unwrap();
    drop(older);

    let server = Server::start(directory.path());

    assert_eq!(everything(&server), right);
    assert_eq!(server.read_plain("/v1/digest"), digest);
}
