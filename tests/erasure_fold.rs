//! The fold of a log is the fold of the erased log, and its leaves are the same.

use avow::log::Log;
use avow::projections::catch_up::catch_up;
use avow::projections::live::Live;
use avow::projections::view::SessionFilter;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use state_machine::id::{SequenceNumber, World};

use crate::support::log::{Home, append_all, erase, event_body};

const SEEDS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/proptest-regressions/erasure_fold.txt"
);
const SESSIONS: usize = 4;
const NAMES: [&str; 5] = [
    "created",
    "processing",
    "requires_input",
    "verified",
    "canceled",
];

/// What is projected of a log folded from its first entry on, but for what is decided about payloads; and its leaves.
fn folded(log: &Log) -> (Vec<String>, Vec<Vec<u8>>) {
    let directory = Home::in_memory();
    let (live, _) = Live::open(&directory.path(), 1 << 20, log).unwrap();
    let projections = live.store();
    catch_up(&projections, |next| log.entries_from(next), |_, _| {}).unwrap();
    let world = World {
        livemode: false,
        account: None,
    };
    let view = projections.view();
    let mut seen = Vec::new();
    for id in view
        .sessions(&world, SessionFilter::default(), None)
        .unwrap()
    {
        let id = id.unwrap();
        let mut record = view.session(&world, &id).unwrap().unwrap();
        record.custody_steps.clear();
        seen.push(format!("{id:?} {record:?}"));
    }
    for tag in view.users(&world, None, None) {
        let tag = tag.unwrap();
        let sessions = view.recorded_user(&world, tag).unwrap().sessions;
        let sessions: Vec<_> = sessions.iter().map(|(id, _)| id).collect();
        seen.push(format!("{tag:?} {sessions:?}"));
    }
    seen.push(format!("{:?}", view.anomalies(&world, None, 1000).unwrap()));
    let leaves = log
        .entries_from(SequenceNumber(0))
        .map(|entry| entry.unwrap().leaf.encode());
    (seen, leaves.collect())
}

/// An event of one of the sessions, of any type, at a time that may be anywhere among the others.
fn body(number: usize, (session, name, created): (usize, usize, i64)) -> String {
    let status = match NAMES[name] {
        "created" => "requires_input",
        other => other,
    };
    let body = event_body(&format!("evt_{number}"), &session.to_string(), status);
    // Two sessions share a user.
    let body = body.replace("MARKERUSER_3", "MARKERUSER_2");
    let body = body.replace(
        "verification_session.verified",
        &format!("verification_session.{}", NAMES[name]),
    );
    body.replace("1760000075", &(1_760_000_000 + created).to_string())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(SEEDS))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn erasing_changes_neither_the_fold_nor_a_leaf(
        events in vec((0..SESSIONS, 0..NAMES.len(), 0..9_i64), 1..12),
        erased in btree_set(0..SESSIONS, 0..=SESSIONS),
        late in vec((0..SESSIONS, 0..NAMES.len(), 0..9_i64), 0..4),
    ) {
        let home = Home::in_memory();
        let log = home.open();
        let kept = Home::in_memory();
        let kept_log = kept.open();
        let delivered: Vec<_> = (0..).zip(&events).map(|(number, event)| body(number, *event)).collect();
        append_all(&log, &delivered);
        let (before, leaves) = folded(&log);

        for session in erased.iter().filter(|session| events.iter().any(|(of, ..)| of == *session)) {
            erase(&log, &format!("vs_{session}"));
        }

        let (after, leaves_after) = folded(&log);
        prop_assert_eq!(before, after);
        prop_assert_eq!(&leaves, &leaves_after[..leaves.len()]);
        // What comes late is folded as where nothing was erased.
        let late: Vec<_> = (events.len()..).zip(&late).map(|(number, event)| body(number, *event)).collect();
        append_all(&log, &late);
        append_all(&kept_log, &[delivered, late].concat());
        prop_assert_eq!(without_places(&folded(&log).0), without_places(&folded(&kept_log).0));
    }
}

/// Without what two logs of the same deliveries differ in: sequence numbers, and the tags of users.
fn without_places(seen: &[String]) -> Vec<String> {
    let mut seen: Vec<String> = seen
        .iter()
        .map(|text| without(&without(text, "SequenceNumber("), "UserTag("))
        .collect();
    seen.sort();
    seen
}

fn without(text: &str, name: &str) -> String {
    let mut parts = text.split(name);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once(')').unwrap_or_default().1
    })
}
