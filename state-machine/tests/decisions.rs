//! The retry decision: its outcomes in the order of the checks, and how time loosens it.

use std::collections::BTreeMap;

use proptest::prelude::*;
use state_machine::event::{Event, RedactionStatus};
use state_machine::id::{ErrorCode, OverrideId};
use state_machine::overrides::{Action, Override};
use state_machine::retry::policy::{ErrorClass, Policy};
use state_machine::retry::reason::Reason;
use state_machine::retry::{Decision, Outcome, decide};
use state_machine::time::Timestamp;

use crate::event::{
    Snapshot, canceled, created, declined, failed, processing, requires_input, verified,
};
use crate::laws::{any_events, law, time};
use crate::standing::{any_overrides, arrival, sessions, standing};

const DAY: i64 = 86_400;

/// Decides at `now`, and tells the outcome with its data and the counts in a line.
fn told(of: &[Vec<Event>], overrides: &[Override], policy: &Policy, now: i64) -> String {
    let sessions = sessions(of.iter().cloned());
    let decision = decide(&standing(&sessions, overrides), policy, Timestamp(now));
    let name = decision.outcome.as_str();
    let counts = format!("{} of {}", decision.attempts_in_window, decision.limit);
    match decision.outcome {
        Outcome::AlreadyVerified
        | Outcome::InProgress
        | Outcome::Blocked
        | Outcome::Final
        | Outcome::AlternativeRequired => name.to_owned(),
        Outcome::LimitReached { retry_at: None } => format!("{name} for ever, {counts}"),
        Outcome::LimitReached { retry_at: Some(at) } => format!("{name} until {}, {counts}", at.0),
        Outcome::CoolingDown { retry_at } => format!("{name} until {}, {counts}", retry_at.0),
        Outcome::Allowed { remaining, resume } => {
            let resume = resume.map_or("a new session".to_owned(), |id| id.to_string());
            format!("{name} {remaining} in {resume}, {counts}")
        }
    }
}

fn check(of: &[Vec<Event>], overrides: &[Override], expected: &str) {
    assert_eq!(told(of, overrides, &Policy::default(), 1_000), expected);
}

/// A session with so many failures, the first at `from`, a second apart.
pub(crate) fn failures(count: i64, from: i64) -> Vec<Event> {
    let fail = |number: i64| failed(from + number, &format!("vr_{number}"), "document_expired");
    (0..count).map(fail).collect()
}

pub(crate) fn made(action: Action, at: i64) -> Override {
    Override {
        id: OverrideId::parse("ovr_1").unwrap(),
        action,
        expires: None,
        arrival: arrival(u64::try_from(at).unwrap(), at),
    }
}

pub(crate) fn until(expires: i64, made: Override) -> Override {
    Override {
        expires: Some(Timestamp(expires)),
        ..made
    }
}

const GRANT: Action = Action::Grant { attempts: 2 };

#[test]
fn each_outcome_in_the_order_of_the_checks() {
    let success = vec![verified(10, "vr_9")];
    let waiting = vec![processing(20)];
    let under_age = vec![declined(30, "under_supported_age")];
    let refusal = vec![declined(40, "consent_declined")];
    let full = failures(5, 50);
    let block = [made(Action::Block, 60)];

    check(
        &[
            success,
            waiting.clone(),
            under_age.clone(),
            refusal.clone(),
            full.clone(),
        ],
        &block,
        "already_verified",
    );
    check(
        &[waiting, under_age.clone(), refusal.clone(), full.clone()],
        &block,
        "in_progress",
    );
    check(
        &[under_age.clone(), refusal.clone(), full.clone()],
        &block,
        "blocked",
    );
    check(&[under_age, refusal.clone(), full.clone()], &[], "final");
    check(
        &[full.clone(), vec![declined(60, "consent_declined")]],
        &[],
        "alternative_required",
    );
    check(&[refusal, full], &[], "limit_reached until 86450, 5 of 5");
    check(&[failures(2, 50)], &[], "allowed 3 in vs_1, 2 of 5");
    check(&[], &[], "allowed 5 in a new session, 0 of 5");
}

#[test]
fn an_attempt_is_in_the_window_until_exactly_the_windows_length_after_it_began() {
    let check = |now, expected: &str| {
        assert_eq!(
            told(&[failures(6, 50)], &[], &Policy::default(), now),
            expected
        );
    };

    check(1_000, "limit_reached until 86451, 6 of 5");
    check(50 + DAY - 1, "limit_reached until 86451, 6 of 5");
    check(50 + DAY, "limit_reached until 86451, 5 of 5");
    check(51 + DAY, "allowed 1 in vs_1, 4 of 5");
    check(55 + DAY, "allowed 5 in vs_1, 0 of 5");
}

#[test]
fn what_counts_as_an_attempt() {
    let check = |events: Vec<Event>, counted: u32| {
        let sessions = sessions([events]);
        let decision = decide(
            &standing(&sessions, &[]),
            &Policy::default(),
            Timestamp(1_000),
        );
        assert_eq!(decision.attempts_in_window, counted);
    };

    check(vec![failed(1, "vr_1", "document_expired")], 1);
    check(vec![failed(1, "vr_1", "a_code_of_2027")], 1);
    check(
        vec![requires_input(1).report("vr_1").error_without_code()],
        1,
    );
    check(vec![failed(1, "vr_1", "consent_declined")], 1);
    check(vec![verified(1, "vr_1")], 1);
    check(vec![processing(1)], 1);
    check(vec![processing(1), canceled(2)], 1);
    for code in [
        "abandoned",
        "device_not_supported",
        "device_unsupported",
        "email_verification_declined",
        "phone_verification_declined",
        "phone_otp_declined",
    ] {
        check(vec![failed(1, "vr_1", code)], 0);
        check(vec![declined(1, code)], 0);
    }
    check(vec![declined(1, "document_expired")], 0);
}

#[test]
fn an_alias_has_the_class_of_its_code_unless_it_is_listed_itself() {
    let code = |code| ErrorCode::parse(code).unwrap();
    let mut policy = Policy {
        classes: BTreeMap::new(),
        ..Policy::default()
    };
    policy
        .classes
        .insert(code("document_type_not_supported"), ErrorClass::Alternative);

    let alias = code("document_type_not_allowed");
    assert_eq!(policy.class_of(Some(&alias)), ErrorClass::Alternative);
    policy.classes.insert(alias.clone(), ErrorClass::Final);
    assert_eq!(policy.class_of(Some(&alias)), ErrorClass::Final);
    assert_eq!(policy.class_of(None), ErrorClass::Counted);
}

#[test]
fn only_the_last_word_asks_for_an_alternative() {
    let refusal = declined(10, "country_not_supported");
    check(&[vec![refusal.clone()]], &[], "alternative_required");
    check(
        &[vec![failed(5, "vr_1", "document_expired"), refusal.clone()]],
        &[],
        "alternative_required",
    );
    check(
        &[vec![
            refusal.clone(),
            failed(15, "vr_1", "document_expired"),
        ]],
        &[],
        "allowed 4 in vs_1, 1 of 5",
    );
    check(
        &[vec![refusal.clone()], vec![processing(15), canceled(20)]],
        &[],
        "allowed 4 in vs_1, 1 of 5",
    );
    check(
        &[
            vec![refusal.clone()],
            vec![declined(10, "abandoned").session_created(9)],
        ],
        &[],
        "alternative_required",
    );
    check(
        &[
            vec![refusal],
            vec![declined(10, "abandoned").session_created(11)],
        ],
        &[],
        "allowed 5 in vs_2, 0 of 5",
    );
}

#[test]
fn a_final_error_outlasts_whatever_came_after_it() {
    let under_age = declined(10, "under_supported_age");
    check(
        &[vec![
            under_age.clone(),
            failed(15, "vr_1", "document_expired"),
        ]],
        &[],
        "final",
    );
    check(
        &[vec![under_age.clone()]],
        &[made(Action::Reset, 10)],
        "allowed 5 in vs_1, 0 of 5",
    );
    check(&[vec![under_age]], &[made(Action::Reset, 9)], "final");
    check(
        &[vec![failed(15, "vr_1", "under_supported_age")]],
        &[],
        "final",
    );
}

#[test]
fn a_reset_between_a_submission_and_its_verdict_forgives_the_submission_and_not_the_error() {
    let under_age = vec![processing(10), failed(20, "vr_1", "under_supported_age")];
    let expired = vec![processing(10), failed(20, "vr_1", "document_expired")];

    check(&[under_age], &[made(Action::Reset, 15)], "final");
    check(
        &[expired],
        &[made(Action::Reset, 15)],
        "allowed 5 in vs_1, 0 of 5",
    );
}

#[test]
fn what_operators_decide() {
    let full = [failures(5, 50)];
    check(&full, &[made(GRANT, 60)], "allowed 2 in vs_1, 5 of 7");
    check(
        &full,
        &[until(1_001, made(GRANT, 60))],
        "allowed 2 in vs_1, 5 of 7",
    );
    check(
        &full,
        &[until(1_000, made(GRANT, 60))],
        "limit_reached until 86450, 5 of 5",
    );
    check(
        &full,
        &[made(Action::Reset, 54)],
        "allowed 5 in vs_1, 0 of 5",
    );
    check(
        &full,
        &[made(Action::Reset, 52)],
        "allowed 3 in vs_1, 2 of 5",
    );
    check(
        &full,
        &[until(1_000, made(Action::Reset, 54))],
        "limit_reached until 86450, 5 of 5",
    );
    check(
        &[],
        &[made(Action::Block, 60), made(Action::Unblock, 61)],
        "allowed 5 in a new session, 0 of 5",
    );
    check(
        &[],
        &[made(Action::Block, 60), made(Action::Unblock, 59)],
        "blocked",
    );
    check(
        &[],
        &[
            made(Action::Block, 60),
            until(1_000, made(Action::Unblock, 61)),
        ],
        "blocked",
    );
    check(
        &[],
        &[until(1_000, made(Action::Block, 60))],
        "allowed 5 in a new session, 0 of 5",
    );
    check(
        &full,
        &[
            made(Action::Reset, 52),
            until(1_000, made(Action::Reset, 54)),
        ],
        "allowed 3 in vs_1, 2 of 5",
    );
    let every_grant = [
        made(Action::Grant { attempts: u32::MAX }, 1),
        made(GRANT, 2),
    ];
    check(
        &[],
        &every_grant,
        "allowed 4294967295 in a new session, 0 of 4294967295",
    );
}

#[test]
fn the_log_and_not_the_clock_says_which_override_is_the_later_one() {
    let at = |sequence, at, action| Override {
        arrival: arrival(sequence, at),
        ..made(action, 0)
    };
    let full = [failures(5, 50)];

    check(
        &[],
        &[at(1, 60, Action::Unblock), at(2, 59, Action::Block)],
        "blocked",
    );
    check(
        &full,
        &[at(1, 60, Action::Reset), at(2, 52, Action::Reset)],
        "allowed 5 in vs_1, 0 of 5",
    );
}

#[test]
fn a_limit_of_zero_is_reached_for_ever() {
    let none = Policy {
        attempts_max: 0,
        ..Policy::default()
    };

    assert_eq!(
        told(&[], &[], &none, 1_000),
        "limit_reached for ever, 0 of 0"
    );
    assert_eq!(
        told(&[failures(1, 1)], &[], &none, 1_000),
        "limit_reached for ever, 1 of 0"
    );
}

#[test]
fn the_most_recent_session_that_waits_for_the_user_is_resumed() {
    let redacting = requires_input(3).redaction(RedactionStatus::Processing);
    check(
        &[vec![created(1)], vec![created(2)]],
        &[],
        "allowed 5 in vs_2, 0 of 5",
    );
    check(
        &[vec![created(1)], vec![created(2), canceled(3)]],
        &[],
        "allowed 5 in vs_1, 0 of 5",
    );
    check(
        &[vec![created(1)], vec![created(2), redacting]],
        &[],
        "allowed 5 in vs_1, 0 of 5",
    );
}

#[test]
fn a_cooldown_grows_with_each_failure_up_to_its_longest() {
    let policy = Policy {
        cooldown_seconds: 100,
        cooldown_factor: 3,
        cooldown_max_seconds: 500,
        ..Policy::default()
    };
    let check = |count, now, expected: &str| {
        assert_eq!(told(&[failures(count, 0)], &[], &policy, now), expected);
    };

    check(1, 99, "cooling_down until 100, 1 of 5");
    check(1, 100, "allowed 4 in vs_1, 1 of 5");
    check(2, 300, "cooling_down until 301, 2 of 5");
    check(2, 301, "allowed 3 in vs_1, 2 of 5");
    check(3, 501, "cooling_down until 502, 3 of 5");
    check(4, 502, "cooling_down until 503, 4 of 5");
}

#[test]
fn a_cooldown_ends_early_when_the_failures_that_made_it_long_leave_the_window() {
    let policy = Policy {
        window_seconds: 1_000,
        cooldown_seconds: 100,
        cooldown_factor: 10,
        cooldown_max_seconds: 5_000,
        ..Policy::default()
    };
    let of = [vec![
        failed(0, "vr_1", "document_expired"),
        failed(950, "vr_2", "document_expired"),
    ]];

    assert_eq!(
        told(&of, &[], &policy, 960),
        "cooling_down until 1050, 2 of 5"
    );
    assert_eq!(
        told(&of, &[], &policy, 1_049),
        "cooling_down until 1050, 1 of 5"
    );
    assert_eq!(told(&of, &[], &policy, 1_050), "allowed 4 in vs_1, 1 of 5");
}

#[test]
fn uncounted_failures_and_declines_ask_for_no_cooldown() {
    let policy = Policy {
        cooldown_seconds: 10_000,
        ..Policy::default()
    };
    let of = [vec![
        failed(1, "vr_1", "abandoned"),
        declined(2, "abandoned"),
    ]];

    assert_eq!(told(&of, &[], &policy, 10), "allowed 5 in vs_1, 0 of 5");
}

#[test]
fn an_attempt_whose_end_nobody_told_counts_and_asks_for_no_cooldown() {
    let policy = Policy {
        cooldown_seconds: 10_000,
        ..Policy::default()
    };
    let of = [vec![processing(1), canceled(2)]];

    assert_eq!(
        told(&of, &[], &policy, 10),
        "allowed 4 in a new session, 1 of 5"
    );
}

#[test]
fn reasons_are_the_facts_that_led_to_the_outcome() {
    let kinds = |of: &[Vec<Event>], overrides: &[Override]| {
        let sessions = sessions(of.iter().cloned());
        let policy = Policy {
            cooldown_seconds: 10_000,
            ..Policy::default()
        };
        let decision = decide(&standing(&sessions, overrides), &policy, Timestamp(100));
        decision
            .reasons
            .iter()
            .map(Reason::as_str)
            .collect::<Vec<_>>()
    };

    assert_eq!(
        kinds(&[vec![verified(1, "vr_1")]], &[]),
        ["session_verified"]
    );
    assert_eq!(kinds(&[vec![processing(1)]], &[]), ["session_processing"]);
    assert_eq!(kinds(&[], &[made(Action::Block, 1)]), ["block"]);
    assert_eq!(
        kinds(&[vec![declined(1, "under_supported_age")]], &[]),
        ["error"]
    );
    assert_eq!(
        kinds(&[vec![declined(1, "consent_declined")]], &[]),
        ["error"]
    );
    assert_eq!(kinds(&[failures(5, 1)], &[]), ["attempt"; 5]);
    assert_eq!(
        kinds(&[failures(1, 1)], &[made(GRANT, 1)]),
        ["cooldown", "grant", "attempt"]
    );
    assert_eq!(
        kinds(&[failures(2, 1)], &[made(Action::Reset, 2)]),
        ["reset"]
    );
}

/// How loose a decision is. The first five do not depend on time at all, so each is only as loose as itself.
fn looseness(decision: &Decision) -> (u8, u32) {
    match decision.outcome {
        Outcome::AlreadyVerified => (0, 0),
        Outcome::InProgress => (1, 0),
        Outcome::Blocked => (2, 0),
        Outcome::Final => (3, 0),
        Outcome::AlternativeRequired => (4, 0),
        Outcome::LimitReached { .. } => (5, 0),
        Outcome::CoolingDown { .. } => (6, 0),
        Outcome::Allowed { remaining, .. } => (7, remaining),
    }
}

pub(crate) fn any_policy() -> impl Strategy<Value = Policy> {
    let seconds = || prop_oneof![4 => 0..6_u32, 1 => Just(u32::MAX), 1 => any::<u32>()];
    let factor = prop_oneof![4 => 0..4_u32, 1 => Just(u32::MAX)];
    (0..6_u32, seconds(), seconds(), factor, seconds()).prop_map(
        |(
            attempts_max,
            window_seconds,
            cooldown_seconds,
            cooldown_factor,
            cooldown_max_seconds,
        )| Policy {
            attempts_max,
            window_seconds,
            cooldown_seconds,
            cooldown_factor,
            cooldown_max_seconds,
            ..Policy::default()
        },
    )
}

/// Failures of one user in a few sessions, near enough in time that windows and cooldowns meet.
pub(crate) fn any_failures() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let fail = (
        0..8_i64,
        0..3_i64,
        proptest::sample::select(vec!["document_expired", "abandoned"]),
    );
    let session = proptest::collection::vec(fail, 0..4).prop_map(|all| {
        let fail = |(number, (at, later, code)): (usize, (i64, i64, &str))| {
            [
                processing(at),
                failed(at + later, &format!("vr_{number}"), code),
            ]
        };
        all.into_iter().enumerate().flat_map(fail).collect()
    });
    prop_oneof![
        3 => proptest::collection::vec(session, 0..4),
        1 => proptest::collection::vec(any_events(), 0..4),
    ]
}

pub(crate) fn any_now() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 0..24_i64, 1 => time()]
}

proptest! {
    #![proptest_config(law())]

    #[test]
    fn a_decision_only_loosens_with_time_unless_an_override_expires(
        of in any_failures(), overrides in any_overrides(), policy in any_policy(),
        now in any_now(), later in any_now(),
    ) {
        let lasting = overrides.into_iter().map(|made| Override { expires: None, ..made });
        let lasting: Vec<_> = lasting.collect();
        let sessions = sessions(of);
        let standing = standing(&sessions, &lasting);
        let (now, later) = (now.min(later), now.max(later));

        let before = decide(&standing, &policy, Timestamp(now));
        let after = decide(&standing, &policy, Timestamp(later));

        prop_assert!(looseness(&before) <= looseness(&after), "{:?}\n{:?}", before, after);
        prop_assert!(before.attempts_in_window >= after.attempts_in_window);
        if looseness(&before).0 < 5 {
            prop_assert_eq!(before.outcome, after.outcome);
        }
    }

    #[test]
    fn retry_at_is_the_first_second_at_which_the_outcome_is_another(
        of in any_failures(), policy in any_policy(), now in any_now(),
    ) {
        let sessions = sessions(of);
        let standing = standing(&sessions, &[]);
        let outcome = |now| decide(&standing, &policy, now).outcome;

        let now = outcome(Timestamp(now));
        if let Outcome::LimitReached { retry_at: Some(at) } | Outcome::CoolingDown { retry_at: at } = now {
            let name = now.as_str();
            prop_assert_eq!(outcome(at.plus_seconds(-1)).as_str(), name);
            prop_assert!(at.0 == i64::MAX || outcome(at).as_str() != name);
        }
    }

    #[test]
    fn nothing_panics_at_any_time_under_any_policy(
        all in proptest::collection::vec(any_events(), 0..5), overrides in any_overrides(),
        policy in any_policy(), now in any::<i64>(),
    ) {
        let sessions = sessions(all);
        let standing = standing(&sessions, &overrides);

        for now in [now, i64::MIN, 0, i64::MAX] {
            let decision = decide(&standing, &policy, Timestamp(now));
            prop_assert!(decision.attempts_in_window <= standing.attempts_total());
        }
    }

    #[test]
    fn more_attempts_granted_never_tighten_a_decision(
        of in any_failures(), policy in any_policy(), now in any_now(), attempts in 0..4_u32,
    ) {
        let sessions = sessions(of);
        let grant = [made(Action::Grant { attempts }, 0)];

        let without = decide(&standing(&sessions, &[]), &policy, Timestamp(now));
        let with = decide(&standing(&sessions, &grant), &policy, Timestamp(now));

        prop_assert!(looseness(&without) <= looseness(&with));
    }
}
