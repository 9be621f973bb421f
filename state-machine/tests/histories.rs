//! Histories: a set of events, and the two kinds of as-of.

use state_machine::history::{Arrival, History};
use state_machine::horizon::{AsOf, Horizon};
use state_machine::id::SequenceNumber;
use state_machine::session::project;
use state_machine::time::{ReceivedAt, Timestamp};
use state_machine::transition::StateName;

use crate::event::{
    Snapshot, created, failed, history, named, processing, recorded, requires_input, verified,
};

#[test]
fn what_we_believed_and_what_was_true_are_two_questions() {
    // The failure happened at 20 and arrived last.
    let events = [
        created(0),
        processing(10),
        verified(40, "vr_2"),
        failed(20, "vr_1", "abandoned"),
    ];
    let history = history(named(events));
    let status = |history: &History| project(history).state.name();
    let attempts = |history: &History| project(history).attempts.len();

    let as_of = |as_of| Horizon {
        as_of: Some(as_of),
        valid_at: None,
    };
    let valid_at = |seconds| Horizon {
        as_of: None,
        valid_at: Some(Timestamp(seconds)),
    };
    let believed = history.within(&as_of(AsOf::Sequence(SequenceNumber(2))));
    assert_eq!(
        (status(&believed), attempts(&believed)),
        (StateName::Verified, 1)
    );
    assert_eq!(believed, history.within(&as_of(AsOf::Time(ReceivedAt(2)))));
    let was_true = history.within(&valid_at(39));
    assert_eq!(
        (status(&was_true), attempts(&was_true)),
        (StateName::RequiresInput, 1)
    );
    let both = Horizon {
        valid_at: Some(Timestamp(39)),
        ..as_of(AsOf::Sequence(SequenceNumber(2)))
    };
    let then_believed_of_then = history.within(&both);
    assert_eq!(then_believed_of_then, believed.within(&valid_at(39)));
    assert_eq!(status(&then_believed_of_then), StateName::Processing);
    assert_eq!(
        (status(&history), attempts(&history)),
        (StateName::Verified, 2)
    );
    assert_eq!(status(&history.within(&valid_at(-1))), StateName::Unseen);
}

#[test]
fn of_two_events_with_one_id_that_disagree_the_earlier_arrival_stays() {
    let said_first = recorded(created(5).id("evt_1"), 3);
    let said_later = recorded(requires_input(1).id("evt_1"), 7);
    let between = recorded(processing(3).id("evt_2"), 5);

    let forwards: History = [&said_first, &between, &said_later]
        .into_iter()
        .cloned()
        .collect();
    let backwards: History = [&said_later, &between, &said_first]
        .into_iter()
        .cloned()
        .collect();

    assert_eq!(forwards, backwards);
    assert_eq!(forwards.find(&said_first.event.id), Some(&said_first));
    assert_eq!(forwards.records(), [between, said_first]);
}

#[test]
fn an_id_that_is_there_is_not_added() {
    let mut history = History::default();
    let event = created(5).id("evt_1");

    assert!(history.insert(recorded(event.clone(), 3)));
    assert!(!history.insert(recorded(event.clone(), 1)));
    assert!(!history.insert(recorded(event, 2)));
    assert_eq!(history.records().len(), 1);
}

#[test]
fn a_horizon_is_open_while_it_leaves_nothing_out() {
    let as_of = Some(AsOf::Sequence(SequenceNumber(9)));
    let valid_at = Some(Timestamp(9));

    assert!(Horizon::default().is_open());
    for (as_of, valid_at) in [(as_of, None), (None, valid_at), (as_of, valid_at)] {
        assert!(!Horizon { as_of, valid_at }.is_open());
    }
}

#[test]
fn a_fact_of_our_own_has_been_true_since_the_second_in_which_it_was_recorded() {
    let arrival = Arrival {
        sequence: SequenceNumber(3),
        received_at: ReceivedAt(5_999),
    };
    let valid_at = |seconds| Horizon {
        as_of: None,
        valid_at: Some(Timestamp(seconds)),
    };
    let as_of = |sequence| Horizon {
        as_of: Some(AsOf::Sequence(SequenceNumber(sequence))),
        valid_at: Some(Timestamp(5)),
    };

    assert!(Horizon::default().admits_own(arrival));
    assert!(valid_at(5).admits_own(arrival));
    assert!(!valid_at(4).admits_own(arrival));
    assert!(as_of(3).admits_own(arrival));
    assert!(!as_of(2).admits_own(arrival));
}
