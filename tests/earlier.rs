//! Two times: what was answered at an earlier time is answered again, by whatever came since; and what was true at a
//! time is what its own facts say.

use std::path::Path;
use std::sync::mpsc;

use avow::log::keys::MasterKey;
use avow::log::{WantedOverride, Words};
use avow::projections::view::{Position, SessionFilter};
use avow::service::asked::Asked;
use avow::service::sessions::SessionAnswer;
use avow::service::users::{UserAnswer, UserFilter};
use avow::service::{Ingested, Service};
use avow::stripe::secret::{Secret, Secrets};
use avow::stripe::signature::{self, sign};
use avow::stripe::user_reference::UserReference;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Value, json};
use state_machine::horizon::{AsOf, Horizon};
use state_machine::id::{EventId, OverrideId, SequenceNumber, SessionId, UserTag, World};
use state_machine::overrides::Action;
use state_machine::session::Session;
use state_machine::time::{ReceivedAt, Timestamp};
use state_machine::transition::StateName;
use tempfile::{TempDir, tempdir};

use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::server::{MASTER_KEY, SECRET, Server, settings};

const NOW: i64 = 1_795_000_000;
const USERS: [&str; 3] = ["user_0", "user_1", "user_2"];
const WORLD: World = World {
    livemode: false,
    account: None,
};

fn open(directory: &Path) -> Service {
    let options = settings().service_options(
        Secrets::parse(SECRET).unwrap(),
        MasterKey::parse(MASTER_KEY).unwrap(),
        avow::system::fill_random,
        || ReceivedAt((NOW + 50) * 1000),
    );
    let (service, _) = Service::open(directory, options).unwrap();
    service.wait_until_caught_up();
    service
}

fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm").unwrap_or_else(|_| tempdir().unwrap())
}

/// What is delivered, and when.
#[derive(Debug, Clone)]
struct Sent {
    body: Value,
    received_at: ReceivedAt,
}

impl Sent {
    fn created(&self) -> i64 {
        self.body["created"].as_i64().unwrap()
    }
}

/// Delivers an event, and waits until all that follows from it is done.
fn deliver(service: &Service, sent: &Sent) {
    let body = serde_json::to_vec(&sent.body).unwrap();
    let secret = Secret::new(SECRET).unwrap();
    let header = sign(&secret, sent.received_at.second(), &body);
    let delivery = signature::Delivery {
        signature_header: Some(header.as_bytes()),
        body: &body,
        received_at: sent.received_at,
    };
    let (sender, ingested) = mpsc::channel();
    service.ingest(delivery, move |result| sender.send(result).unwrap());
    let ingested = ingested.recv().unwrap().unwrap();
    assert!(matches!(ingested, Ingested::Recorded(_)));
    let session = sent.body["data"]["object"]["id"].as_str().unwrap();
    let session = SessionId::parse(session).unwrap();
    let is_being_erased = || {
        let known = service.session(&WORLD, &session, &Horizon::default());
        known.unwrap().unwrap().record.custody().is_due()
    };
    while is_being_erased() {
        std::thread::yield_now();
    }
}

/// Events of few sessions and users that agree on little: owners and times of creation change, ids come again.
fn any_deliveries() -> impl Strategy<Value = Vec<Sent>> {
    let names = select(vec![
        "created",
        "processing",
        "requires_input",
        "verified",
        "canceled",
        "redacted",
    ]);
    let one = (
        (0..10_u8, 0..3_u8, option::weighted(0.8, 0..3_usize)),
        names,
        0..12_i64,
        option::weighted(0.8, prop_oneof![6 => Just(0), 1 => 0..4_i64]),
        (
            option::of(0..3_u8),
            option::of(select(vec!["document_expired", "consent_declined"])),
        ),
        -1500..2500_i64,
    );
    vec(one, 1..14).prop_map(|all| {
        let mut received_at = NOW * 1000;
        let mut sent = Vec::new();
        for (number, ((again, session, user), name, at, created, (report, error), later)) in
            all.into_iter().enumerate()
        {
            let id = if again == 0 { 0 } else { number };
            let session = format!("vs_{session}");
            let user = user.map(|user| USERS[user]);
            let mut body = event(&format!("evt_{id}"), &session, "", name, NOW + at);
            body["data"]["object"]["metadata"] = json!({ "user_id": user });
            body["data"]["object"]["created"] = json!(created.map(|created| NOW - 100 + created));
            if let Some(report) = report {
                body = with_report(body, &format!("vr_{report}"));
            }
            if let Some(code) = error {
                body = with_error(body, code);
            }
            received_at += later;
            let received_at = ReceivedAt(received_at);
            sent.push(Sent { body, received_at });
        }
        sent
    })
}

/// How a session is answered, but for whether its payloads may be read: that is told of today.
fn session_told(known: &SessionAnswer) -> String {
    let SessionAnswer {
        id,
        record,
        session,
        anomalies,
        ..
    } = known;
    format!("{id} {record:?} {session:?} {anomalies:?}")
}

/// Returns a session, but for the tag of its user: another log has other tags.
fn nameless(known: &SessionAnswer) -> (SessionId, Session, Option<EventId>) {
    let mut session = known.session.clone();
    let named_by = session.user.take().map(|user| user.named_by);
    (known.id.clone(), session, named_by)
}

fn user_told(user: &UserAnswer) -> Vec<String> {
    let mut told: Vec<_> = user.known.sessions.iter().map(session_told).collect();
    told.push(format!("{:?} {:?}", user.tag, user.decision));
    told
}

fn tag(service: &Service, user: &str) -> UserTag {
    service.user_tag(&UserReference::new(user).unwrap())
}

/// Makes an override, and waits until it is folded.
fn decide(service: &Service, user: &str, action: Action, number: usize) {
    let wanted = WantedOverride {
        id: OverrideId::parse(&format!("ovr_{number}")).unwrap(),
        world: WORLD,
        user: tag(service, user),
        action,
        expires: None,
        idempotency_key: None,
    };
    let words = Words {
        actor: "an operator".to_owned(),
        reason: "a test".to_owned(),
        token: None,
    };
    let (sender, made) = mpsc::channel();
    let reply = move |result| sender.send(result).unwrap();
    service.make_override(&wanted, &words, Timestamp(NOW), reply);
    made.recv().unwrap().unwrap();
}

/// Everything that is answered, by what was asked.
fn answers(service: &Service, asked: &Asked) -> Vec<(String, Vec<String>)> {
    let mut answers = Vec::new();
    for user in USERS {
        let answer = service.user(&WORLD, tag(service, user), asked).unwrap();
        answers.push((user.to_owned(), answer.iter().flat_map(user_told).collect()));
    }
    for number in 0..3 {
        let id = SessionId::parse(&format!("vs_{number}")).unwrap();
        let answer = service.session(&WORLD, &id, &asked.horizon).unwrap();
        answers.push((id.to_string(), answer.iter().map(session_told).collect()));
    }
    for outcome in [
        None,
        Some("allowed"),
        Some("already_verified"),
        Some("blocked"),
    ] {
        for status in [
            None,
            Some(StateName::Verified),
            Some(StateName::RequiresInput),
        ] {
            let filter = UserFilter {
                status,
                outcome: outcome.map(str::to_owned),
                remaining_max: None,
            };
            answers.push((format!("{filter:?}"), users(service, &filter, asked)));
        }
    }
    for state in [
        None,
        Some(StateName::Verified),
        Some(StateName::RequiresInput),
    ] {
        for since_max in [None, Some(Timestamp(NOW + 4))] {
            let filter = SessionFilter { state, since_max };
            let mut listed = sessions(service, filter, asked);
            if state.is_some() {
                // Today, those of one status are listed by when they entered it.
                listed.sort();
            }
            if state.is_some() || since_max.is_none() {
                answers.push((format!("{filter:?}"), listed));
            }
        }
    }
    answers
}

/// Walks a list of users, two at a time, there and back.
fn users(service: &Service, filter: &UserFilter, asked: &Asked) -> Vec<String> {
    let page = |position| {
        service
            .users(&WORLD, filter, position, 2, asked)
            .unwrap()
            .users
    };
    let mut listed = page(None);
    let mut told: Vec<_> = listed
        .items
        .iter()
        .flat_map(|(_, user)| user_told(user))
        .collect();
    while listed.has_more {
        let first_of_page = listed.items[0].1.tag;
        let last = listed.items.last().unwrap().1.tag;
        listed = page(Some(Position::After(last)));
        told.extend(listed.items.iter().flat_map(|(_, user)| user_told(user)));
        let back = page(Some(Position::Before(listed.items[0].1.tag)));
        assert_eq!(back.items[0].1.tag, first_of_page);
    }
    told
}

/// Walks a list of sessions, two at a time.
fn sessions(service: &Service, filter: SessionFilter, asked: &Asked) -> Vec<String> {
    let horizon = &asked.horizon;
    let page = |position| {
        if horizon.is_open() {
            service.sessions(&WORLD, filter, position, 2).unwrap()
        } else {
            let page = service.earlier_sessions(&WORLD, filter, position, 2, horizon);
            page.unwrap().sessions
        }
    };
    let mut listed = page(None);
    let mut told: Vec<_> = listed.items.iter().map(session_told).collect();
    while listed.has_more {
        let last = listed.items.last().unwrap().id.clone();
        listed = page(Some(Position::After(last)));
        told.extend(listed.items.iter().map(session_told));
    }
    told
}

fn law() -> ProptestConfig {
    let seeds = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/proptest-regressions/earlier.txt"
    );
    ProptestConfig {
        cases: 48,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(law())]

    #[test]
    fn what_is_asked_as_of_an_entry_is_answered_as_when_the_log_ended_there(
        sent in any_deliveries(),
        overrides in vec((0..14_usize, select(&USERS[..]), select(vec![Action::Block, Action::Unblock, Action::Reset])), 0..4),
    ) {
        let directory = in_memory();
        let service = open(directory.path());
        let mut then = Vec::new();
        for (number, one) in sent.iter().enumerate() {
            deliver(&service, one);
            let now = overrides.iter().enumerate().filter(|(_, (at, ..))| *at == number);
            for (made, (_, user, action)) in now {
                decide(&service, user, *action, made);
            }
            let last = SequenceNumber(service.health().log_size - 1);
            let horizon = Horizon { as_of: Some(AsOf::Sequence(last)), valid_at: None };
            let asked = service.asked(horizon, ReceivedAt(i64::MAX)).unwrap();
            then.push((asked, answers(&service, &Asked::at(asked.now))));
        }

        for (asked, then) in then {
            let again = answers(&service, &asked);
            for (then, again) in then.iter().zip(&again) {
                prop_assert_eq!(then, again, "{:?}", asked);
            }
        }
    }

    #[test]
    fn what_was_known_or_true_at_a_time_is_what_those_facts_alone_say(
        sent in any_deliveries(), as_of in option::of(0..20_000_i64), valid_at in 0..14_i64,
    ) {
        let horizon = Horizon {
            as_of: as_of.map(|milliseconds| AsOf::Time(ReceivedAt(NOW * 1000 + milliseconds))),
            valid_at: Some(Timestamp(NOW + valid_at)),
        };
        // Which of two deliveries of one event counts is told by the log: the one that it has first.
        let is_first = |at: usize| sent[..at].iter().all(|other| other.body["id"] != sent[at].body["id"]);
        let firsts: Vec<_> = (0..sent.len()).filter(|at| is_first(*at)).map(|at| &sent[at]).collect();
        let (whole, part) = (in_memory(), in_memory());
        let (whole, part) = (open(whole.path()), open(part.path()));
        let is_within = |one: &Sent| one.created() <= NOW + valid_at
            && as_of.is_none_or(|until| one.received_at.0 <= NOW * 1000 + until);
        for one in firsts {
            deliver(&whole, one);
            if is_within(one) {
                deliver(&part, one);
            }
        }

        let asked = whole.asked(horizon, ReceivedAt(i64::MAX)).unwrap();
        for user in USERS {
            let of = |service: &Service, asked| {
                let answer = service.user(&WORLD, tag(service, user), asked).unwrap();
                answer.map(|user| {
                    let sessions = user.known.sessions.iter();
                    let sessions = sessions.map(nameless);
                    (sessions.collect::<Vec<_>>(), user.decision)
                })
            };
            prop_assert_eq!(of(&whole, &asked), of(&part, &Asked::at(asked.now)));
        }
        let listed = |service: &Service, asked: &Asked| -> Vec<_> {
            let page = if asked.horizon.is_open() {
                service.sessions(&WORLD, SessionFilter::default(), None, 9).unwrap()
            } else {
                let horizon = &asked.horizon;
                let page = service.earlier_sessions(&WORLD, SessionFilter::default(), None, 9, horizon);
                page.unwrap().sessions
            };
            page.items.iter().map(nameless).collect()
        };
        prop_assert_eq!(listed(&whole, &asked), listed(&part, &Asked::at(asked.now)));
    }
}

/// A user who fails, is verified and loses the session to another; and a session that comes later.
fn told_to(server: &Server) -> i64 {
    let now = avow::system::now_seconds().0 - 1_000;
    let failed = event("evt_1", "vs_1", "user_1", "requires_input", now + 10);
    let failed = with_error(with_report(failed, "vr_1"), "document_expired");
    let verified = event("evt_2", "vs_1", "user_1", "verified", now + 20);
    let moved = event("evt_3", "vs_1", "user_2", "verified", now + 30);
    for body in [
        failed,
        with_report(verified, "vr_2"),
        with_report(moved, "vr_2"),
        event("evt_4", "vs_2", "user_1", "processing", now + 40),
    ] {
        server.record(&Delivery::event(&body));
    }
    now
}

fn ids(list: &Value) -> Vec<&str> {
    let data = list["data"].as_array().unwrap();
    data.iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

#[test]
fn users_sessions_and_lists_are_answered_as_of_an_entry_and_as_of_a_time_of_stripe() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let now = told_to(&server);
    let rfc = |seconds: i64| {
        let moment = chrono::DateTime::from_timestamp(now + seconds, 0).unwrap();
        moment.to_rfc3339()
    };
    #[rustfmt::skip]
    let rows = [
        // asked of                                     user_1 stands              vs_1 belongs to    sessions
        ("as_of=0".to_owned(),                          "requires_input allowed",  "user_1",          vec!["vs_1"]),
        ("as_of=1".to_owned(),                          "verified already_verified", "user_1",        vec!["vs_1"]),
        ("as_of=2".to_owned(),                          "404",                     "user_2",          vec!["vs_1"]),
        ("as_of=3".to_owned(),                          "processing in_progress",  "user_2",          vec!["vs_1", "vs_2"]),
        (format!("valid_at={}", now + 15),              "requires_input allowed",  "user_1",          vec!["vs_1"]),
        (format!("valid_at=@{}", now + 20),             "verified already_verified", "user_1",        vec!["vs_1"]),
        (format!("valid_at={}", rfc(20)),               "verified already_verified", "user_1",        vec!["vs_1"]),
        (format!("valid_at={}&as_of=0", now + 30),      "requires_input allowed",  "user_1",          vec!["vs_1"]),
        (format!("valid_at={}", now + 30),              "404",                     "user_2",          vec!["vs_1"]),
        (format!("valid_at={}", now + 900_000),         "processing in_progress",  "user_2",          vec!["vs_1", "vs_2"]),
        (format!("as_of=@{}", avow::system::now_seconds().0), "processing in_progress", "user_2",     vec!["vs_1", "vs_2"]),
    ];
    for (asked, standing, owner, sessions) in rows {
        let user = server.get(&format!("/v1/users/user_1?{asked}"));
        let told = if user.status() == 200 {
            let user: Value = user.json().unwrap();
            let outcome = user["decision"]["outcome"].as_str().unwrap();
            format!("{} {outcome}", user["status"].as_str().unwrap())
        } else {
            user.status().as_u16().to_string()
        };
        assert_eq!(told, standing, "{asked}");
        let session = server.read(&format!("/v1/sessions/vs_1?{asked}"));
        assert_eq!(session["user"], owner, "{asked}");
        let steps = server.read(&format!("/v1/sessions/vs_1/history?{asked}"));
        let events = steps["data"].as_array().unwrap().len();
        assert_eq!(session["events"], events, "{asked}");
        let listed = server.read(&format!("/v1/sessions?{asked}"));
        assert_eq!(ids(&listed), sessions, "{asked}");
        let users = server.read(&format!("/v1/users?{asked}"));
        assert_eq!(
            ids(&users).contains(&"user_1"),
            standing != "404",
            "{asked}"
        );
        let verified = server.read(&format!("/v1/users?status=verified&{asked}"));
        let is_verified = standing.starts_with("verified");
        assert_eq!(ids(&verified).contains(&"user_1"), is_verified, "{asked}");
    }
}

#[test]
fn a_moment_that_is_none_is_refused_by_name_and_the_future_of_our_knowledge_too() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    told_to(&server);
    let later = avow::system::now_seconds().0 + 1_000;
    let rows = [
        ("as_of=4".to_owned(), "as_of", "the log has 4 entries"),
        (format!("as_of={later}"), "as_of", "or `@` and Unix seconds"),
        (format!("as_of=@{later}"), "as_of", "not known yet"),
        (
            "as_of=-1".to_owned(),
            "as_of",
            "an entry's number, or a time",
        ),
        (
            "as_of=@7".to_owned(),
            "as_of",
            "an entry's number, or a time",
        ),
        ("as_of=".to_owned(), "as_of", "an entry's number, or a time"),
        ("valid_at=7".to_owned(), "valid_at", "a time such as"),
        (
            "valid_at=yesterday".to_owned(),
            "valid_at",
            "a time such as",
        ),
        ("valid_at=-5".to_owned(), "valid_at", "a time such as"),
    ];
    for path in [
        "/v1/users/user_1",
        "/v1/users",
        "/v1/sessions/vs_1",
        "/v1/sessions/vs_1/history",
        "/v1/sessions",
    ] {
        for (asked, param, sentence) in &rows {
            let response = server.get(&format!("{path}?{asked}"));
            assert_eq!(response.status(), 400, "{path} {asked}");
            let error = &response.json::<Value>().unwrap()["error"];
            assert_eq!(error["code"], "parameter_invalid");
            assert_eq!(error["param"], *param);
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(sentence), "{message}");
        }
    }
}

#[test]
fn an_answer_of_an_earlier_time_keeps_its_tag_whatever_comes_after() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let now = told_to(&server);
    let paths = [
        "/v1/users/user_2?as_of=2",
        "/v1/users?as_of=2",
        "/v1/sessions/vs_1?as_of=2",
        "/v1/sessions?as_of=2",
    ];
    let tag = |path: &str| server.get(path).headers()["etag"].clone();
    let before: Vec<_> = paths.iter().map(|path| tag(path)).collect();

    let later = event("evt_5", "vs_1", "user_2", "requires_input", now + 50);
    server.record(&Delivery::event(&with_report(later, "vr_2")));

    let after: Vec<_> = paths.iter().map(|path| tag(path)).collect();
    assert_eq!(before, after);
    assert_ne!(tag("/v1/users/user_2"), after[0]);
}

#[test]
fn a_name_that_was_erased_since_is_redacted_at_every_time() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    told_to(&server);
    let words = json!({ "actor": "an operator", "reason": "a test" });

    let before = server.read("/v1/sessions/vs_1?as_of=3");
    assert_eq!(server.state("vs_1", "erase", &words).status(), 200);
    let after = server.read("/v1/sessions/vs_1?as_of=3");

    assert_eq!(
        (&before["user"], &before["erasure"]),
        (&json!("user_2"), &Value::Null)
    );
    assert_eq!(
        (&after["user"], &after["erasure"]),
        (&json!("[redacted]"), &Value::Null)
    );
    assert_eq!(ids(&server.read("/v1/users?as_of=2")), ["[redacted]"]);
    assert_eq!(server.read("/v1/users/user_2?as_of=2")["id"], "user_2");
}

#[test]
fn a_hold_is_told_from_its_entry_until_its_release() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    told_to(&server);
    let words = json!({ "actor": "an operator", "reason": "a test" });
    for verb in ["hold", "release"] {
        assert_eq!(server.state("vs_1", verb, &words).status(), 200);
    }

    for (as_of, hold, sequence) in [(3, Value::Null, 2), (4, json!(4), 4), (5, Value::Null, 5)] {
        let session = server.read(&format!("/v1/sessions/vs_1?as_of={as_of}"));
        assert_eq!(
            (&session["hold"], &session["sequence"]),
            (&hold, &json!(sequence)),
            "{as_of}"
        );
    }
    let valid_at = avow::system::now_seconds().0 - 500;
    let session = server.read(&format!("/v1/sessions/vs_1?valid_at={valid_at}"));
    assert_eq!(
        (&session["hold"], &session["sequence"]),
        (&Value::Null, &json!(2))
    );
}

#[test]
fn a_page_of_an_earlier_time_is_bounded_and_says_where_it_stopped() {
    let directory = in_memory();
    let service = open(directory.path());
    for number in 0..1_100 {
        let (id, session) = (format!("evt_{number}"), format!("vs_{:04}", 9_999 - number));
        let user = if number == 0 {
            "first".to_owned()
        } else {
            format!("user_{number}")
        };
        let body = event(&id, &session, &user, "processing", NOW);
        deliver(
            &service,
            &Sent {
                body,
                received_at: ReceivedAt(NOW * 1000),
            },
        );
    }
    let horizon = Horizon {
        as_of: Some(AsOf::Sequence(SequenceNumber(0))),
        valid_at: None,
    };
    let asked = service.asked(horizon, ReceivedAt(i64::MAX)).unwrap();
    let filter = SessionFilter::default();

    let first = service
        .earlier_sessions(&WORLD, filter, None, 10, &horizon)
        .unwrap();
    let position = first.scanned_to.clone().map(Position::After);
    let second = service
        .earlier_sessions(&WORLD, filter, position, 10, &horizon)
        .unwrap();

    assert_eq!(
        (first.sessions.items.len(), first.sessions.has_more),
        (0, true)
    );
    assert_eq!(
        (second.sessions.items.len(), second.sessions.has_more),
        (1, false)
    );
    assert_eq!(second.scanned_to, None);
    let mut listed = 0;
    let mut position = None;
    loop {
        let page = service
            .users(&WORLD, &UserFilter::default(), position, 10, &asked)
            .unwrap();
        listed += page.users.items.len();
        let Some(scanned_to) = page.scanned_to else {
            break;
        };
        position = Some(Position::After(scanned_to));
    }
    assert_eq!(listed, 1);
}
