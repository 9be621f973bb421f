//! The checks of a decision, told one by one.

use proptest::prelude::*;
use state_machine::event::Event;
use state_machine::overrides::{Action, Override};
use state_machine::retry::check::{CheckResult, WhyPassed, checks};
use state_machine::retry::policy::Policy;
use state_machine::retry::{Outcome, decide};
use state_machine::time::Timestamp;

use crate::decisions::{any_failures, any_now, any_policy, failures, made, until};
use crate::event::{created, declined, failed, processing, verified};
use crate::laws::law;
use crate::standing::{any_overrides, sessions, standing};

/// Tells in a line why each check was passed, and which one applied.
fn told(of: Vec<Event>, overrides: &[Override], policy: &Policy) -> String {
    let sessions = sessions([of]);
    let checks = checks(&standing(&sessions, overrides), policy, Timestamp(1_000));
    let word = |result: &CheckResult| match result {
        CheckResult::Applied => "applied".to_owned(),
        CheckResult::NotReached => "-".to_owned(),
        CheckResult::Passed(why) => match why {
            WhyPassed::StatusIs(status) => status.as_str().to_owned(),
            WhyPassed::NoBlock => "no block".to_owned(),
            WhyPassed::Unblocked { at, .. } => format!("unblocked {}", at.0),
            WhyPassed::NoFinalError => "none final".to_owned(),
            WhyPassed::NoTry => "no try".to_owned(),
            WhyPassed::LastTryWithoutCode => "no code".to_owned(),
            WhyPassed::LastError { code, class, at } => {
                format!("{code} {} {}", class.as_str(), at.0)
            }
            WhyPassed::BelowLimit { in_window, limit } => format!("{in_window} of {limit}"),
            WhyPassed::NoFailure => "no failure".to_owned(),
            WhyPassed::CooldownOver { last_at, seconds } => format!("{} + {seconds}", last_at.0),
        },
    };
    let names = checks.iter().map(|check| check.outcome);
    assert_eq!(names.collect::<Vec<_>>(), Outcome::NAMES);
    let words: Vec<_> = checks.iter().map(|check| word(&check.result)).collect();
    words.join(" | ")
}

#[test]
fn each_check_tells_why_it_did_not_apply() {
    let five = Policy::default();
    let waits = Policy {
        cooldown_seconds: 60,
        ..Policy::default()
    };
    let unblocked = [made(Action::Block, 5), made(Action::Unblock, 7)];
    let expired = [until(9, made(Action::Block, 5))];
    let reset = [made(Action::Reset, 900)];
    let under_age = || vec![declined(30, "under_supported_age")];
    let refused = || {
        vec![
            failed(20, "vr_1", "document_expired"),
            declined(40, "consent_declined"),
        ]
    };
    #[rustfmt::skip]
    let rows: [(Vec<Event>, &[Override], &Policy, &str); 11] = [
        (vec![verified(10, "vr_1")], &[],        &five,  "applied | - | - | - | - | - | - | -"),
        (vec![processing(10)],       &[],        &five,  "processing | applied | - | - | - | - | - | -"),
        (vec![created(10)],          &[],        &five,  "requires_input | requires_input | no block | none final | no try | 0 of 5 | no failure | applied"),
        (vec![],                     &unblocked, &five,  "unseen | unseen | unblocked 7 | none final | no try | 0 of 5 | no failure | applied"),
        (vec![],                     &expired,   &five,  "unseen | unseen | no block | none final | no try | 0 of 5 | no failure | applied"),
        (under_age(),                &[],        &five,  "requires_input | requires_input | no block | applied | - | - | - | -"),
        (under_age(),                &reset,     &five,  "requires_input | requires_input | no block | none final | no try | 0 of 5 | no failure | applied"),
        (refused(),                  &[],        &five,  "requires_input | requires_input | no block | none final | applied | - | - | -"),
        (failures(5, 50),            &[],        &five,  "requires_input | requires_input | no block | none final | document_expired counted 54 | applied | - | -"),
        (failures(1, 990),           &[],        &waits, "requires_input | requires_input | no block | none final | document_expired counted 990 | 1 of 5 | applied | -"),
        (failures(2, 50),            &[],        &waits, "requires_input | requires_input | no block | none final | document_expired counted 51 | 2 of 5 | 51 + 60 | applied"),
    ];
    for (events, overrides, policy, expected) in rows {
        assert_eq!(told(events, overrides, policy), expected);
    }
}

proptest! {
    #![proptest_config(law())]

    #[test]
    fn the_first_check_that_applies_is_the_outcome(
        of in any_failures(), overrides in any_overrides(), policy in any_policy(), now in any_now(),
    ) {
        let sessions = sessions(of);
        let standing = standing(&sessions, &overrides);

        let outcome = decide(&standing, &policy, Timestamp(now)).outcome;
        let checks = checks(&standing, &policy, Timestamp(now));

        let at = checks.iter().position(|check| check.result == CheckResult::Applied).unwrap();
        prop_assert_eq!(checks[at].outcome, outcome.as_str());
        for check in &checks[..at] {
            prop_assert!(matches!(check.result, CheckResult::Passed(_)));
        }
        for check in &checks[at + 1..] {
            prop_assert_eq!(&check.result, &CheckResult::NotReached);
        }
    }
}
