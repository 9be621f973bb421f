//! Small cases, enumerated rather than sampled.

use state_machine::event::{Event, EventType, RedactionStatus, Status};
use state_machine::history::History;
use state_machine::session::{Redaction, explain, project};
use state_machine::transition::StateName;

use crate::event::{
    Snapshot, canceled, canceled_by_redaction, created, declined, failed, history, lines, named,
    observed, processing, redacted, requires_input, verified,
};
use crate::lifecycles::each_permutation;
use crate::story::{Act, Story, Telling};

/// One event of each kind that matters to the fold.
fn kinds(at: i64) -> Vec<Event> {
    vec![
        created(at),
        processing(at),
        requires_input(at),
        declined(at, "abandoned"),
        failed(at, "vr_1", "document_expired"),
        verified(at, "vr_1"),
        verified(at, "vr_2"),
        observed(at, Status::Processing),
        observed(at, Status::Verified).redaction(RedactionStatus::Redacted),
        observed(at, Status::Other("paused".into())),
        canceled(at),
        canceled_by_redaction(at),
        redacted(at),
    ]
}

#[test]
fn any_four_events_within_two_seconds_arrive_in_every_order_with_one_result() {
    let alphabet = named((0..2).flat_map(kinds));

    each_set(&alphabet, 4, &mut |events| {
        let mut events: Vec<_> = events.iter().copied().cloned().collect();
        let expected = history(&events);
        let (session, steps) = (project(&expected), explain(&expected));
        each_permutation(&mut events, 0, &mut |events| {
            let history = history(events);
            assert!(history.events().eq(expected.events()));
            assert!(project(&history) == session, "{}", lines(events));
        });
        let is_redacted = events
            .iter()
            .any(|event| event.event_type == EventType::Redacted);
        assert_eq!(session.state.name() == StateName::Redacted, is_redacted);
        assert!(!is_redacted || session.redaction == Redaction::Done);
        assert_eq!(
            steps.last().map_or(StateName::Unseen, |step| step.to),
            session.state.name()
        );
    });
}

#[test]
fn no_fact_lowers_the_attempts_of_any_six_facts_that_tell_of_submissions() {
    let facts_at = |at| {
        vec![
            processing(at),
            observed(at, Status::Processing),
            declined(at, "abandoned"),
            failed(at, "vr_1", "document_expired"),
            failed(at, "vr_2", "document_expired"),
        ]
    };
    let alphabet = named((0..5).flat_map(facts_at));

    each_set(&alphabet, 6, &mut |events| {
        let attempts = count(&history(events.iter().copied()));
        for without in 0..events.len() {
            let mut fewer = events.to_vec();
            fewer.remove(without);
            assert!(
                count(&history(fewer)) <= attempts,
                "without {without}{}",
                lines(events.iter().copied())
            );
        }
    });
}

#[test]
fn attempts_never_exceed_the_submissions_of_any_short_story() {
    let mut stories = 0_u32;
    each_story(&Story::begin(0, 1), 5, &mut |story| {
        stories += 1;
        each_subset(&story.events, &mut |events| {
            let attempts = count(&history(events.iter().copied()));
            assert!(
                attempts <= story.submissions,
                "{attempts} by{}\nof{}",
                lines(events.iter().copied()),
                lines(&story.events)
            );
        });
    });
    assert!(stories > 50_000, "{stories} stories");
}

fn count(history: &History) -> usize {
    project(history).attempts.len()
}

/// Calls `check` with every set of at most `size` of the events.
fn each_set(events: &[Event], size: usize, check: &mut impl FnMut(&[&Event])) {
    fn go<'event>(
        rest: &'event [Event],
        size: usize,
        chosen: &mut Vec<&'event Event>,
        check: &mut impl FnMut(&[&Event]),
    ) {
        check(chosen);
        if size > 0 {
            for (index, event) in rest.iter().enumerate() {
                chosen.push(event);
                go(&rest[index + 1..], size - 1, chosen, check);
                chosen.pop();
            }
        }
    }
    go(events, size, &mut Vec::new(), check);
}

fn each_subset(events: &[Event], check: &mut impl FnMut(&[&Event])) {
    each_set(events, events.len(), check);
}

/// Calls `check` with every story of at most so many more acts, each in the same second or a later one.
fn each_story(story: &Story, acts: usize, check: &mut impl FnMut(&Story)) {
    check(story);
    if acts == 0 {
        return;
    }
    for act in Act::ALL {
        for seconds_later in [0, 1] {
            let mut longer = story.clone();
            if longer.tell(Telling {
                act,
                seconds_later,
                objects: 1,
            }) {
                each_story(&longer, acts - 1, check);
            }
        }
    }
}
