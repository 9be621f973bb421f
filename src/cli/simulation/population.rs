//! A population: users who each live through a scenario. The same seed and start give the same bytes.

use state_machine::time::Timestamp;

use super::body::{self, Particulars};
use super::scenario::{Delivery, Scenario, Step};
use crate::stripe::secret::{Secret, SecretError};
use crate::stripe::signature::sign;

/// How long before now a scenario starts unless told otherwise: its last event is past, its first one in the window.
pub const START_SECONDS_BEFORE_NOW: i64 = 43_200;

/// A secret that no server has.
const FORGERS_SECRET: &str = "whsec_a_forger_does_not_know_the_secret";

/// What names every user, and dates every event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Population {
    /// Keeps populations apart: another seed gives other users, sessions and events.
    pub seed: u64,
    /// When every scenario starts.
    pub start: Timestamp,
}

impl Population {
    /// Returns a user who lives through a scenario.
    pub fn user(&self, scenario: &'static Scenario, number: u64) -> User {
        let reference = format!("user_{}_{}_{number}", scenario.name, self.seed);
        let namespace = format!("{reference}/{}", self.start.0);
        User {
            scenario,
            reference,
            namespace,
            start: self.start,
        }
    }

    /// Returns every delivery of users 1 to `users` of each scenario, user after user.
    pub fn messages(
        self,
        scenarios: &'static [Scenario],
        users: u64,
    ) -> impl Iterator<Item = Message> {
        (1..=users)
            .flat_map(move |number| {
                scenarios
                    .iter()
                    .map(move |scenario| self.user(scenario, number))
            })
            .flat_map(|user| user.messages().collect::<Vec<_>>())
    }
}

/// A user of a population.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What they live through.
    pub scenario: &'static Scenario,
    /// The company's name for them.
    pub reference: String,
    namespace: String,
    start: Timestamp,
}

impl User {
    /// Returns the id of one of the user's sessions, counted from 1.
    pub fn session_id(&self, session: u8) -> String {
        body::session_id(&self.namespace, session)
    }

    /// Returns what is sent for one step of the scenario, or `None` beyond its end.
    pub fn message(&self, index: usize) -> Option<Message> {
        let step = self.scenario.steps.get(index)?;
        Some(self.message_of(index, step))
    }

    /// Returns everything that is sent, duplicates included, in the order of arrival.
    pub fn messages(&self) -> impl Iterator<Item = Message> {
        self.scenario
            .steps
            .iter()
            .enumerate()
            .flat_map(|(index, step)| {
                let message = self.message_of(index, step);
                (0..step.delivery.times()).map(move |_| message.clone())
            })
    }

    fn message_of(&self, index: usize, step: &Step) -> Message {
        let of_session = self
            .scenario
            .steps
            .iter()
            .filter(|other| other.session == step.session);
        let particulars = Particulars {
            namespace: &self.namespace,
            user: &self.reference,
            start: self.start,
            session_at: of_session.map(|other| other.at).min().unwrap_or(step.at),
            index,
        };
        Message {
            body: body::body(step, &particulars),
            delivery: step.delivery,
        }
    }
}

/// One body to send, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The body, byte for byte.
    pub body: String,
    /// Whether it is signed or forged.
    pub delivery: Delivery,
}

impl Message {
    /// Returns the `Stripe-Signature` header with which it is sent at `signed_at`.
    pub fn signature_header(
        &self,
        secret: &Secret,
        signed_at: Timestamp,
    ) -> Result<String, SecretError> {
        let body = self.body.as_bytes();
        Ok(match self.delivery {
            Delivery::Once | Delivery::Times(_) => sign(secret, signed_at, body),
            Delivery::Forged => sign(&Secret::new(FORGERS_SECRET)?, signed_at, body),
        })
    }
}
