//! A clock that jumps reorders nothing: entries stand in the order in which they came, with the times that were told, and
//! folds read no clock. What "now" means to a decision and to a signature's age follows the clock, and comes back with it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use avow::stripe::secret::Secret;
use avow::stripe::signature::sign;
use serde_json::Value;
use state_machine::time::{ReceivedAt, Timestamp};
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_report};
use crate::support::server::{SECRET, Server};

/// When all of this begins, in seconds.
const START: i64 = 1_760_000_000;
const DAY: i64 = 86_400;

/// What the clock says, in seconds.
static CLOCK: AtomicI64 = AtomicI64::new(START);
/// Held by whoever sets it.
static OWNER: Mutex<()> = Mutex::new(());

fn clock() -> ReceivedAt {
    ReceivedAt(CLOCK.load(Ordering::Relaxed) * 1000)
}

fn set(seconds: i64) {
    CLOCK.store(seconds, Ordering::Relaxed);
}

fn own_clock() -> MutexGuard<'static, ()> {
    let owner = OWNER.lock().unwrap_or_else(PoisonError::into_inner);
    set(START);
    owner
}

fn signed_at(event: &Value, seconds: i64) -> Delivery {
    let body = serde_json::to_vec(event).unwrap();
    let header = sign(&Secret::new(SECRET).unwrap(), Timestamp(seconds), &body);
    Delivery { body, header }
}

/// A failed check, its report with it.
fn failure(number: i64) -> Value {
    let id = format!("evt_{number}");
    let mut failed = event(&id, "vs_1", "user_1", "requires_input", START + number);
    failed["data"]["object"]["last_error"] =
        serde_json::json!({ "code": "document_expired", "reason": "expired" });
    with_report(failed, &format!("vr_{number}"))
}

#[test]
fn entries_keep_their_order_and_their_times_and_sessions_come_out_the_same() {
    let _owner = own_clock();
    let life = [
        ("created", 0),
        ("processing", 30 * DAY),
        ("requires_input", -30 * DAY),
        ("processing", 0),
        ("verified", 365 * DAY),
        ("canceled", -1),
    ];
    let session_after = |jumps: bool| {
        let directory = tempdir().unwrap();
        let server = Server::start_by(directory.path(), clock);
        for ((name, jump), number) in life.into_iter().zip(0..) {
            set(if jumps { START + jump } else { START });
            let now = CLOCK.load(Ordering::Relaxed);
            let event = event(
                &format!("evt_{number}"),
                "vs_1",
                "user_1",
                name,
                START + number,
            );
            let sequence = server.record(&signed_at(&event, now));
            assert_eq!(i64::try_from(sequence), Ok(number));
        }
        let history = server.read("/v1/sessions/vs_1/history");
        let of_each = |field: &str| -> Vec<i64> {
            let data = history["data"].as_array().unwrap();
            data.iter()
                .map(|step| step[field].as_i64().unwrap())
                .collect()
        };
        assert_eq!(of_each("sequence"), [0, 1, 2, 3, 4, 5]);
        let received_at = of_each("received_at");
        let session = server.read("/v1/sessions/vs_1");
        drop(server);
        // A clock that lags behind the log does not keep it from opening.
        set(START - 365 * DAY);
        let server = Server::start_by(directory.path(), clock);
        assert_eq!(server.read("/v1/sessions/vs_1"), session);
        (session, received_at)
    };

    let (steady, _) = session_after(false);
    let (jumping, received_at) = session_after(true);

    assert_eq!(jumping, steady);
    assert_eq!(received_at, life.map(|(_, jump)| START + jump));
}

#[test]
fn a_limit_ends_early_by_a_fast_clock_and_stands_again_when_it_is_right() {
    let _owner = own_clock();
    let directory = tempdir().unwrap();
    let server = Server::start_by(directory.path(), clock);
    for number in 0..5 {
        server.record(&signed_at(&failure(number), START));
    }
    let decision = |seconds: i64| {
        set(seconds);
        let decision = server.read("/v1/users/user_1")["decision"].clone();
        (decision["outcome"].clone(), decision["retry_at"].clone())
    };

    let now = decision(START + 10);
    let fast = decision(START + 2 * DAY);
    let slow = decision(START - 2 * DAY);
    let again = decision(START + 10);

    assert_eq!(now, ("limit_reached".into(), (START + DAY).into()));
    assert_eq!(fast.0, "allowed");
    assert_eq!((&slow.0, &again), (&now.0, &now));
}

#[test]
fn good_signatures_are_refused_by_a_fast_clock_and_taken_again_when_it_is_right() {
    let _owner = own_clock();
    let directory = tempdir().unwrap();
    let server = Server::start_by(directory.path(), clock);
    #[rustfmt::skip]
    let rows = [
        (0,       200),
        (300,     200),
        (301,     400), // five minutes fast: as if all were replayed
        (10 * DAY, 400),
        (-3_600,  200), // slow: what is from the future is taken, as by Stripe's own clients
        (0,       200),
    ];
    for ((ahead, status), number) in rows.into_iter().zip(0..) {
        set(START + ahead);
        let delivery = signed_at(&failure(number), START);
        let answer = server.deliver(&delivery);
        assert_eq!(answer.status(), status, "{ahead}");
        if status == 400 {
            let error = answer.json::<Value>().unwrap();
            assert_eq!(error["error"]["code"], "timestamp_too_old");
        }
    }
}

#[test]
fn checkpoints_go_on_when_the_clock_goes_back() {
    /// How many answers are waited for.
    const ANSWERS: u32 = 20_000;
    let _owner = own_clock();
    let directory = tempdir().unwrap();
    let server = Server::start_by(directory.path(), clock);
    for (number, jump) in [(0, 0), (1, -30 * DAY), (2, 30 * DAY)] {
        set(START + jump);
        server.record(&signed_at(&failure(number), START + jump));
        let size = format!("\n{}\n", number + 1);
        let covers = |_| {
            let checkpoint = server.client().get(server.url("/checkpoint")).send();
            checkpoint.unwrap().text().unwrap().contains(&size)
        };
        assert!((0..ANSWERS).any(covers), "{number}");
    }
}
