//! The simulation: its bodies are what Stripe would send, and its scenarios end as they say, in whatever order they come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use avow::cli::simulation::population::{Message, Population, START_SECONDS_BEFORE_NOW, User};
use avow::cli::simulation::scenario::{Delivery as Sent, End};
use avow::cli::simulation::scenarios::SCENARIOS;
use avow::stripe::decode::{Decoded, SessionEvent, decode};
use avow::stripe::secret::{Secret, Secrets};
use avow::stripe::signature::{AuthenticationError, Delivery, authenticate};
use avow::stripe::user_reference::UserReferenceSource;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::FileFailurePersistence;
use state_machine::history::{Arrival, History, Recorded};
use state_machine::id::{SequenceNumber, SessionId, UserTag};
use state_machine::retry::decide;
use state_machine::retry::policy::Policy;
use state_machine::session::{Redaction, Session, project};
use state_machine::time::{ReceivedAt, Timestamp};
use state_machine::user::Standing;

const SECRET: &str = "whsec_simulation_test_secret";
const NOW: Timestamp = Timestamp(1_790_000_000);
const POPULATION: Population = Population {
    seed: 7,
    start: Timestamp(NOW.0 - START_SECONDS_BEFORE_NOW),
};

/// The end of each scenario, and its events.
static EVENTS: LazyLock<Vec<(End, Vec<SessionEvent>)>> = LazyLock::new(|| {
    let users = users();
    users
        .iter()
        .map(|user| (user.scenario.end, events(user)))
        .collect()
});

#[test]
fn every_scenario_ends_as_it_says_in_the_order_of_its_rows() {
    for user in users() {
        assert_eq!(
            end_of(events(&user)),
            user.scenario.end,
            "{}",
            user.scenario.name
        );
    }
}

#[test]
fn every_scenario_ends_as_it_says_in_reverse() {
    for user in users() {
        let reversed = events(&user).into_iter().rev();
        assert_eq!(
            end_of(reversed),
            user.scenario.end,
            "{}",
            user.scenario.name
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_096,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/simulation.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_scenario_ends_as_it_says_in_any_order(
        scenario in any::<Index>(),
        swaps in prop::collection::vec((any::<Index>(), any::<Index>()), 0..16),
    ) {
        let (end, mut events) = scenario.get(&EVENTS).clone();
        for (left, right) in swaps {
            let length = events.len();
            events.swap(left.index(length), right.index(length));
        }

        prop_assert_eq!(end_of(events), end);
    }
}

#[test]
fn the_scenarios_cover_what_they_promise() {
    let outcomes: BTreeSet<_> = SCENARIOS
        .iter()
        .map(|scenario| scenario.end.outcome)
        .collect();
    let statuses: BTreeSet<_> = SCENARIOS
        .iter()
        .map(|scenario| scenario.end.status)
        .collect();
    let names: BTreeSet<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();

    assert_eq!(names.len(), SCENARIOS.len());
    assert_eq!(
        Vec::from_iter(statuses),
        [
            "canceled",
            "processing",
            "redacted",
            "requires_input",
            "verified"
        ]
    );
    assert_eq!(
        Vec::from_iter(outcomes),
        [
            "allowed",
            "already_verified",
            "alternative_required",
            "in_progress",
            "limit_reached"
        ]
    );
}

#[test]
fn a_forged_message_does_not_authenticate() {
    let forged: Vec<_> = messages()
        .into_iter()
        .filter(|one| one.delivery == Sent::Forged)
        .collect();

    assert!(!forged.is_empty());
    for message in forged {
        assert_eq!(
            decoded(&message),
            Err(AuthenticationError::SignatureMismatch)
        );
    }
}

#[test]
fn bodies_have_stripes_layout_and_size() {
    for message in messages() {
        let length = message.body.len();
        assert!((1_500..2_400).contains(&length), "{length} bytes");
        assert!(
            message.body.starts_with("{\n  \"id\": \"evt_"),
            "{}",
            message.body
        );
        assert!(!message.body.contains("\"$"), "{}", message.body);
        serde_json::from_str::<serde_json::Value>(&message.body).unwrap();
    }
}

#[test]
fn the_same_seed_and_start_give_the_same_bytes() {
    let again: Vec<_> = POPULATION.messages(SCENARIOS, 2).collect();

    assert_eq!(POPULATION.messages(SCENARIOS, 2).collect::<Vec<_>>(), again);
}

#[test]
fn no_two_users_share_an_event_or_a_session() {
    let other = Population {
        seed: 8,
        ..POPULATION
    };
    let both = POPULATION
        .messages(SCENARIOS, 3)
        .chain(other.messages(SCENARIOS, 3));
    let bodies: BTreeSet<String> = both.map(|message| message.body).collect();

    let ids: BTreeSet<&str> = bodies
        .iter()
        .map(|body| body.lines().nth(1).unwrap())
        .collect();
    let users = [POPULATION, other].into_iter().flat_map(|population| {
        (1..=3).flat_map(move |number| {
            SCENARIOS
                .iter()
                .flat_map(move |scenario| sessions_of(&population.user(scenario, number)))
        })
    });
    let sessions: Vec<String> = users.collect();

    assert_eq!(
        ids.len(),
        bodies.len(),
        "each distinct body is an event of its own"
    );
    assert_eq!(
        sessions.iter().collect::<BTreeSet<_>>().len(),
        sessions.len(),
        "each session is one user's"
    );
}

fn sessions_of(user: &User) -> BTreeSet<String> {
    let steps = user.scenario.steps.iter();
    steps.map(|step| user.session_id(step.session)).collect()
}

fn users() -> Vec<User> {
    SCENARIOS
        .iter()
        .map(|scenario| POPULATION.user(scenario, 1))
        .collect()
}

fn messages() -> Vec<Message> {
    users()
        .iter()
        .flat_map(|user| user.messages().collect::<Vec<_>>())
        .collect()
}

/// What authenticates of a user's messages, decoded.
fn events(user: &User) -> Vec<SessionEvent> {
    user.messages()
        .filter_map(|message| decoded(&message).ok())
        .collect()
}

fn decoded(message: &Message) -> Result<SessionEvent, AuthenticationError> {
    let header = message
        .signature_header(&Secret::new(SECRET).unwrap(), NOW)
        .unwrap();
    let delivery = Delivery {
        signature_header: Some(header.as_bytes()),
        body: message.body.as_bytes(),
        received_at: ReceivedAt(NOW.0 * 1000),
    };
    let payload = authenticate(delivery, &Secrets::parse(SECRET).unwrap(), 300)?;
    match decode(&payload, &UserReferenceSource::defaults()) {
        Decoded::Event(event) => Ok(*event),
        other @ (Decoded::Foreign { .. } | Decoded::Unreadable(_)) => panic!("{other:?}"),
    }
}

/// Folds events in the given order of arrival with the real state machine.
fn end_of(events: impl IntoIterator<Item = SessionEvent>) -> End {
    let mut histories: BTreeMap<SessionId, History> = BTreeMap::new();
    for (sequence, event) in (0..).zip(events) {
        let arrival = Arrival {
            sequence: SequenceNumber(sequence),
            received_at: ReceivedAt(NOW.0 * 1000),
        };
        let user = event.user_reference.map(|_| UserTag([1; 16]));
        let recorded = Recorded {
            event: state_machine::event::Event {
                user,
                ..event.event
            },
            arrival,
        };
        histories.entry(event.session).or_default().insert(recorded);
    }
    let sessions: Vec<(SessionId, Session)> = histories
        .iter()
        .map(|(id, history)| (id.clone(), project(history)))
        .collect();
    let standing = Standing::of(sessions.iter().map(|(id, session)| (id, session)), []);
    let (_, current) = standing.current().unwrap();

    assert!(sessions.iter().all(|(_, session)| session.user.is_some()));
    End {
        status: standing.status().as_str(),
        attempts: standing.attempts_total(),
        outcome: decide(&standing, &Policy::default(), NOW).outcome.as_str(),
        reversed: standing.is_reversed(),
        redaction: match current.redaction {
            Redaction::None => None,
            Redaction::Pending => Some("pending"),
            Redaction::Done => Some("done"),
        },
        anomalies: standing.anomalies_total(),
    }
}
