//! What is sent, and in which order: small enough to be held whole, since bodies are made when they are sent.

use super::dice::Dice;
use super::population::{Message, Population};
use super::scenario::{Delivery, Scenario};

/// What is sent in all.
#[derive(Debug, Clone)]
pub struct Plan {
    population: Population,
    entries: Vec<Entry>,
}

/// One delivery.
#[derive(Debug, Clone, Copy)]
struct Entry {
    scenario: &'static Scenario,
    user: u64,
    step: usize,
}

impl Plan {
    /// Plans every delivery of users 1 to `users` of each scenario.
    pub fn new(population: Population, scenarios: &'static [Scenario], users: u64) -> Self {
        let users =
            (1..=users).flat_map(|user| scenarios.iter().map(move |scenario| (scenario, user)));
        let entries = users.flat_map(|(scenario, user)| {
            scenario
                .steps
                .iter()
                .enumerate()
                .flat_map(move |(index, step)| {
                    let entry = Entry {
                        scenario,
                        user,
                        step: index,
                    };
                    (0..step.delivery.times()).map(move |_| entry)
                })
        });
        Self {
            population,
            entries: entries.collect(),
        }
    }

    /// Repeats `percent` in a hundred of the signed deliveries, right after the first.
    #[must_use]
    pub fn with_duplicates(self, percent: u8) -> Self {
        let mut dice = Dice::new(self.population.seed);
        let repeated = self.entries.into_iter().flat_map(|entry| {
            let is_again = !entry.is_forged() && dice.roll(100) < u64::from(percent);
            std::iter::repeat_n(entry, 1 + usize::from(is_again))
        });
        Self {
            population: self.population,
            entries: repeated.collect(),
        }
    }

    /// Puts the deliveries into an order that has nothing to do with what happened.
    #[must_use]
    pub fn shuffled(mut self) -> Self {
        let mut dice = Dice::new(self.population.seed);
        for (index, sides) in (0..self.entries.len()).zip(1_u64..) {
            let other = usize::try_from(dice.roll(sides)).unwrap_or(index);
            self.entries.swap(index, other);
        }
        self
    }

    /// Returns how many deliveries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns a delivery, or `None` beyond the last.
    pub fn message(&self, index: usize) -> Option<Message> {
        let Entry {
            scenario,
            user,
            step,
        } = *self.entries.get(index)?;
        self.population.user(scenario, user).message(step)
    }
}

impl Entry {
    fn is_forged(&self) -> bool {
        self.scenario
            .steps
            .get(self.step)
            .is_some_and(|step| step.delivery == Delivery::Forged)
    }
}
