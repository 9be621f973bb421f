//! What was acknowledged is in the log: once, in order, readable, and after a restart.

use std::collections::BTreeSet;
use std::thread;

use avow::log::entry::Fact;
use state_machine::id::SequenceNumber;

use crate::support::log::{
    Home, append, append_all, append_events, assert_holds_events, body_of, event_body,
    numbered_body,
};

#[test]
fn acknowledged_entries_are_readable_in_order() {
    let home = Home::new();
    let log = home.open();

    append_events(&log, 0..20);

    assert_eq!(log.size(), 20);
    assert_holds_events(&log, 20);
    assert!(log.entry(SequenceNumber(20)).unwrap().is_none());
}

#[test]
fn acknowledged_entries_are_there_after_a_restart() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..300);
    log.close();

    let log = home.open();

    assert_holds_events(&log, 300);
    append_events(&log, 300..310);
    assert_holds_events(&log, 310);
}

#[test]
fn an_event_is_appended_once_for_good() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..3);

    let while_open = append(&log, &numbered_body(1));
    log.close();
    let log = home.open();
    let after_restart = append(&log, &numbered_body(1));

    for again in [while_open, after_restart] {
        assert_eq!((again.sequence, again.duplicate), (SequenceNumber(1), true));
    }
    assert_eq!(log.size(), 3);
}

#[test]
fn an_event_that_comes_twice_at_once_is_appended_once() {
    let home = Home::new();
    let log = home.open();

    let answers = append_all(
        &log,
        &[numbered_body(0), numbered_body(0), numbered_body(0)],
    );

    let mut duplicates: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap())
        .map(|a| (a.sequence.0, a.duplicate))
        .collect();
    duplicates.sort_unstable();
    assert_eq!(duplicates, [(0, false), (0, true), (0, true)]);
    assert_eq!(log.size(), 1);
}

#[test]
fn many_producers_are_all_answered_and_no_number_is_skipped() {
    let home = Home::new();
    let log = home.open();

    let places: BTreeSet<u64> = thread::scope(|scope| {
        let producers: Vec<_> = (0..8)
            .map(|producer| {
                let log = &log;
                scope.spawn(move || {
                    let numbers = (0..25).map(|number| producer * 25 + number);
                    numbers
                        .map(|number| append(log, &numbered_body(number)).sequence.0)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        producers
            .into_iter()
            .flat_map(|producer| producer.join().unwrap())
            .collect()
    });

    assert!(places.into_iter().eq(0..200));
    let entries: Vec<_> = log
        .entries_from(SequenceNumber(0))
        .map(Result::unwrap)
        .collect();
    assert!(entries.iter().map(|entry| entry.leaf.sequence.0).eq(0..200));
}

#[test]
fn a_copy_of_the_directory_at_any_moment_holds_what_was_acknowledged() {
    let home = Home::new();
    let log = home.open();
    for number in 0..12 {
        append_events(&log, number..number + 1);

        let crashed = Home::copy_of(&home);

        assert_holds_events(&crashed.open_mended().0, number + 1);
    }
}

#[test]
fn an_unreadable_body_is_kept_once_by_its_id_or_its_bytes() {
    let home = Home::new();
    let log = home.open();
    let bodies = [
        "{",
        "[]",
        "{",
        r#"{"id":"evt_9","type":"identity.verification_session.verified"}"#,
    ];

    let places: Vec<_> = bodies
        .iter()
        .map(|body| append(&log, body))
        .map(|a| (a.sequence.0, a.duplicate))
        .collect();
    let other_bytes = append(
        &log,
        r#"{"id":"evt_9","type":"identity.verification_session.verified","pending_webhooks":2}"#,
    );
    log.close();
    let log = home.open();
    let after_restart = append(&log, "[]");

    assert_eq!(places, [(0, false), (1, false), (0, true), (2, false)]);
    assert_eq!((other_bytes.sequence.0, other_bytes.duplicate), (2, true));
    assert_eq!(
        (after_restart.sequence.0, after_restart.duplicate),
        (1, true)
    );
    let entry = log.entry(SequenceNumber(0)).unwrap().unwrap();
    assert_eq!(body_of(&log, &entry), "{");
}

#[test]
fn an_event_is_not_lost_to_an_unreadable_body_of_its_id() {
    let home = Home::new();
    let log = home.open();
    append(
        &log,
        r#"{"id":"evt_000000","type":"identity.verification_session.verified"}"#,
    );

    let event = append(&log, &numbered_body(0));

    assert_eq!((event.sequence.0, event.duplicate), (1, false));
}

#[test]
fn other_facts_under_a_known_id_are_kept_once_as_a_conflict() {
    let home = Home::new();
    let log = home.open();
    append(&log, &event_body("evt_1", "1", "verified"));

    let conflict = append(&log, &event_body("evt_1", "1", "canceled"));
    let again = append(&log, &event_body("evt_1", "1", "canceled"));
    let third = append(&log, &event_body("evt_1", "1", "processing"));
    let first = append(&log, &event_body("evt_1", "1", "verified"));
    log.close();
    let log = home.open();
    let after_restart = append(&log, &event_body("evt_1", "1", "canceled"));

    let places =
        [conflict, again, third, first, after_restart].map(|a| (a.sequence.0, a.duplicate));
    assert_eq!(
        places,
        [(1, false), (1, true), (2, false), (0, true), (1, true)]
    );
    let entry = log.entry(SequenceNumber(1)).unwrap().unwrap();
    assert!(matches!(&entry.leaf.fact, Fact::Conflict(fact) if fact.event.id.as_str() == "evt_1"));
    assert!(log.open_payload(&entry).is_ok());
}
