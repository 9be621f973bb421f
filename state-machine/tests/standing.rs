//! The standing of a user: which of their sessions speaks for them, and what all of them add up to.

use proptest::prelude::*;
use state_machine::event::{Event, Status};
use state_machine::history::Arrival;
use state_machine::id::{OverrideId, SequenceNumber, SessionId};
use state_machine::overrides::{Action, Override};
use state_machine::retry::decide;
use state_machine::retry::policy::Policy;
use state_machine::session::{Session, project};
use state_machine::time::{ReceivedAt, Timestamp};
use state_machine::transition::StateName;
use state_machine::user::Standing;

use crate::event::{
    Snapshot, canceled, created, declined, failed, history, observed, processing, redacted,
    session, verified,
};
use crate::laws::{any_events, law};
use crate::story::story;

pub(crate) type Sessions = Vec<(SessionId, Session)>;

/// Sessions with the ids `vs_1`, `vs_2`, … in the order given.
pub(crate) fn sessions(of: impl IntoIterator<Item = Vec<Event>>) -> Sessions {
    let id = |number| SessionId::parse(&format!("vs_{number}")).unwrap();
    (1..)
        .zip(of)
        .map(|(number, events)| (id(number), session(events)))
        .collect()
}

pub(crate) fn standing<'all>(
    sessions: &'all Sessions,
    overrides: &'all [Override],
) -> Standing<'all> {
    Standing::of(
        sessions.iter().map(|(id, session)| (id, session)),
        overrides,
    )
}

fn check(of: impl IntoIterator<Item = Vec<Event>>, current: &str, status: StateName) {
    let mut sessions = sessions(of);
    for _ in 0..sessions.len() {
        sessions.rotate_left(1);
        let standing = standing(&sessions, &[]);
        assert_eq!(standing.current().unwrap().0.as_str(), current);
        assert_eq!(standing.status(), status);
    }
}

#[test]
fn the_latest_verified_session_speaks_for_the_user() {
    check(
        [
            vec![created(0), verified(50, "vr_1")],
            vec![created(10), verified(40, "vr_2")],
            vec![created(20), processing(90)],
            vec![created(30)],
        ],
        "vs_1",
        StateName::Verified,
    );
}

#[test]
fn without_a_verified_session_the_latest_in_processing_speaks() {
    check(
        [
            vec![created(0), processing(90)],
            vec![created(10), processing(40)],
            vec![created(30), canceled(95)],
        ],
        "vs_1",
        StateName::Processing,
    );
}

#[test]
fn otherwise_the_most_recently_created_session_speaks() {
    check(
        [
            vec![created(0), failed(90, "vr_1", "document_expired")],
            vec![created(30), canceled(40)],
            vec![created(10)],
        ],
        "vs_2",
        StateName::Canceled,
    );
}

#[test]
fn ties_are_broken_by_the_time_of_creation_and_then_by_the_sessions_id() {
    let verified_of = |created| vec![verified(5, "vr_1").session_created(created)];
    check(
        [verified_of(2), verified_of(1)],
        "vs_1",
        StateName::Verified,
    );
    check(
        [verified_of(1), verified_of(1)],
        "vs_2",
        StateName::Verified,
    );
    check(
        [vec![created(0)], vec![created(0)]],
        "vs_2",
        StateName::RequiresInput,
    );
}

#[test]
fn a_superseded_sessions_late_events_do_not_drive_the_user() {
    check(
        [
            vec![
                created(0),
                failed(90, "vr_1", "document_expired"),
                canceled(95),
            ],
            vec![created(50)],
        ],
        "vs_2",
        StateName::RequiresInput,
    );
}

#[test]
fn a_session_without_a_state_has_no_part_in_a_standing() {
    let sessions = sessions([vec![observed(5, Status::Other("paused".into()))], vec![]]);

    let standing = standing(&sessions, &[]);

    assert!(standing.sessions.is_empty());
    assert_eq!(
        (standing.status(), standing.since()),
        (StateName::Unseen, None)
    );
}

#[test]
fn the_session_that_speaks_says_since_when_and_what_went_wrong() {
    let failing = sessions([
        vec![created(0), failed(5, "vr_1", "document_expired")],
        vec![created(20), declined(30, "abandoned")],
    ]);
    let verifying = sessions([vec![verified(9, "vr_2")], vec![created(20)]]);
    let check = |sessions: &Sessions, since, error: Option<(&str, i64)>| {
        let standing = standing(sessions, &[]);
        assert_eq!(standing.since(), Some(Timestamp(since)));
        let told = standing.last_error();
        let told = told.map(|told| (told.error.code.as_ref().unwrap().as_str(), told.at.0));
        assert_eq!(told, error);
    };

    check(&failing, 20, Some(("abandoned", 30)));
    check(&verifying, 9, None);
}

#[test]
fn sessions_are_listed_from_the_most_recently_created_on() {
    let sessions = sessions([vec![created(5)], vec![created(9)], vec![created(5)]]);

    let standing = standing(&sessions, &[]);

    let ids: Vec<_> = standing
        .sessions
        .iter()
        .map(|(id, _)| id.as_str())
        .collect();
    assert_eq!(ids, ["vs_2", "vs_3", "vs_1"]);
}

#[test]
fn a_session_was_created_when_its_snapshots_say_else_when_it_was_first_heard_of() {
    assert_eq!(session([verified(9, "vr_1")]).created, Timestamp(9));
    assert_eq!(
        session([verified(9, "vr_1").session_created(3)]).created,
        Timestamp(3)
    );
    let disagreeing = session([
        created(1),
        created(2).session_created(7),
        verified(9, "vr_1").session_created(8),
    ]);
    assert_eq!(disagreeing.created, Timestamp(7));
    let rules = disagreeing
        .anomalies
        .iter()
        .map(|anomaly| anomaly.rule.as_str());
    assert_eq!(
        rules.collect::<Vec<_>>(),
        ["created_after_requires_input", "session_created_changed"]
    );
}

#[test]
fn totals_are_over_all_sessions_redacted_ones_too() {
    let sessions = sessions([
        vec![
            failed(1, "vr_1", "document_expired"),
            redacted(2),
            verified(3, "vr_1"),
        ],
        vec![
            failed(5, "vr_2", "document_expired"),
            processing(6),
            processing(7),
        ],
        vec![declined(8, "consent_declined")],
    ]);

    let standing = standing(&sessions, &[]);

    assert_eq!(standing.attempts_total(), 3);
    assert_eq!(standing.anomalies_total(), 2);
}

#[test]
fn a_reversal_shows_until_the_user_is_verified_again() {
    let reversed = vec![
        verified(5, "vr_1"),
        failed(9, "vr_1", "document_unverified_other"),
    ];
    let again = reversed
        .iter()
        .cloned()
        .chain([verified(12, "vr_1")])
        .collect();
    let check = |of: Vec<Vec<Event>>, expected| {
        assert_eq!(standing(&sessions(of), &[]).is_reversed(), expected);
    };

    check(vec![reversed.clone()], true);
    check(vec![again], false);
    check(vec![reversed.clone(), vec![created(20)]], true);
    check(vec![reversed, vec![verified(20, "vr_2")]], false);
    check(vec![vec![verified(5, "vr_1"), redacted(9)]], false);
}

#[test]
fn the_report_of_a_session_is_the_last_one_that_any_event_names() {
    let session = session([verified(1, "vr_1"), redacted(2).report("vr_2"), redacted(3)]);

    assert_eq!(session.report.unwrap().as_str(), "vr_2");
}

#[test]
fn the_user_of_a_session_is_the_last_one_named_and_a_change_is_strange() {
    let session = session([
        created(1).user(1),
        processing(2).user(2),
        verified(3, "vr_1"),
        redacted(4),
    ]);

    let user = session.user.unwrap();
    assert_eq!((user.tag.0[0], user.named_by.as_str()), (2, "evt_02"));
    let rules: Vec<_> = session
        .anomalies
        .iter()
        .map(|anomaly| anomaly.rule.as_str())
        .collect();
    assert_eq!(rules, ["user_changed"]);
}

#[test]
fn a_snapshot_that_contradicts_its_events_type_is_strange() {
    let check = |event: Event, expected: &[&str]| {
        let rules = session([event])
            .anomalies
            .into_iter()
            .map(|anomaly| anomaly.rule.as_str());
        assert_eq!(rules.collect::<Vec<_>>(), expected);
    };

    check(created(1).status(Status::Processing), &["status_mismatch"]);
    check(processing(1).status(Status::Verified), &["status_mismatch"]);
    check(
        declined(1, "abandoned").status(Status::Verified),
        &["status_mismatch"],
    );
    check(
        verified(1, "vr_1").status(Status::RequiresInput),
        &["status_mismatch"],
    );
    check(canceled(1).status(Status::Verified), &["status_mismatch"]);
    check(
        crate::event::canceled_by_redaction(1).status(Status::Verified),
        &[],
    );
    check(
        crate::event::canceled_by_redaction(1).status(Status::Processing),
        &["status_mismatch"],
    );
    check(redacted(1).status(Status::Canceled), &[]);
    check(
        verified(1, "vr_1").status(Status::Other("paused".into())),
        &["status_unknown"],
    );
    check(
        Event {
            status: None,
            ..created(1)
        },
        &["status_missing"],
    );
    check(
        observed(1, Status::Other("paused".into())),
        &["status_unknown"],
    );
    check(
        Event {
            status: None,
            ..observed(1, Status::Verified)
        },
        &["status_missing"],
    );
}

#[test]
fn every_rule_has_a_name_of_its_own_and_they_are_sorted() {
    let names: Vec<_> = state_machine::anomaly::Rule::ALL
        .iter()
        .map(|rule| rule.as_str())
        .collect();

    assert!(names.is_sorted_by(|left, right| left < right), "{names:?}");
}

/// The arrival of what was made at a second, and stands there in the log.
pub(crate) fn arrival(sequence: u64, at: i64) -> Arrival {
    Arrival {
        sequence: SequenceNumber(sequence),
        received_at: ReceivedAt(at.saturating_mul(1_000)),
    }
}

/// The overrides of a user.
pub(crate) fn any_overrides() -> impl Strategy<Value = Vec<Override>> {
    let action = prop_oneof![
        (0..3_u32).prop_map(|attempts| Action::Grant { attempts }),
        Just(Action::Grant { attempts: u32::MAX }),
        Just(Action::Reset),
        Just(Action::Block),
        Just(Action::Unblock),
    ];
    let time = crate::laws::time;
    let made = (action, time(), proptest::option::of(time()));
    proptest::collection::vec(made, 0..4).prop_map(|all| {
        let made = (0..)
            .zip(all)
            .map(|(number, (action, at, expires))| Override {
                id: OverrideId::parse(&format!("ovr_{number}")).unwrap(),
                action,
                expires: expires.map(Timestamp),
                arrival: arrival(number, at),
            });
        made.collect()
    })
}

proptest! {
    #![proptest_config(law())]

    #[test]
    fn the_order_in_which_sessions_and_overrides_come_does_not_matter(
        (sessions, shuffled) in proptest::collection::vec(any_events(), 0..5).prop_flat_map(|all| {
            let sessions = sessions(all);
            (Just(sessions.clone()), Just(sessions).prop_shuffle())
        }),
        (overrides, others) in any_overrides().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        now in crate::laws::time(),
    ) {
        let (left, right) = (standing(&sessions, &overrides), standing(&shuffled, &others));

        prop_assert_eq!(&left.sessions, &right.sessions);
        prop_assert_eq!(left.current(), right.current());
        let policy = Policy::default();
        prop_assert_eq!(decide(&left, &policy, Timestamp(now)), decide(&right, &policy, Timestamp(now)));
    }

    #[test]
    fn another_users_events_change_nothing(
        ours in story(1, 0..3), theirs in story(2, 0..3), nonsense in any_events(), now in crate::laws::time(),
    ) {
        let ours_alone = projections([&ours.events]);
        let nonsense: Vec<_> = nonsense.into_iter().map(|event| event.user(2)).collect();
        let all = projections([&ours.events, &theirs.events, &nonsense]);

        let (alone, among_others) = (standing_of(1, &ours_alone), standing_of(1, &all));

        prop_assert_eq!(&alone.sessions, &among_others.sessions);
        prop_assert_eq!(alone.sessions.len(), 1);
        prop_assert_eq!(
            decide(&alone, &Policy::default(), Timestamp(now)),
            decide(&among_others, &Policy::default(), Timestamp(now))
        );
    }

    #[test]
    fn only_a_verified_session_makes_a_user_verified(all in proptest::collection::vec(any_events(), 0..5)) {
        let sessions = sessions(all);
        let any_is = |name| sessions.iter().any(|(_, session)| session.state.name() == name);

        let status = standing(&sessions, &[]).status();

        prop_assert_eq!(status == StateName::Verified, any_is(StateName::Verified));
        let is_processing = any_is(StateName::Processing) && !any_is(StateName::Verified);
        prop_assert_eq!(status == StateName::Processing, is_processing);
    }
}

fn projections<'all>(of: impl IntoIterator<Item = &'all Vec<Event>>) -> Sessions {
    let id = |number| SessionId::parse(&format!("vs_{number}")).unwrap();
    (1..)
        .zip(of)
        .map(|(number, events)| (id(number), project(&history(events))))
        .collect()
}

fn standing_of(user: u8, sessions: &Sessions) -> Standing<'_> {
    let is_theirs =
        move |session: &Session| session.user.as_ref().is_some_and(|it| it.tag.0[0] == user);
    let theirs = sessions.iter().filter(|(_, session)| is_theirs(session));
    Standing::of(theirs.map(|(id, session)| (id, session)), &[])
}
