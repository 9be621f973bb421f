//! The laws: what holds for every set of events, one property each.

use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::FileFailurePersistence;
use state_machine::anomaly::Anomaly;
use state_machine::event::{Event, EventType, LastError, RedactionStatus, Status};
use state_machine::history::History;
use state_machine::horizon::{AsOf, Horizon};
use state_machine::id::{ErrorCode, EventId, ReportId, SequenceNumber, UserTag};
use state_machine::order;
use state_machine::session::{Redaction, explain, project};
use state_machine::time::{ReceivedAt, Timestamp};
use state_machine::transition::{Mark, StateName};

use crate::event::{history, lines, recorded};
use crate::story::{Story, story};

pub(crate) fn law() -> ProptestConfig {
    let seeds = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../proptest-regressions/state-machine.txt"
    );
    ProptestConfig {
        cases: 4_096,
        max_global_rejects: 100_000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(law())]

    #[test]
    fn arrival_order_does_not_matter((sorted, shuffled) in any_events().prop_flat_map(with_shuffle)) {
        let (sorted, shuffled) = (history(&sorted), history(&shuffled));

        prop_assert_eq!(project(&sorted), project(&shuffled));
        prop_assert_eq!(explain(&sorted), explain(&shuffled));
    }

    #[test]
    fn duplicates_do_not_matter(
        (events, deliveries) in any_events().prop_flat_map(|events| {
            let deliveries = proptest::collection::vec(0..events.len(), 0..30);
            (Just(events), deliveries)
        })
    ) {
        let once = history(&events);
        let mut often = once.clone();
        for (sequence, index) in (1_000..).zip(deliveries) {
            prop_assert!(!often.insert(recorded(events[index].clone(), sequence)));
        }

        prop_assert_eq!(often, once);
    }

    #[test]
    fn of_two_deliveries_of_one_event_the_earlier_arrival_stays_whichever_comes_first(
        events in any_events(), seed in any::<u64>(),
    ) {
        let mut deliveries = Vec::new();
        for (sequence, event) in (0..).zip(&events) {
            deliveries.push(recorded(event.clone(), sequence));
            deliveries.push(recorded(event.clone(), 1_000 + (seed ^ sequence) % 100));
        }
        let forwards: History = deliveries.iter().cloned().collect();
        let backwards: History = deliveries.into_iter().rev().collect();

        prop_assert_eq!(&forwards, &backwards);
        prop_assert_eq!(forwards, history(&events));
    }

    #[test]
    fn one_by_one_equals_all_at_once((sorted, shuffled) in any_events().prop_flat_map(with_shuffle)) {
        let mut one_by_one = History::default();
        for (index, event) in shuffled.iter().enumerate() {
            one_by_one.insert(recorded(event.clone(), 0));
            let so_far = sorted.iter().filter(|event| shuffled[..=index].contains(event));
            prop_assert_eq!(project(&one_by_one), project(&history(so_far)));
        }
    }

    #[test]
    fn a_history_is_sorted_and_holds_each_event_once(events in any_events()) {
        let history = history(events.iter().chain(&events));
        let folded: Vec<_> = history.events().collect();

        prop_assert_eq!(folded.len(), events.len());
        prop_assert!(folded.is_sorted_by(|left, right| order::compare(left, right).is_lt()));
        prop_assert!(events.iter().all(|event| history.find(&event.id).is_some()));
    }

    #[test]
    fn every_event_is_one_step_from_the_state_before_to_the_state_after(events in any_events()) {
        let history = history(&events);
        let steps = explain(&history);
        let session = project(&history);

        let mut state = StateName::Unseen;
        for (step, event) in steps.iter().zip(history.events()) {
            prop_assert_eq!((step.from, &step.event, step.at), (state, &event.id, event.created));
            state = step.to;
        }
        prop_assert_eq!(steps.len(), events.len());
        prop_assert_eq!(session.state.name(), state);
        prop_assert_eq!(usize::try_from(session.events).unwrap(), events.len());
    }

    #[test]
    fn every_anomaly_of_the_table_is_kept_and_leaves_the_state(events in any_events()) {
        let history = history(&events);
        let session = project(&history);

        for step in explain(&history) {
            if let Mark::Anomaly(rule) = step.mark {
                prop_assert_eq!(step.from, step.to);
                let is_it = |kept: &&Anomaly| kept.event == step.event && kept.rule == rule;
                prop_assert_eq!(session.anomalies.iter().filter(is_it).count(), 1);
            }
        }
    }

    #[test]
    fn redacted_is_final((fewer, events) in any_events().prop_flat_map(with_subset)) {
        let is_redacted = fewer.iter().any(|event| event.event_type == EventType::Redacted);
        let (before, after) = (project(&history(&fewer)), project(&history(&events)));

        prop_assert_eq!(before.state.name() == StateName::Redacted, is_redacted);
        if is_redacted {
            prop_assert_eq!(after.state.name(), StateName::Redacted);
            prop_assert_eq!(after.redaction, Redaction::Done);
        }
    }

    #[test]
    fn redaction_never_goes_back_as_facts_arrive((fewer, events) in any_events().prop_flat_map(with_subset)) {
        let (before, after) = (project(&history(&fewer)), project(&history(&events)));

        prop_assert!(before.redaction <= after.redaction);
    }

    #[test]
    fn a_created_or_processing_before_a_verdict_or_an_end_never_moves_a_session_back(
        (late, events) in (late_event(), any_events()),
    ) {
        let is_word = |event: &Event| match event.event_type {
            EventType::Created | EventType::Processing => false,
            EventType::RequiresInput | EventType::Verified => true,
            EventType::Canceled | EventType::Redacted => true,
            EventType::Observed => !matches!(event.status, None | Some(Status::Other(_))),
        };
        let comes_before = |event: &&Event| order::compare(&late, event).is_lt();
        prop_assume!(events.iter().filter(comes_before).any(is_word));

        let before = project(&history(&events)).state;
        let after = project(&history(events.iter().chain([&late]))).state;

        prop_assert_eq!(before.name(), after.name());
        if before.name() != StateName::RequiresInput && before.name() != StateName::Processing {
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn a_created_or_processing_never_moves_a_session_out_of_verified_canceled_or_redacted(
        (late, events) in (late_event(), any_events()),
    ) {
        let before = project(&history(&events)).state;
        let after = project(&history(events.iter().chain([&late]))).state;

        match before.name() {
            StateName::Verified | StateName::Canceled | StateName::Redacted => prop_assert_eq!(before, after),
            StateName::Unseen | StateName::RequiresInput | StateName::Processing => {}
        }
    }

    #[test]
    fn attempts_never_decrease_as_facts_arrive((fewer, events) in any_events().prop_flat_map(with_subset)) {
        let (before, after) = (project(&history(&fewer)), project(&history(&events)));

        prop_assert!(
            before.attempts.len() <= after.attempts.len(),
            "{} by{}\nbut {} by{}", before.attempts.len(), lines(&fewer), after.attempts.len(), lines(&events)
        );
    }

    #[test]
    fn attempts_never_exceed_the_submissions_whatever_was_lost((fewer, story) in any_story().prop_flat_map(mutilated)) {
        let attempts = project(&history(&fewer)).attempts.len();

        prop_assert!(
            attempts <= story.submissions,
            "{attempts} by{}\nbut {} in{}", lines(&fewer), story.submissions, lines(&story.events)
        );
    }

    #[test]
    fn attempts_never_decrease_as_a_story_arrives((fewer, story) in any_story().prop_flat_map(mutilated)) {
        let (before, after) = (project(&history(&fewer)), project(&history(&story.events)));

        prop_assert!(before.attempts.len() <= after.attempts.len());
    }

    #[test]
    fn a_story_that_arrives_whole_and_without_ties_is_told_as_it_was(story in story(1, 1..4)) {
        let session = project(&history(&story.events));

        let told = lines(&story.events);
        prop_assert_eq!(session.state.name(), story.status, "{}", told);
        prop_assert_eq!(session.attempts.len(), story.submissions, "{}", told);
        prop_assert_eq!(session.declines.len(), story.declines, "{}", told);
        prop_assert_eq!(session.reversed, story.reversed, "{}", told);
        prop_assert_eq!(session.user.unwrap().tag, UserTag([1; 16]));
    }

    #[test]
    fn what_was_known_at_a_place_of_the_log_is_what_had_arrived(events in any_events(), size in 0..12_u64) {
        let whole = history(&events);
        let arrived = history(events.iter().take(usize::try_from(size).unwrap() + 1));

        let time = ReceivedAt(i64::try_from(size).unwrap());
        for as_of in [AsOf::Sequence(SequenceNumber(size)), AsOf::Time(time)] {
            let horizon = Horizon { as_of: Some(as_of), valid_at: None };
            prop_assert_eq!(whole.within(&horizon), arrived.clone());
        }
        prop_assert_eq!(whole.within(&Horizon::default()), whole);
    }

    #[test]
    fn what_was_true_at_a_time_is_a_prefix_in_canonical_order(events in any_events(), time in time()) {
        let whole = history(&events);
        let valid = whole.within(&Horizon { as_of: None, valid_at: Some(Timestamp(time)) });

        let prefix = &whole.records()[..valid.records().len()];
        prop_assert_eq!(valid.records(), prefix);
        prop_assert!(valid.events().all(|event| event.created.0 <= time));
    }
}

/// Events without any sense in them: every type with every status, many ties, absurd times, second Event objects.
pub(crate) fn any_events() -> impl Strategy<Value = Vec<Event>> {
    proptest::collection::vec((any_event(), 0..8_u8), 1..10).prop_map(|drafts| {
        let mut events: Vec<Event> = Vec::new();
        for (number, (draft, echo)) in drafts.into_iter().enumerate() {
            let second_object = events.last().filter(|_| echo == 0).cloned();
            let id = EventId::parse(&format!("evt_{:02}", (number * 37 + 5) % 100)).unwrap();
            events.push(Event {
                id,
                ..second_object.unwrap_or(draft)
            });
        }
        events
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let event_type = proptest::sample::select(EventType::ALL.to_vec());
    let status = prop_oneof![
        3 => Just(Some(Status::RequiresInput)),
        3 => Just(Some(Status::Processing)),
        3 => Just(Some(Status::Verified)),
        3 => Just(Some(Status::Canceled)),
        1 => Just(Some(Status::Other("paused".into()))),
        1 => Just(None),
    ];
    let redaction = prop_oneof![
        8 => Just(None),
        1 => Just(Some(RedactionStatus::Processing)),
        1 => Just(Some(RedactionStatus::Redacted)),
        1 => Just(Some(RedactionStatus::Other("validated".into()))),
    ];
    let report = proptest::option::of(proptest::sample::select(vec!["vr_1", "vr_2", "vr_3"]));
    let codes = vec![
        "abandoned",
        "document_expired",
        "consent_declined",
        "under_supported_age",
    ];
    let code = proptest::option::of(proptest::sample::select(codes));
    let user = proptest::option::of(0..3_u8);
    let session_created = proptest::option::weighted(0.2, time());
    let error = proptest::option::of(code);
    (
        event_type,
        time(),
        status,
        redaction,
        report,
        error,
        user,
        session_created,
    )
        .prop_map(
            |(event_type, created, status, redaction, report, error, user, session_created)| {
                Event {
                    id: EventId::parse("evt_draft").unwrap(),
                    event_type,
                    created: Timestamp(created),
                    session_created: session_created.map(Timestamp),
                    status,
                    last_error: error.map(|code| LastError {
                        code: code.map(|code| ErrorCode::parse(code).unwrap()),
                    }),
                    report: report.map(|report| ReportId::parse(report).unwrap()),
                    redaction,
                    user: user.map(|user| UserTag([user; 16])),
                }
            },
        )
}

pub(crate) fn time() -> impl Strategy<Value = i64> {
    prop_oneof![12 => 0..4_i64, 2 => Just(i64::MAX), 2 => Just(i64::MIN), 1 => any::<i64>()]
}

fn late_event() -> impl Strategy<Value = Event> {
    (any_event(), any::<bool>()).prop_map(|(event, is_created)| Event {
        id: EventId::parse("evt_late").unwrap(),
        event_type: if is_created {
            EventType::Created
        } else {
            EventType::Processing
        },
        ..event
    })
}

fn any_story() -> impl Strategy<Value = Story> {
    story(1, 0..3)
}

fn with_shuffle(events: Vec<Event>) -> impl Strategy<Value = (Vec<Event>, Vec<Event>)> {
    (Just(events.clone()), Just(events).prop_shuffle())
}

fn with_subset(events: Vec<Event>) -> impl Strategy<Value = (Vec<Event>, Vec<Event>)> {
    let all = events.len();
    (subsequence(events.clone(), 0..=all), Just(events))
}

/// A story's events after some were lost and the others shuffled.
fn mutilated(story: Story) -> impl Strategy<Value = (Vec<Event>, Story)> {
    let all = story.events.len();
    (
        subsequence(story.events.clone(), 0..=all).prop_shuffle(),
        Just(story),
    )
}
