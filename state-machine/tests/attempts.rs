//! Attempts and declines: what counts as a submission, and which verdict is on which.

use state_machine::attempt::Outcome;
use state_machine::event::{Event, EventType, Status};
use state_machine::id::ErrorCode;

use crate::event::{
    Snapshot, canceled, created, declined, event, failed, observed, processing, requires_input,
    session, verified,
};

/// Compares the attempts (when, report, outcome) and the declines (when, code).
fn check(events: impl IntoIterator<Item = Event>, attempts: &[&str], declines: &[&str]) {
    let session = session(events);
    let told = session.attempts.iter().map(|attempt| {
        let report = attempt
            .report
            .as_ref()
            .map_or("-", |report| report.as_str());
        let outcome = match &attempt.outcome {
            Outcome::InProgress => "in_progress".to_owned(),
            Outcome::Failed {
                at,
                code: Some(code),
            } => format!("{code} at {}", at.0),
            Outcome::Failed { at, code: None } => format!("failed at {}", at.0),
            Outcome::Verified { at } => format!("verified at {}", at.0),
            Outcome::Unknown => "unknown".to_owned(),
        };
        format!("{} {report} {outcome}", attempt.at.0)
    });
    assert_eq!(told.collect::<Vec<_>>(), attempts);
    let told = session.declines.iter().map(|decline| {
        let code = decline
            .error
            .code
            .as_ref()
            .map_or("no code", |code| code.as_str());
        format!("{} {code}", decline.at.0)
    });
    assert_eq!(told.collect::<Vec<_>>(), declines);
}

#[test]
fn a_submission_begins_with_its_processing_and_ends_with_its_verdict() {
    check([created(0), processing(5)], &["5 - in_progress"], &[]);
    check(
        [processing(5), verified(9, "vr_1")],
        &["5 vr_1 verified at 9"],
        &[],
    );
    check(
        [processing(5), failed(9, "vr_1", "document_expired")],
        &["5 vr_1 document_expired at 9"],
        &[],
    );
    check(
        [processing(5), requires_input(9).report("vr_1")],
        &["5 vr_1 failed at 9"],
        &[],
    );
}

#[test]
fn a_report_that_no_processing_announced_is_a_submission() {
    check([verified(9, "vr_1")], &["9 vr_1 verified at 9"], &[]);
    check(
        [
            failed(9, "vr_1", "document_expired"),
            failed(12, "vr_2", "document_expired"),
        ],
        &[
            "9 vr_1 document_expired at 9",
            "12 vr_2 document_expired at 12",
        ],
        &[],
    );
}

#[test]
fn a_verdict_without_a_report_counts_only_if_a_submission_is_open() {
    check(
        [processing(5), event(EventType::Verified, 9)],
        &["5 - verified at 9"],
        &[],
    );
    check([event(EventType::Verified, 9)], &[], &[]);
    check(
        [processing(5), declined(9, "abandoned")],
        &["5 - abandoned at 9"],
        &[],
    );
}

#[test]
fn a_closed_submission_whose_report_is_named_later_is_one_submission() {
    check(
        [
            processing(5),
            declined(9, "abandoned"),
            failed(12, "vr_1", "document_expired"),
        ],
        &["5 vr_1 document_expired at 12"],
        &[],
    );
}

#[test]
fn a_second_processing_without_a_verdict_between_adds_nothing() {
    check(
        [processing(5), processing(6), verified(9, "vr_1")],
        &["5 vr_1 verified at 9"],
        &[],
    );
}

#[test]
fn a_processing_after_a_verdict_is_another_submission() {
    check(
        [
            processing(5),
            failed(9, "vr_1", "document_expired"),
            processing(12),
        ],
        &["5 vr_1 document_expired at 9", "12 - in_progress"],
        &[],
    );
}

#[test]
fn a_submission_whose_verdict_was_not_seen_is_unknown_once_the_session_moves_on() {
    check([processing(5), canceled(9)], &["5 - unknown"], &[]);
    check(
        [verified(4, "vr_1"), processing(5)],
        &["4 vr_1 verified at 4", "5 - unknown"],
        &[],
    );
}

#[test]
fn an_override_of_an_older_report_says_nothing_of_the_submission_that_it_ends() {
    check(
        [
            failed(5, "vr_1", "document_expired"),
            processing(7),
            verified(9, "vr_1"),
        ],
        &["5 vr_1 verified at 9", "7 - unknown"],
        &[],
    );
}

#[test]
fn the_last_verdict_on_a_report_stands() {
    let failure = failed(9, "vr_1", "document_expired");
    check(
        [failure.clone(), verified(20, "vr_1")],
        &["9 vr_1 verified at 20"],
        &[],
    );
    check(
        [
            verified(9, "vr_1"),
            failed(20, "vr_1", "document_unverified_other"),
        ],
        &["9 vr_1 document_unverified_other at 20"],
        &[],
    );
}

#[test]
fn a_decline_is_no_attempt_and_is_kept_with_its_code() {
    check(
        [created(0), declined(5, "consent_declined")],
        &[],
        &["5 consent_declined"],
    );
    check(
        [requires_input(5).error_without_code()],
        &[],
        &["5 no code"],
    );
    check([created(0), requires_input(5)], &[], &[]);
}

#[test]
fn a_decline_after_a_failed_submission_leaves_that_failure_as_it_is() {
    // Else declining the e-mail check after each failure would refill the retry limit.
    check(
        [
            failed(5, "vr_1", "document_expired"),
            failed(9, "vr_1", "abandoned"),
        ],
        &["5 vr_1 document_expired at 5"],
        &["9 abandoned"],
    );
}

#[test]
fn a_failure_that_makes_no_new_report_is_on_the_open_submission() {
    check(
        [
            failed(5, "vr_1", "document_expired"),
            processing(7),
            failed(9, "vr_1", "abandoned"),
        ],
        &["5 vr_1 document_expired at 5", "7 - abandoned at 9"],
        &[],
    );
}

#[test]
fn a_second_event_object_for_one_change_adds_nothing() {
    let failure = failed(9, "vr_1", "document_expired");
    check(
        [processing(5), processing(5), failure.clone(), failure],
        &["5 vr_1 document_expired at 9"],
        &[],
    );
    check(
        [declined(5, "abandoned"), declined(5, "abandoned")],
        &[],
        &["5 abandoned"],
    );
    check(
        [
            processing(5),
            declined(9, "abandoned"),
            declined(9, "abandoned"),
        ],
        &["5 - abandoned at 9"],
        &[],
    );
}

#[test]
fn the_same_verdict_on_the_same_report_at_a_later_second_is_no_decline() {
    check(
        [
            failed(9, "vr_1", "document_expired"),
            failed(10, "vr_1", "document_expired"),
        ],
        &["9 vr_1 document_expired at 9"],
        &[],
    );
}

#[test]
fn two_declines_at_different_times_are_two() {
    check(
        [declined(5, "abandoned"), declined(6, "abandoned")],
        &[],
        &["5 abandoned", "6 abandoned"],
    );
    check(
        [declined(5, "abandoned"), declined(5, "consent_declined")],
        &[],
        &["5 abandoned", "5 consent_declined"],
    );
}

#[test]
fn an_observation_tells_of_what_was_not_seen_and_repeats_what_was() {
    let failed_now = observed(12, Status::RequiresInput)
        .report("vr_1")
        .error("document_expired");
    check([observed(5, Status::Processing)], &["5 - in_progress"], &[]);
    check(
        [observed(12, Status::Verified).report("vr_1")],
        &["12 vr_1 verified at 12"],
        &[],
    );
    check(
        [processing(5), observed(7, Status::Processing)],
        &["5 - in_progress"],
        &[],
    );
    check(
        [failed(9, "vr_1", "document_expired"), failed_now],
        &["9 vr_1 document_expired at 9"],
        &[],
    );
    let declined_now = observed(12, Status::RequiresInput).error("abandoned");
    check(
        [declined(5, "abandoned"), declined_now.clone()],
        &[],
        &["5 abandoned"],
    );
    check([created(0), declined_now], &[], &["12 abandoned"]);
}

#[test]
fn an_observed_processing_in_the_second_of_its_verdict_is_the_same_submission() {
    check(
        [
            processing(5),
            verified(9, "vr_1"),
            observed(9, Status::Processing),
        ],
        &["5 vr_1 verified at 9"],
        &[],
    );
}

#[test]
fn a_decline_in_the_second_of_the_next_submission_does_not_make_two_of_it() {
    check(
        [
            declined(5, "abandoned"),
            processing(5),
            observed(7, Status::Processing),
        ],
        &["5 - abandoned at 5"],
        &[],
    );
}

#[test]
fn a_submission_after_a_verdict_in_the_second_of_the_one_before_is_another() {
    check(
        [processing(5), declined(5, "abandoned"), processing(7)],
        &["5 - abandoned at 5", "7 - in_progress"],
        &[],
    );
}

#[test]
fn an_observed_processing_after_the_second_of_a_verdict_is_another_submission() {
    check(
        [
            processing(5),
            verified(9, "vr_1"),
            observed(12, Status::Processing),
        ],
        &["5 vr_1 verified at 9", "12 - in_progress"],
        &[],
    );
}

#[test]
fn a_verification_is_no_decline_though_its_snapshot_holds_an_error() {
    check([event(EventType::Verified, 9).error("abandoned")], &[], &[]);
}

#[test]
fn an_error_like_that_of_a_submission_without_a_report_is_a_decline_at_a_later_second() {
    check(
        [
            processing(5),
            declined(9, "abandoned"),
            declined(12, "abandoned"),
        ],
        &["5 - abandoned at 9"],
        &["12 abandoned"],
    );
}

#[test]
fn declines_are_counted_by_their_codes() {
    let session = session([
        declined(1, "abandoned"),
        declined(2, "consent_declined"),
        declined(3, "abandoned"),
        requires_input(4).error_without_code(),
    ]);

    let counts = session.declines_by_code().into_iter();
    let told: Vec<_> = counts
        .map(|(code, count)| (code.map(ErrorCode::as_str), count))
        .collect();
    assert_eq!(
        told,
        [
            (None, 1),
            (Some("abandoned"), 2),
            (Some("consent_declined"), 1)
        ]
    );
}
