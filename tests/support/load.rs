//! What Stripe and operators send at once, until something strikes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use avow::cli::simulation::dice::Dice;
use avow::cli::simulation::plan::Plan;
use avow::cli::simulation::population::{Population, START_SECONDS_BEFORE_NOW};
use avow::cli::simulation::scenario::Delivery as Sent;
use avow::cli::simulation::scenarios::SCENARIOS;

use super::ledger::{Answer, Ledger};
use super::operator::Wish;
use super::process::Process;

pub(crate) const CONNECTIONS: usize = 8;
/// Before which delivery it strikes, and how many microseconds later, at most.
const STRUCK: (u64, u64) = (50, 40_000);
/// How many things operators ask for while deliveries come.
const WISHES: u64 = 24;

/// Returns populations, each with users of its own, who live through every scenario.
pub(crate) fn populations(count: u64) -> Vec<Population> {
    let start = avow::system::now_seconds().plus_seconds(-START_SECONDS_BEFORE_NOW);
    (0..count).map(|seed| Population { seed, start }).collect()
}

/// Returns every signed event of a population once, in no order.
pub(crate) fn bodies(population: Population) -> impl Iterator<Item = Vec<u8>> {
    let plan = Plan::new(population, SCENARIOS, 1).shuffled();
    let messages = (0..plan.len()).filter_map(move |index| plan.message(index));
    let mut bodies: Vec<_> = messages
        .filter(|message| message.delivery != Sent::Forged)
        .map(|message| message.body.into_bytes())
        .collect();
    let mut seen = BTreeSet::new();
    bodies.retain(|body| seen.insert(body.clone()));
    bodies.into_iter()
}

/// Returns what operators ask for about a population, in any order.
fn wishes(population: Population, dice: &mut Dice) -> Vec<Wish> {
    let wish = |number| {
        let scenario = usize::try_from(dice.roll(SCENARIOS.len().try_into().unwrap())).unwrap();
        let user = population.user(&SCENARIOS[scenario], 1);
        if dice.roll(2) == 0 {
            let session = user.session_id(1);
            Wish::Erase { session }
        } else {
            Wish::Grant {
                user: user.reference,
                attempts: number,
            }
        }
    };
    (1..=WISHES).map(wish).collect()
}

/// Delivers a population, with what operators ask for beside it, and strikes at any moment meanwhile.
/// Returns the answers to what was not recorded.
pub(crate) fn deliver_until(
    strike: impl Fn() + Sync,
    process: &Process,
    ledger: &mut Ledger,
    population: Population,
    dice: &mut Dice,
) -> Vec<Answer> {
    let wishes = wishes(population, dice);
    let (deliveries, microseconds) = STRUCK;
    let fatal = usize::try_from(dice.roll(deliveries)).unwrap();
    let later = Duration::from_micros(dice.roll(microseconds));
    let mut operator = std::mem::take(&mut ledger.operator);
    let unrecorded = std::thread::scope(|scope| {
        scope.spawn(|| operator.ask(process, wishes));
        ledger.deliver(process, CONNECTIONS, bodies(population), |number| {
            if number == fatal {
                let begun = Instant::now();
                while begun.elapsed() < later {
                    std::thread::yield_now();
                }
                strike();
            }
        })
    });
    ledger.operator = operator;
    unrecorded
}
