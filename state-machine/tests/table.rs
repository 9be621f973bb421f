//! The transition table in full, and what a state keeps or takes over on the way.

use std::collections::BTreeSet;

use state_machine::event::{Event, EventType, RedactionStatus, Status};
use state_machine::session::explain;
use state_machine::table;
use state_machine::time::Timestamp;
use state_machine::transition::{LastErrorAt, Mark, State, StateName};

use crate::event::{
    Snapshot, canceled, canceled_by_redaction, created, declined, event, failed, history, named,
    observed, processing, redacted, requires_input, session, verified,
};

/// ✓ expected, ~ followed with a step inferred, each with the state after; ! kept as an anomaly of that rule, the
/// state as it was. The word after a colon is the row's branch.
const TABLE: &str = "
from            event           no report                       known report                    new report                      by redaction
unseen          created         ✓ requires_input                ✓ requires_input                ✓ requires_input                ✓ requires_input
unseen          processing      ~ processing                    ~ processing                    ~ processing                    ~ processing
unseen          requires_input  ~ requires_input                ~ requires_input                ~ requires_input                ~ requires_input
unseen          verified        ~ verified                      ~ verified                      ~ verified                      ~ verified
unseen          canceled        ~ canceled                      ~ canceled                      ~ canceled                      ~ canceled
unseen          redacted        ~ redacted                      ~ redacted                      ~ redacted                      ~ redacted
requires_input  created         ! created_after_requires_input  ! created_after_requires_input  ! created_after_requires_input  ! created_after_requires_input
requires_input  processing      ✓ processing                    ✓ processing                    ✓ processing                    ✓ processing
requires_input  requires_input  ✓ requires_input:no_new_report  ✓ requires_input:no_new_report  ~ requires_input:new_report     ✓ requires_input:no_new_report
requires_input  verified        ~ verified:processing_not_seen  ✓ verified:override             ~ verified:processing_not_seen  ~ verified:processing_not_seen
requires_input  canceled        ✓ canceled                      ✓ canceled                      ✓ canceled                      ✓ canceled
requires_input  redacted        ~ redacted                      ~ redacted                      ~ redacted                      ~ redacted
processing      created         ! created_after_processing      ! created_after_processing      ! created_after_processing      ! created_after_processing
processing      processing      ! processing_repeated           ! processing_repeated           ! processing_repeated           ! processing_repeated
processing      requires_input  ✓ requires_input                ✓ requires_input                ✓ requires_input                ✓ requires_input
processing      verified        ✓ verified                      ✓ verified                      ✓ verified                      ✓ verified
processing      canceled        ~ canceled                      ~ canceled                      ~ canceled                      ~ canceled
processing      redacted        ~ redacted                      ~ redacted                      ~ redacted                      ~ redacted
verified        created         ! created_after_verified        ! created_after_verified        ! created_after_verified        ! created_after_verified
verified        processing      ! processing_after_verified     ! processing_after_verified     ! processing_after_verified     ! processing_after_verified
verified        requires_input  ✓ requires_input                ✓ requires_input                ✓ requires_input                ✓ requires_input
verified        verified        ✓ verified                      ✓ verified                      ✓ verified                      ✓ verified
verified        canceled        ! canceled_after_verified       ! canceled_after_verified       ! canceled_after_verified       ✓ verified:by_redaction
verified        redacted        ✓ redacted                      ✓ redacted                      ✓ redacted                      ✓ redacted
canceled        created         ! created_after_canceled        ! created_after_canceled        ! created_after_canceled        ! created_after_canceled
canceled        processing      ! processing_after_canceled     ! processing_after_canceled     ! processing_after_canceled     ! processing_after_canceled
canceled        requires_input  ! requires_input_after_canceled ! requires_input_after_canceled ! requires_input_after_canceled ! requires_input_after_canceled
canceled        verified        ! verified_after_canceled       ! verified_after_canceled       ! verified_after_canceled       ! verified_after_canceled
canceled        canceled        ! canceled_repeated             ! canceled_repeated             ! canceled_repeated             ✓ canceled:by_redaction
canceled        redacted        ✓ redacted                      ✓ redacted                      ✓ redacted                      ✓ redacted
redacted        created         ! created_after_redacted        ! created_after_redacted        ! created_after_redacted        ! created_after_redacted
redacted        processing      ! processing_after_redacted     ! processing_after_redacted     ! processing_after_redacted     ! processing_after_redacted
redacted        requires_input  ! requires_input_after_redacted ! requires_input_after_redacted ! requires_input_after_redacted ! requires_input_after_redacted
redacted        verified        ! verified_after_redacted       ! verified_after_redacted       ! verified_after_redacted       ! verified_after_redacted
redacted        canceled        ! canceled_after_redacted       ! canceled_after_redacted       ! canceled_after_redacted       ! canceled_after_redacted
redacted        redacted        ✓ redacted                      ✓ redacted                      ✓ redacted                      ✓ redacted
";

const OBSERVED: &str = "
from            on              requires_input                  processing                      verified                        canceled
unseen          observed        ~ requires_input:status         ~ processing:status             ~ verified:status               ~ canceled:status
requires_input  observed        ✓ requires_input:same           ~ processing:changed            ~ verified:changed              ~ canceled:changed
processing      observed        ~ requires_input:changed        ✓ processing:same               ~ verified:changed              ~ canceled:changed
verified        observed        ~ requires_input:changed        ~ processing:changed            ✓ verified:same                 ~ canceled:changed
canceled        observed        ~ requires_input:changed        ~ processing:changed            ~ verified:changed              ✓ canceled:same
redacted        observed        ! observed_after_redacted       ! observed_after_redacted       ! observed_after_redacted       ! observed_after_redacted
";

#[test]
fn the_36_rows_stand_in_full() {
    let types = EventType::ALL
        .into_iter()
        .filter(|on| *on != EventType::Observed);
    let types: Vec<_> = types.collect();
    let mut text = line([
        "from",
        "event",
        "no report",
        "known report",
        "new report",
        "by redaction",
    ]);

    for from in StateName::ALL {
        for on in &types {
            let plain = Event {
                redaction: None,
                ..event(*on, 1)
            };
            let cells = [
                cell(from, &plain, false),
                cell(from, &plain.clone().report("vr_1"), false),
                cell(from, &plain.clone().report("vr_1"), true),
                cell(
                    from,
                    &plain.clone().redaction(RedactionStatus::Processing),
                    false,
                ),
            ];
            let [none, known, new, redaction] = cells.each_ref().map(String::as_str);
            text += &line([from.as_str(), on.as_str(), none, known, new, redaction]);
        }
    }

    assert_eq!(text.trim(), TABLE.trim(), "\n{text}");
}

#[test]
fn an_observed_snapshot_sets_the_status_that_it_states_from_any_state_but_redacted() {
    let stated = [
        Status::RequiresInput,
        Status::Processing,
        Status::Verified,
        Status::Canceled,
    ];
    let mut text = line([
        "from",
        "on",
        "requires_input",
        "processing",
        "verified",
        "canceled",
    ]);

    for from in StateName::ALL {
        let cells = stated
            .clone()
            .map(|status| cell(from, &observed(1, status), false));
        let [requires_input, processing, verified, canceled] = cells.each_ref().map(String::as_str);
        text += &line([
            from.as_str(),
            "observed",
            requires_input,
            processing,
            verified,
            canceled,
        ]);
    }

    assert_eq!(text.trim(), OBSERVED.trim(), "\n{text}");
}

#[test]
fn an_observed_snapshot_without_a_known_status_changes_nothing() {
    for from in StateName::ALL
        .into_iter()
        .filter(|from| *from != StateName::Redacted)
    {
        let unknown = observed(1, Status::Other("paused".into()));
        assert_eq!(cell(from, &unknown, false), "! status_unknown");
        assert_eq!(
            cell(from, &event(EventType::Observed, 1), false),
            "! status_missing"
        );
    }
}

#[test]
fn an_observed_snapshot_may_say_that_a_redacted_session_is_redacted_whatever_its_status() {
    let snapshot = observed(1, Status::Verified).redaction(RedactionStatus::Redacted);

    assert_eq!(
        cell(StateName::Redacted, &snapshot, false),
        "✓ redacted:redacted"
    );
}

/// The row for an event, as the tables above show it.
fn cell(from: StateName, event: &Event, report_is_new: bool) -> String {
    let row = table::row(from, event, report_is_new);
    let (cell, branch) = row.id.split_once(':').unwrap_or((row.id, ""));
    assert_eq!(
        cell,
        format!("{}/{}", from.as_str(), event.event_type.as_str())
    );
    assert!(row.meaning.ends_with('.'), "{}", row.meaning);
    if let Mark::Anomaly(rule) = row.mark {
        assert_eq!(row.to, from, "an anomaly leaves the state as it is");
        return format!("! {}", rule.as_str());
    }
    let colon = if branch.is_empty() { "" } else { ":" };
    format!("{} {}{colon}{branch}", row.mark.sign(), row.to.as_str())
}

fn line([from, on, rest @ ..]: [&str; 6]) -> String {
    let rest = rest.map(|column| format!("{column:<32}")).concat();
    format!("{from:<15} {on:<15} {}\n", rest.trim_end())
}

#[test]
fn every_row_and_branch_has_an_id_of_its_own() {
    let mut rows = BTreeSet::new();
    each_row(&mut |from, row| {
        rows.insert((row.id, row.meaning, from));
    });
    let ids: BTreeSet<_> = rows.iter().map(|(id, ..)| *id).collect();

    assert_eq!(ids.len(), rows.len());
    assert_eq!(ids.len(), 56);
}

#[test]
fn every_state_and_every_row_is_reached_by_a_history() {
    let mut rows = BTreeSet::new();
    each_row(&mut |_, row| {
        rows.insert(row.id);
    });
    let mut reached = BTreeSet::new();
    let mut states = BTreeSet::from(["unseen"]); // the session of no events

    for to_state in ways() {
        for last in variants(100) {
            let events = named(to_state.iter().cloned().chain([last]));
            for transition in explain(&history(&events)) {
                reached.insert(transition.row);
                states.insert(transition.to.as_str());
            }
        }
    }

    assert_eq!(reached, rows);
    assert_eq!(states, StateName::ALL.map(StateName::as_str).into());
}

/// A history that leads to each state; each has had a verdict on `vr_known` where it can.
fn ways() -> [Vec<Event>; 6] {
    let failed = failed(1, "vr_known", "document_expired");
    [
        vec![],
        vec![failed.clone()],
        vec![failed.clone(), processing(2)],
        vec![failed.clone(), verified(2, "vr_known")],
        vec![failed.clone(), canceled(2)],
        vec![failed, redacted(2)],
    ]
}

/// Every kind of event that the table tells apart.
fn variants(at: i64) -> Vec<Event> {
    let mut variants = Vec::new();
    for on in EventType::ALL {
        for status in [
            Some(Status::RequiresInput),
            Some(Status::Processing),
            Some(Status::Verified),
            Some(Status::Canceled),
            Some(Status::Other("paused".into())),
            None,
        ] {
            let plain = Event {
                status,
                redaction: None,
                ..event(on, at)
            };
            variants.push(plain.clone().report("vr_new"));
            variants.push(plain.clone().report("vr_known"));
            variants.push(plain.clone().redaction(RedactionStatus::Processing));
            variants.push(plain.clone().redaction(RedactionStatus::Redacted));
            variants.push(plain);
        }
    }
    variants
}

fn each_row(check: &mut impl FnMut(StateName, table::Row)) {
    for from in StateName::ALL {
        for event in variants(1) {
            check(from, table::row(from, &event, false));
            check(from, table::row(from, &event, event.report.is_some()));
        }
    }
}

#[test]
fn a_state_keeps_its_time_while_it_lasts() {
    let check = |events: Vec<Event>, since| {
        assert_eq!(session(events).state.since(), Some(Timestamp(since)));
    };

    check(
        vec![
            created(1),
            declined(5, "abandoned"),
            declined(6, "abandoned"),
        ],
        1,
    );
    check(vec![processing(2), processing(5)], 2);
    check(vec![verified(3, "vr_1"), verified(5, "vr_1")], 3);
    check(vec![verified(3, "vr_1"), observed(5, Status::Verified)], 3);
    check(vec![canceled(4), canceled_by_redaction(5)], 4);
    check(vec![redacted(4), redacted(5)], 4);
    check(vec![verified(3, "vr_1"), requires_input(5)], 5);
}

#[test]
fn requires_input_holds_the_error_of_the_latest_snapshot() {
    let check = |events: Vec<Event>, error: Option<(&str, i64)>| {
        let session = session(events);
        let held = session.state.last_error();
        let held = held.map(|held| (held.error.code.as_ref().unwrap().as_str(), held.at.0));
        assert_eq!(held, error);
    };

    check(vec![created(0)], None);
    check(
        vec![created(0), declined(1, "abandoned")],
        Some(("abandoned", 1)),
    );
    check(
        vec![declined(1, "abandoned"), declined(2, "abandoned")],
        Some(("abandoned", 2)),
    );
    check(vec![declined(1, "abandoned"), requires_input(2)], None);
    check(
        vec![declined(1, "abandoned"), observed(2, Status::RequiresInput)],
        None,
    );
    let seen_changed = observed(2, Status::RequiresInput).error("consent_declined");
    check(
        vec![declined(1, "abandoned"), seen_changed],
        Some(("consent_declined", 2)),
    );
    let seen_again = observed(2, Status::RequiresInput).error("abandoned");
    check(
        vec![declined(1, "abandoned"), seen_again],
        Some(("abandoned", 1)),
    );
    check(vec![declined(1, "abandoned"), processing(2)], None);
}

#[test]
fn an_error_without_a_code_is_an_error() {
    let session = session([requires_input(1).error_without_code()]);

    let LastErrorAt { error, at } = session.state.last_error().unwrap();
    assert_eq!((&error.code, *at), (&None, Timestamp(1)));
}

#[test]
fn verified_holds_the_report_that_proves_it() {
    let check = |events: Vec<Event>, proof: &str| {
        let State::Verified { report, .. } = session(events).state else {
            panic!("not verified")
        };
        assert_eq!(report.unwrap().as_str(), proof);
    };

    check(vec![verified(1, "vr_1")], "vr_1");
    check(vec![verified(1, "vr_1"), verified(2, "vr_2")], "vr_2");
    check(
        vec![verified(1, "vr_1"), event(EventType::Verified, 2)],
        "vr_1",
    );
}

#[test]
fn canceled_says_whether_redaction_did_it() {
    let check = |events: Vec<Event>, expected| {
        let State::Canceled { by_redaction, .. } = session(events).state else {
            panic!("not canceled")
        };
        assert_eq!(by_redaction, expected);
    };

    check(vec![created(0), canceled(1)], false);
    check(vec![created(0), canceled_by_redaction(1)], true);
    check(
        vec![created(0), canceled(1), canceled_by_redaction(2)],
        false,
    );
}
