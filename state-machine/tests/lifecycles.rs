//! Named lifecycles, told by Stripe's own events, which arrive in every order there is.

use serde_json::Value;
use state_machine::attempt::Outcome;
use state_machine::event::{Event, EventType, LastError, RedactionStatus, Status};
use state_machine::id::{ErrorCode, EventId, ReportId, UserTag};
use state_machine::session::{Redaction, Session, project};
use state_machine::time::Timestamp;

use crate::event::history;

const FIXTURE: &str = include_str!("../../tests/fixtures/stripe/events/events-constructed.json");

#[test]
fn a_success() {
    check(
        &["created", "processing", "verified"],
        "verified since 75; attempts: verified; declines: none; anomalies: none",
    );
}

#[test]
fn a_failure() {
    check(
        &["created", "processing", "requires_input.document_expired"],
        "requires_input since 75; attempts: document_expired; declines: none; anomalies: none",
    );
}

#[test]
fn two_failures_and_a_reviewer_who_overrides_the_second() {
    check(
        &[
            "created",
            "processing",
            "requires_input.document_expired",
            "requires_input.selfie_face_mismatch",
            "verified.dashboard_override",
        ],
        "verified since 4000; attempts: document_expired, verified; declines: none; anomalies: none",
    );
}

#[test]
fn a_reviewer_who_takes_a_verification_back() {
    check(
        &[
            "created",
            "processing",
            "verified",
            "requires_input.dashboard_override_from_verified",
        ],
        "requires_input since 5000, reversed; attempts: document_unverified_other; declines: none; anomalies: none",
    );
}

#[test]
fn a_decline_and_then_a_success() {
    check(
        &[
            "created",
            "requires_input.consent_declined",
            "processing",
            "verified",
        ],
        "verified since 75; attempts: verified; declines: consent_declined; anomalies: none",
    );
}

#[test]
fn two_declines() {
    check(
        &[
            "created",
            "requires_input.consent_declined",
            "requires_input.under_supported_age",
        ],
        "requires_input since 0; attempts: none; declines: consent_declined, under_supported_age; anomalies: none",
    );
}

#[test]
fn a_cancelation() {
    check(
        &["created", "canceled.by_api"],
        "canceled since 500; attempts: none; declines: none; anomalies: none",
    );
}

#[test]
fn a_redaction_of_an_untried_session() {
    check(
        &[
            "created",
            "canceled.by_redaction",
            "redacted.from_requires_input",
        ],
        "redacted since 90000, redaction done; attempts: none; declines: none; anomalies: none",
    );
}

#[test]
fn a_redaction_of_a_canceled_session() {
    check(
        &[
            "created",
            "canceled.by_api",
            "canceled.by_redaction",
            "redacted.from_requires_input",
        ],
        "redacted since 90000, redaction done; attempts: none; declines: none; anomalies: none",
    );
}

#[test]
fn a_redaction_of_a_verified_session() {
    check(
        &[
            "created",
            "processing",
            "verified",
            "canceled.by_redaction",
            "redacted.from_verified",
        ],
        "redacted since 90000, redaction done; attempts: verified; declines: none; anomalies: none",
    );
}

#[test]
fn a_verified_session_is_verified_until_its_redaction_is_done() {
    check(
        &["created", "processing", "verified", "canceled.by_redaction"],
        "verified since 75, redaction pending; attempts: verified; declines: none; anomalies: none",
    );
}

#[test]
fn every_failure_counts_even_without_a_code_or_with_an_unknown_one() {
    check(
        &[
            "created",
            "processing",
            "requires_input.code_null",
            "requires_input.unknown_future_code",
            "requires_input.selfie_face_mismatch",
        ],
        "requires_input since 80; attempts: no code, liveness_failed_2027, selfie_face_mismatch; declines: none; anomalies: none",
    );
}

#[test]
fn a_failure_and_a_success_within_one_second() {
    check(
        &[
            "created",
            "processing",
            "requires_input.document_expired",
            "verified",
        ],
        "verified since 75; attempts: document_expired, verified; declines: none; anomalies: none",
    );
}

#[test]
fn a_subscriber_to_verified_and_requires_input_alone() {
    check(
        &[
            "requires_input.document_expired",
            "verified.dashboard_override",
        ],
        "verified since 4000; attempts: document_expired, verified; declines: none; anomalies: none",
    );
}

#[test]
fn a_second_event_object_for_every_change() {
    check(
        &[
            "created",
            "processing",
            "processing again",
            "verified",
            "verified again",
        ],
        "verified since 75; attempts: verified; declines: none; anomalies: processing_repeated",
    );
    check(
        &[
            "processing",
            "requires_input.document_expired",
            "requires_input.document_expired again",
            "requires_input.consent_declined",
            "requires_input.consent_declined again",
        ],
        "requires_input since 75; attempts: document_expired; declines: consent_declined; anomalies: none",
    );
}

#[test]
fn everything_at_once() {
    check(
        &[
            "created",
            "requires_input.consent_declined",
            "processing",
            "requires_input.document_expired",
            "verified.dashboard_override",
            "redacted.from_verified",
        ],
        "redacted since 90000, redaction done; attempts: document_expired, verified; declines: consent_declined; anomalies: none",
    );
}

#[test]
fn a_cancelation_of_a_verified_session_is_strange() {
    check(
        &["created", "processing", "verified", "canceled.by_api"],
        "verified since 75; attempts: verified; declines: none; anomalies: canceled_after_verified",
    );
}

#[test]
fn a_verification_of_a_canceled_session_is_strange() {
    check(
        &["created", "canceled.by_api", "verified.dashboard_override"],
        "canceled since 500; attempts: verified; declines: none; anomalies: verified_after_canceled",
    );
}

/// Folds the fixture's events in every order, and compares what comes of each with the description.
fn check(names: &[&str], expected: &str) {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let mut events: Vec<_> = names.iter().map(|name| read(&fixture, name)).collect();
    let mut orders = 0;

    each_permutation(&mut events, 0, &mut |events| {
        orders += 1;
        assert_eq!(describe(&project(&history(events))), expected);
    });

    assert_eq!(orders, (1..=names.len()).product::<usize>());
}

fn describe(session: &Session) -> String {
    let since = session.state.since().unwrap().0 - 1_760_000_000;
    let mut line = format!("{} since {since}", session.state.name().as_str());
    line += match session.redaction {
        Redaction::None => "",
        Redaction::Pending => ", redaction pending",
        Redaction::Done => ", redaction done",
    };
    line += if session.reversed { ", reversed" } else { "" };
    let attempts = session
        .attempts
        .iter()
        .map(|attempt| match &attempt.outcome {
            Outcome::InProgress => "in progress",
            Outcome::Failed { code, .. } => code.as_ref().map_or("no code", ErrorCode::as_str),
            Outcome::Verified { .. } => "verified",
            Outcome::Unknown => "unknown",
        });
    line += &list("attempts", attempts.collect());
    let declines = session.declines.iter();
    let declines = declines.map(|decline| decline.error.code.as_ref().unwrap().as_str());
    line += &list("declines", declines.collect());
    line += &list(
        "anomalies",
        session
            .anomalies
            .iter()
            .map(|it| it.rule.as_str())
            .collect(),
    );
    line
}

fn list(name: &str, words: Vec<&str>) -> String {
    let words = if words.is_empty() {
        vec!["none"]
    } else {
        words
    };
    format!("; {name}: {}", words.join(", "))
}

/// Calls `check` with the events in every order.
pub(crate) fn each_permutation(
    events: &mut [Event],
    from: usize,
    check: &mut impl FnMut(&[Event]),
) {
    if from == events.len() {
        check(events);
    }
    for next in from..events.len() {
        events.swap(from, next);
        each_permutation(events, from + 1, check);
        events.swap(from, next);
    }
}

/// Reads the facts of one of the fixture's events; " again" makes a second Event object of it.
fn read(fixture: &Value, name: &str) -> Event {
    let event = &fixture["events"][name.trim_end_matches(" again")];
    let snapshot = &event["data"]["object"];
    let id = event["id"].as_str().unwrap();
    let id = if name.ends_with(" again") {
        format!("{id}again")
    } else {
        id.to_owned()
    };
    Event {
        id: EventId::parse(&id).unwrap(),
        event_type: match event["type"].as_str().unwrap().rsplit('.').next().unwrap() {
            "created" => EventType::Created,
            "processing" => EventType::Processing,
            "requires_input" => EventType::RequiresInput,
            "verified" => EventType::Verified,
            "canceled" => EventType::Canceled,
            "redacted" => EventType::Redacted,
            other => panic!("{other}"),
        },
        created: Timestamp(event["created"].as_i64().unwrap()),
        session_created: snapshot["created"].as_i64().map(Timestamp),
        status: snapshot["status"].as_str().map(|status| match status {
            "requires_input" => Status::RequiresInput,
            "processing" => Status::Processing,
            "verified" => Status::Verified,
            "canceled" => Status::Canceled,
            other => panic!("{other}"),
        }),
        last_error: snapshot["last_error"].as_object().map(|error| LastError {
            code: error["code"]
                .as_str()
                .map(|code| ErrorCode::parse(code).unwrap()),
        }),
        report: snapshot["last_verification_report"]
            .as_str()
            .map(|report| ReportId::parse(report).unwrap()),
        redaction: snapshot["redaction"]["status"]
            .as_str()
            .map(|status| match status {
                "processing" => RedactionStatus::Processing,
                "redacted" => RedactionStatus::Redacted,
                other => panic!("{other}"),
            }),
        user: snapshot["metadata"]["user_id"]
            .as_str()
            .map(|_| UserTag([42; 16])),
    }
}
