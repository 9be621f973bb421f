//! A model of the whole service: whatever is delivered, decided and erased, in whatever order, and whatever becomes of
//! the process, of its files and of its clock meanwhile, the real binary answers what the set of facts says, and its log
//! is clean.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use avow::stripe::secret::Secret;
use avow::stripe::signature::sign;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use reqwest::blocking::Response;
use serde_json::{Value, json};
use state_machine::overrides::Action;
use state_machine::time::Timestamp;
use tempfile::{TempDir, tempdir};

use crate::support::audited::assert_clean;
use crate::support::delivery::Delivery;
use crate::support::extent::times;
use crate::support::facts::{Decided, Facts, POLICY, SESSIONS, Said, USERS, WORLDS, world_query};
use crate::support::process::{Process, serve};
use crate::support::server::{MASTER_KEY, SECRET};
use crate::support::stopped_clock::{self, StoppedClock};

/// When every sequence begins, in seconds.
const START: i64 = 1_795_000_000;
const DAY: i64 = 86_400;

/// How many sequences there are, and how long one is at most, unless the variables say otherwise.
const CASES: (&str, u64) = ("AVOW_TEST_MODEL_CASES", 6);
const STEPS: (&str, u64) = ("AVOW_TEST_MODEL_STEPS", 30);

/// How often something is asked until it has come about, and how long a process may take to serve.
const LOOKS: u32 = 20_000;

/// One thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Deliver(Said),
    /// At once, over a connection each.
    DeliverTogether(Vec<Said>),
    Decide(Decided),
    Erase {
        world: usize,
        session: usize,
    },
    Kill,
    /// Kills the process so many microseconds after a delivery has begun, and delivers again.
    KillDuring(Said, u64),
    Restart,
    /// Restarts it without its projections.
    LoseProjections,
    Rebuild,
    /// Exports the log from the running server, and goes on with what an import makes of that.
    Move,
    /// Sets the clock forth or back by so many seconds.
    Jump(i64),
}

/// The reference: the set of facts.
struct Model;

impl ReferenceStateMachine for Model {
    type State = Facts;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Facts> {
        Just(Facts::none_at(START)).boxed()
    }

    fn transitions(facts: &Facts) -> BoxedStrategy<Step> {
        let delivered = prop_oneof![
            5 => Just(Step::Kill),
            3 => Just(Step::Restart),
            3 => Just(Step::LoseProjections),
            3 => Just(Step::Rebuild),
            2 => Just(Step::Move),
        ];
        let jumps = prop_oneof![-600..600_i64, -2 * DAY..2 * DAY];
        prop_oneof![
            40 => said(facts).prop_map(Step::Deliver),
            8 => vec(said(facts), 2..6).prop_map(Step::DeliverTogether),
            10 => decided(facts).prop_map(Step::Decide),
            5 => (0..WORLDS.len(), 0..SESSIONS.len())
                .prop_map(|(world, session)| Step::Erase { world, session }),
            6 => (said(facts), 0..6_000_u64).prop_map(|(said, later)| Step::KillDuring(said, later)),
            10 => jumps.prop_map(Step::Jump),
            16 => delivered,
        ]
        .boxed()
    }

    fn apply(mut facts: Facts, step: &Step) -> Facts {
        match step {
            Step::Deliver(said) | Step::KillDuring(said, _) => facts.take(said),
            Step::DeliverTogether(all) => all.iter().for_each(|said| facts.take(said)),
            Step::Decide(decided) => facts.decide(decided),
            Step::Erase { world, session } => facts.erase(*world, *session),
            Step::Jump(seconds) => facts.now += seconds,
            Step::Kill | Step::Restart | Step::LoseProjections | Step::Rebuild | Step::Move => {}
        }
        facts
    }

    fn preconditions(facts: &Facts, step: &Step) -> bool {
        match step {
            // Which of two that contradict each other comes first is then nobody's to say.
            Step::DeliverTogether(all) => (0..).zip(all).all(|(index, said)| {
                let mut others = all.iter().skip(index + 1);
                others.all(|other| other.id != said.id || other == said)
            }),
            // What has ended can be asked for again, and not anew.
            Step::Decide(decided) => {
                let is_it = |(other, _): &(Decided, i64)| other.key == decided.key;
                match facts.overrides.iter().find(|made| is_it(made)) {
                    Some((made, _)) => made == decided,
                    None => decided.expires.is_none_or(|expires| facts.now < expires),
                }
            }
            Step::Deliver(_)
            | Step::KillDuring(..)
            | Step::Erase { .. }
            | Step::Jump(_)
            | Step::Kill
            | Step::Restart
            | Step::LoseProjections
            | Step::Rebuild
            | Step::Move => true,
        }
    }
}

/// Returns an event: another one, one that came before, or one that contradicts one that came before.
fn said(facts: &Facts) -> BoxedStrategy<Said> {
    let fresh = any_said();
    if facts.events.is_empty() {
        return fresh.boxed();
    }
    let known = select(facts.events.clone());
    let contradiction = (known.clone(), any_said()).prop_map(|(known, other)| Said {
        id: known.id,
        ..other
    });
    prop_oneof![6 => fresh, 3 => known, 1 => contradiction].boxed()
}

fn any_said() -> impl Strategy<Value = Said> {
    // Few sessions of few worlds, and few times, so that ties are common.
    let place = (
        prop_oneof![6 => Just(0), 1 => Just(1), 1 => Just(2_usize)],
        0..SESSIONS.len(),
        option::weighted(0.8, prop_oneof![5 => Just(0), 1 => 0..USERS.len()]),
    );
    let name = select(vec![
        "created",
        "processing",
        "processing",
        "requires_input",
        "requires_input",
        "requires_input",
        "verified",
        "canceled",
        "redacted",
    ]);
    let codes = vec![
        "document_expired",
        "document_expired",
        "consent_declined",
        "under_supported_age",
        "abandoned",
    ];
    let said = (
        option::weighted(0.6, 0..4_u8),
        option::weighted(0.5, select(codes)),
        option::weighted(0.1, select(vec!["processing", "redacted"])),
    );
    let times = (
        prop_oneof![0..6_i64, -3_000..3_000_i64, -2 * DAY..2 * DAY],
        prop_oneof![9 => Just(0), 1 => -5..5_i64],
    );
    (0..1_000_000_u64, place, name, said, times).prop_map(
        |(id, (world, session, user), name, (report, error, redaction), (at, session_at))| Said {
            id,
            world,
            session,
            user,
            name,
            created: START + at,
            session_created: START - 60 + session_at,
            report,
            error: error.filter(|_| name == "requires_input"),
            redaction: redaction.filter(|_| name != "created"),
        },
    )
}

/// Returns a decision: another one, or one that was asked for before.
fn decided(facts: &Facts) -> BoxedStrategy<Decided> {
    let (now, key) = (facts.now, facts.overrides.len());
    let action = prop_oneof![
        (1..3_u32).prop_map(|attempts| Action::Grant { attempts }),
        Just(Action::Reset),
        Just(Action::Block),
        Just(Action::Unblock),
    ];
    let expires = option::of(prop_oneof![1..600_i64, 1..2 * DAY]);
    let fresh = (0..2_usize, 0..USERS.len(), action, expires).prop_map(
        move |(world, user, action, expires)| Decided {
            key,
            world,
            user,
            action,
            expires: expires.map(|seconds| now + seconds),
        },
    );
    if facts.overrides.is_empty() {
        return fresh.boxed();
    }
    let made: Vec<_> = facts
        .overrides
        .iter()
        .map(|(made, _)| made.clone())
        .collect();
    prop_oneof![3 => fresh, 1 => select(made)].boxed()
}

/// The real service.
struct Service {
    directory: TempDir,
    /// How often it has moved to another data directory.
    moves: u32,
    clock: StoppedClock,
    process: Option<Process>,
    /// Where each event stands that was acknowledged.
    events: Vec<(Said, u64)>,
    /// What each decision was answered, by its key.
    decisions: Vec<(usize, Value)>,
}

impl Service {
    fn data(&self) -> PathBuf {
        self.directory.path().join(format!("data-{}", self.moves))
    }

    fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    fn start(&mut self) {
        let mut command = serve(&self.data());
        command.args(POLICY.map(|setting| format!("--set={setting}")));
        self.clock.tell(&mut command);
        let process = Process::of(command).unwrap_or_else(|ended| panic!("{}", ended.stderr));
        process.entries();
        self.process = Some(process);
    }

    fn kill(&mut self) {
        let process = self.process.take().unwrap();
        process.kill();
        process.wait();
    }

    fn stop(&mut self) {
        self.process.take().unwrap().stop();
    }

    /// Delivers an event that has to be recorded: as a duplicate, if and only if it was acknowledged before.
    fn deliver(&mut self, said: &Said, now: i64) {
        let answer = answered(self.process().deliver(&signed(said, now)));
        let known = self.events.iter().find(|(other, _)| other == said);
        if let Some((_, sequence)) = known {
            assert_eq!(answer, recorded(*sequence, true), "{said:?}");
        } else {
            let sequence = answer["sequence"].as_u64().unwrap();
            assert_eq!(answer, recorded(sequence, false), "{said:?}");
            self.acknowledge(said, sequence);
        }
    }

    fn acknowledge(&mut self, said: &Said, sequence: u64) {
        let other = self.events.iter().find(|(_, other)| *other == sequence);
        assert_eq!(other, None, "{said:?} has the place of another");
        self.events.push((said.clone(), sequence));
    }

    fn deliver_together(&mut self, all: &[Said], now: i64) {
        let process = self.process();
        let answers: Vec<_> = std::thread::scope(|scope| {
            let deliver = |said| move || answered(process.deliver(&signed(said, now)));
            let connections: Vec<_> = all.iter().map(|said| scope.spawn(deliver(said))).collect();
            let answers = connections.into_iter();
            answers.map(|one| one.join().unwrap()).collect()
        });
        let known = self.events.len();
        for (said, answer) in all.iter().zip(&answers) {
            let sequence = answer["sequence"].as_u64().unwrap();
            match self.events.iter().position(|(other, _)| other == said) {
                Some(index) => {
                    assert_eq!(self.events[index].1, sequence, "{said:?}");
                    // Of those that are new and the same, one alone is recorded, whichever.
                    assert!(index >= known || answer["duplicate"] == true, "{said:?}");
                }
                None => self.acknowledge(said, sequence),
            }
        }
        let recorded = answers.iter().filter(|answer| answer["duplicate"] == false);
        assert_eq!(recorded.count(), self.events.len() - known);
    }

    fn kill_during(&mut self, said: &Said, later: u64, now: i64) {
        let process = self.process();
        let answer = std::thread::scope(|scope| {
            let delivery = scope.spawn(|| process.deliver(&signed(said, now)));
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_micros(later) {
                std::thread::yield_now();
            }
            process.kill();
            let answer = delivery.join().unwrap();
            answer.and_then(Response::json::<Value>).ok()
        });
        self.kill();
        self.start();
        if self.events.iter().any(|(other, _)| other == said) {
            return self.deliver(said, now);
        }
        // It was kept or not; if it was acknowledged, it was, and at that place.
        let again = answered(self.process().deliver(&signed(said, now)));
        let sequence = again["sequence"].as_u64().unwrap();
        if let Some(answer) = answer {
            assert_eq!(answer, recorded(sequence, false), "{said:?}");
            assert_eq!(again, recorded(sequence, true), "{said:?}");
        }
        self.acknowledge(said, sequence);
    }

    fn decide(&mut self, decided: &Decided) {
        let path = format!(
            "/v1/users/{}/overrides?{}",
            USERS[decided.user],
            world_query(decided.world)
        );
        let mut wanted = json!({
            "action": decided.action.as_str(), "actor": "an operator", "reason": "a test",
        });
        if let Some(attempts) = decided.action.attempts() {
            wanted["attempts"] = json!(attempts);
        }
        if let Some(expires) = decided.expires {
            wanted["expires"] = json!(expires);
        }
        let key = format!("key-{}", decided.key);
        let answer = answered(self.process().post_once(&path, &wanted, &key));
        match self.decisions.iter().find(|(key, _)| *key == decided.key) {
            Some((_, first)) => assert_eq!(answer, *first, "{decided:?}"),
            None => self.decisions.push((decided.key, answer)),
        }
    }

    fn erase(&self, world: usize, session: usize, is_known: bool) {
        let path = format!(
            "/v1/sessions/{}/erase?{}",
            SESSIONS[session],
            world_query(world)
        );
        let words = json!({ "actor": "an operator", "reason": "a test" });
        let answer = self.process().post_json(&path, &words).unwrap();
        assert_eq!(answer.status(), if is_known { 200 } else { 404 }, "{path}");
        if is_known {
            assert_eq!(answer.json::<Value>().unwrap()["status"], "done", "{path}");
        }
    }

    fn rebuild(&self) {
        let rebuild = self.process().post_json("/v1/rebuilds", &json!({}));
        let rebuild: Value = rebuild.unwrap().json().unwrap();
        let path = format!("/v1/rebuilds/{}", rebuild["id"].as_str().unwrap());
        let mut answers = (0..LOOKS).map(|_| self.process().read(&path));
        let done = answers.find(|rebuild| rebuild["status"] == "done").unwrap();
        let result = &done["result"];
        assert_eq!(result["differences_count"], 0, "{done}");
        assert_eq!(result["digest_before"], result["digest_after"], "{done}");
    }

    /// Runs a command that has to succeed.
    fn run(&self, arguments: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_avow"));
        command.args(arguments).env_clear();
        self.clock.tell(&mut command);
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
    }

    fn go_elsewhere(&mut self) {
        let path = |name: &str| self.directory.path().join(name);
        let (export, key_file) = (path(&format!("export-{}", self.moves)), path("master_key"));
        std::fs::write(&key_file, MASTER_KEY).unwrap();
        std::fs::set_permissions(&key_file, Permissions::from_mode(0o600)).unwrap();
        let vault = self.data().join("vault");
        let [export, key_file, vault] = [&export, &key_file, &vault].map(|path| text(path));

        // An export ends with the latest checkpoint.
        let entries = self.process().entries().to_string();
        let covers_all = |_| {
            let checkpoint = self.process().get("/checkpoint").text().unwrap();
            checkpoint.lines().nth(1) == Some(entries.as_str())
        };
        assert!(
            (0..LOOKS).any(covers_all),
            "no checkpoint covers {entries} entries"
        );
        self.run(&["export", "--server", self.process().url(), "--out", export]);
        self.process.take().unwrap().stop();
        let (export, key_file, vault) = (export.to_owned(), key_file.to_owned(), vault.to_owned());
        self.moves += 1;
        let data = self.data();
        let import = ["import", &export, "--vault", &vault];
        let into = ["--master-key-file", &key_file, "--data-dir", text(&data)];
        let serving = serve(&data);
        let settings = serving.get_args().filter_map(OsStr::to_str);
        let settings = settings.filter(|argument| argument.starts_with("--set="));
        self.run(
            &import
                .into_iter()
                .chain(into)
                .chain(settings)
                .collect::<Vec<_>>(),
        );
        self.start();
    }

    fn lose_projections(&mut self) {
        self.stop();
        std::fs::remove_dir_all(self.data().join("projections")).unwrap();
        self.start();
    }

    /// Asserts that every user and every session is answered as the facts say, and that the lists hold no others.
    fn assert_answers(&self, facts: &Facts) {
        for world in 0..WORLDS.len() {
            let query = world_query(world);
            let users = (0..USERS.len()).map(|user| {
                let path = format!("/v1/users/{}?{query}", USERS[user]);
                let answer = self.known(&path).map(user_answer);
                assert_eq!(answer, facts.user(world, user), "{path}");
                usize::from(answer.is_some())
            });
            let users: usize = users.sum();
            let list = self.process().read(&format!("/v1/users?limit=100&{query}"));
            assert_eq!(list["data"].as_array().unwrap().len(), users, "{list}");
            for (session, id) in SESSIONS.iter().enumerate() {
                let path = format!("/v1/sessions/{id}?{query}");
                let answer = self.known(&path).map(session_answer);
                assert_eq!(answer, facts.session(world, session), "{path}");
            }
        }
    }

    fn known(&self, path: &str) -> Option<Value> {
        let answer = self.process().get(path);
        match answer.status().as_u16() {
            404 => None,
            status => {
                assert_eq!(status, 200, "{path}");
                Some(answer.json().unwrap())
            }
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn signed(said: &Said, now: i64) -> Delivery {
    let body = said.body();
    let header = sign(&Secret::new(SECRET).unwrap(), Timestamp(now), &body);
    Delivery { body, header }
}

/// Returns what was answered with success.
fn answered(response: reqwest::Result<Response>) -> Value {
    let response = response.unwrap();
    let status = response.status();
    let answer = response.json().unwrap();
    assert_eq!(status, 200, "{answer}");
    answer
}

fn recorded(sequence: u64, duplicate: bool) -> Value {
    json!({ "received": true, "sequence": sequence, "duplicate": duplicate })
}

fn remove(answer: &mut Value, names: &[&str]) {
    let members = answer.as_object_mut().unwrap();
    for name in names {
        members.remove(*name).unwrap();
    }
}

/// Returns what of a user's standing follows from facts alone: not where entries stand, nor what random ids there are.
fn user_answer(mut user: Value) -> Value {
    remove(
        &mut user,
        &["object", "id", "tag", "livemode", "account", "sequence"],
    );
    remove(&mut user["decision"], &["policy"]);
    let reasons = user["decision"]["reasons"].as_array_mut().unwrap();
    for reason in reasons {
        *reason = reason["reason"].take();
    }
    user
}

/// The same of a session.
fn session_answer(mut session: Value) -> Value {
    remove(&mut session, &["object", "livemode", "account", "sequence"]);
    session["erasure"] = (!session["erasure"].is_null()).into();
    let anomalies = session["anomalies"].as_array().unwrap().iter();
    let mut anomalies: Vec<_> = anomalies
        .map(|one| {
            [
                one["rule"].as_str().unwrap(),
                one["event"].as_str().unwrap(),
            ]
        })
        .collect();
    anomalies.sort_unstable();
    session["anomalies"] = json!(anomalies);
    session
}

impl StateMachineTest for Service {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(facts: &Facts) -> Self {
        let directory = tempdir().unwrap();
        let clock = StoppedClock::in_directory(directory.path(), facts.now);
        let mut service = Self {
            directory,
            moves: 0,
            clock,
            process: None,
            events: Vec::new(),
            decisions: Vec::new(),
        };
        service.start();
        service
    }

    fn apply(mut service: Self, facts: &Facts, step: Step) -> Self {
        match step {
            Step::Deliver(said) => service.deliver(&said, facts.now),
            Step::DeliverTogether(all) => service.deliver_together(&all, facts.now),
            Step::Decide(decided) => service.decide(&decided),
            Step::Erase { world, session } => {
                service.erase(world, session, facts.knows_session(world, session));
            }
            Step::Kill => {
                service.kill();
                service.start();
            }
            Step::KillDuring(said, later) => service.kill_during(&said, later, facts.now),
            Step::Restart => {
                service.stop();
                service.start();
            }
            Step::LoseProjections => service.lose_projections(),
            Step::Rebuild => service.rebuild(),
            Step::Move => service.go_elsewhere(),
            Step::Jump(_) => service.clock.set(facts.now),
        }
        service
    }

    fn check_invariants(service: &Self, facts: &Facts) {
        service.assert_answers(facts);
    }

    /// At the end everything is looked at: what was acknowledged is there, once and in its place; a fold of the log alone
    /// serves the same; and an audit finds nothing.
    fn teardown(mut service: Self, facts: Facts) {
        for said in &facts.events {
            service.deliver(said, facts.now);
        }
        assert_eq!(service.events.len(), facts.events.len());
        service.rebuild();
        let digest = service.process().read("/v1/digest");
        service.lose_projections();
        assert_eq!(service.process().read("/v1/digest"), digest);
        service.assert_answers(&facts);
        service.stop();
        assert_clean(&service.data());
    }
}

#[test]
fn the_service_answers_what_the_set_of_facts_says_whatever_happens_to_it() {
    if !stopped_clock::is_present() {
        return;
    }
    let [cases, steps] = [CASES, STEPS].map(|(variable, usual)| times(variable, usual));
    let persistence = FileFailurePersistence::Direct("proptest-regressions/model.txt");
    let config = ProptestConfig {
        cases: cases.try_into().unwrap(),
        failure_persistence: Some(Box::new(persistence)),
        max_shrink_iters: 500,
        ..ProptestConfig::default()
    };
    let steps = 1..=usize::try_from(steps).unwrap();
    let sequences = Model::sequential_strategy(steps);

    let result = TestRunner::new(config.clone()).run(&sequences, |(facts, steps, seen)| {
        Service::test_sequential(config.clone(), facts, steps, seen);
        Ok(())
    });

    assert!(result.is_ok(), "{}", result.unwrap_err());
}
