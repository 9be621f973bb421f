//! The log knows which retry policy decided when, and a decision of an earlier time is made by the policy of that time.

use std::path::Path;

use avow::audit::source::Source;
use avow::log::entry::{Fact, Leaf};
use avow::service::asked::Asked;
use avow::service::{Options, Service};
use avow::stripe::secret::Secrets;
use serde_json::Value;
use state_machine::horizon::{AsOf, Horizon};
use state_machine::id::{SequenceNumber, World};
use state_machine::retry::policy::Policy;
use state_machine::time::{ReceivedAt, Timestamp};
use tempfile::tempdir;

use avow::log::keys::MasterKey;
use avow::stripe::user_reference::UserReference;

use crate::support::delivery::{Delivery, event, with_error, with_report};
use crate::support::process::{Process, serve};
use crate::support::server::{MASTER_KEY, SECRET, Server, settings};

/// Returns the limits that the entries of a log record, in order.
fn recorded(directory: &Path) -> Vec<u32> {
    let source = Source::open(directory.to_str().unwrap(), None).unwrap();
    let mut limits = Vec::new();
    for chunk in source.chunks(false) {
        for entry in chunk.unwrap().entries {
            if let Fact::Configuration(policy) = Leaf::decode(&entry.leaf).unwrap().fact {
                limits.push(policy.attempts_max);
            }
        }
    }
    limits
}

fn start(directory: &Path, attempts_max: u32) -> Process {
    let mut command = serve(directory);
    command.arg(format!("--set=retry.attempts_max={attempts_max}"));
    let process = Process::of(command).expect("the server serves");
    process.entries();
    process
}

#[test]
fn a_server_records_its_policy_when_it_differs_from_the_last_one() {
    let directory = tempdir().unwrap();
    for (attempts_max, limits) in [
        (5, vec![5]),
        (5, vec![5]),
        (3, vec![5, 3]),
        (5, vec![5, 3, 5]),
    ] {
        start(directory.path(), attempts_max).stop();

        assert_eq!(recorded(directory.path()), limits);
    }
}

#[test]
fn whoever_only_reads_the_log_records_nothing() {
    let directory = tempdir().unwrap();
    start(directory.path(), 5).stop();

    let (code, ..) =
        crate::digest::run_on(directory.path(), &["digest", "--set=retry.attempts_max=2"]);

    assert_eq!(code, Some(0));
    assert_eq!(recorded(directory.path()), [5]);
}

fn open(directory: &Path, attempts_max: u32) -> Service {
    let options = settings().service_options(
        Secrets::parse(SECRET).unwrap(),
        MasterKey::parse(MASTER_KEY).unwrap(),
        avow::system::fill_random,
        avow::system::now,
    );
    let options = Options {
        records_policy: true,
        policy: limited(attempts_max),
        ..options
    };
    let (service, _) = Service::open(directory, options).unwrap();
    service.wait_until_caught_up();
    service
}

fn limited(attempts_max: u32) -> Policy {
    Policy {
        attempts_max,
        ..Policy::default()
    }
}

#[test]
fn a_decision_of_an_earlier_time_is_made_by_the_policy_of_that_time() {
    let directory = tempdir().unwrap();
    let now = avow::system::now_seconds();
    let server = Server::start(directory.path());
    for number in 0..3 {
        let (id, report) = (format!("evt_{number}"), format!("vr_{number}"));
        let failed = event(
            &id,
            "vs_1",
            "user_1",
            "requires_input",
            now.0 - 100 + number,
        );
        server.record(&Delivery::event(&with_report(
            with_error(failed, "document_expired"),
            &report,
        )));
    }
    drop(server);
    let service = open(directory.path(), 5);
    let world = World {
        livemode: false,
        account: None,
    };
    let tag = service.user_tag(&UserReference::new("user_1").unwrap());
    let entries = service.health().log_size;
    service.replace_policy(limited(3)).unwrap();
    while service.health().projections.cursor != Some(SequenceNumber(entries + 1)) {
        std::thread::yield_now();
    }

    let told = |asked: &Asked| {
        let user = service.user(&world, tag, asked).unwrap().unwrap();
        (
            user.decision.outcome.as_str(),
            user.decision.limit,
            user.policy.recorded,
        )
    };
    let as_of = |sequence| {
        let as_of = Some(AsOf::Sequence(SequenceNumber(sequence)));
        let horizon = Horizon {
            as_of,
            valid_at: None,
        };
        told(&service.asked(horizon, ReceivedAt(i64::MAX)).unwrap())
    };

    assert_eq!(told(&Asked::at(now)), ("limit_reached", 3, None));
    assert_eq!(as_of(4), ("limit_reached", 3, Some(SequenceNumber(4))));
    assert_eq!(as_of(3), ("allowed", 5, Some(SequenceNumber(3))));
    // Nobody recorded which policy it was: it is decided by that of today.
    assert_eq!(as_of(2), ("limit_reached", 3, None));
    let valid_at = Horizon {
        as_of: None,
        valid_at: Some(now.plus_seconds(60)),
    };
    let valid_at = service.asked(valid_at, ReceivedAt(i64::MAX)).unwrap();
    assert_eq!(
        told(&valid_at),
        ("limit_reached", 3, Some(SequenceNumber(4)))
    );
    let before = Horizon {
        as_of: None,
        valid_at: Some(Timestamp(now.0 - 98)),
    };
    let before = service.asked(before, ReceivedAt(i64::MAX)).unwrap();
    assert_eq!(told(&before), ("limit_reached", 3, None));
}

#[test]
fn a_policy_is_told_by_its_entry_and_by_explanations() {
    let directory = tempdir().unwrap();
    let process = start(directory.path(), 3);
    let failed = event("evt_1", "vs_1", "user_1", "requires_input", 10);
    let failed = Delivery::event(&with_report(failed, "vr_1"));
    assert_eq!(process.deliver(&failed).unwrap().status(), 200);

    let explanation = process.read("/v1/users/user_1/explain");
    let entry: Value = loop {
        let response = process.get("/v1/log/entries/0");
        if response.status() == 200 {
            break response.json().unwrap();
        }
    };

    assert_eq!(entry["kind"], "configuration");
    let policy = &entry["fact"]["retry_policy"];
    assert_eq!(policy["attempts_max"], 3);
    assert_eq!(explanation["user"]["decision"]["policy"], policy["hash"]);
    assert_eq!(explanation["policy"]["sequence"], 0);
    let as_of = process.read("/v1/users/user_1/explain?as_of=1");
    assert_eq!(as_of["policy"]["sequence"], 0);
    assert_eq!(as_of["policy"]["classes"], policy["classes"]);
}
