//! `avow simulate`: the scenarios, against any server.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use clap::builder::PossibleValuesParser;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use state_machine::time::Timestamp;
use tokio::task::JoinSet;

use super::server_access::ServerAccess;
use super::simulation::check;
use super::simulation::plan::Plan;
use super::simulation::population::{Population, START_SECONDS_BEFORE_NOW};
use super::simulation::report::{Report, Summary};
use super::simulation::scenario::Scenario;
use super::simulation::scenarios::SCENARIOS;
use super::simulation::sender::Sender;
use super::sources::SourceArguments;
use super::{Verdict, output};
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::stripe::secret::Secrets;
use crate::system;

/// Send signed events of whole scenarios to a server, as Stripe would
///
/// Every event is in test mode (`livemode` is false) and holds no personal data. Prints how the deliveries were
/// answered, and how fast. Exits with 1 if an answer, or with `--check` an end, is not the one that its scenario
/// expects, and with 2 if the server does not answer. Signs as the configuration of `avow serve` has it, unless
/// `--secret` names another secret.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
#[command(mut_arg("data_dir", |data_dir| data_dir.hide(true)))]
pub(super) struct Arguments {
    /// Send to this server; a URL without a path gets `/webhooks/stripe`
    #[arg(long, value_name = "URL")]
    to: String,
    /// Sign with this webhook secret, which other users of this machine can read here [default: the first that the configuration names]
    #[arg(long)]
    secret: Option<String>,
    /// Tell this scenario
    #[arg(long, value_name = "NAME", default_value = ALL, hide_possible_values = true, value_parser = scenario_names())]
    scenario: String,
    /// Let this many users live through each scenario
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    users: u64,
    /// Name the population; a server that has seen it gets duplicates if `--start` is the same, too [default: the time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Date the start of every scenario, in Unix seconds [default: twelve hours ago]
    #[arg(long, value_name = "SECONDS")]
    start: Option<i64>,
    /// Send at most this many deliveries in a second [default: as many as are answered]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Repeat this many in a hundred deliveries
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=100))]
    duplicates: u8,
    /// Send in an order that has nothing to do with what happened
    #[arg(long)]
    shuffle: bool,
    /// Send over this many connections at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Read every user afterwards, and compare with the end of the scenario; expects the default retry policy
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    access: ServerAccess,
    #[command(flatten)]
    sources: SourceArguments,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const ALL: &str = "all";

fn scenario_names() -> PossibleValuesParser {
    PossibleValuesParser::new(
        [ALL]
            .into_iter()
            .chain(SCENARIOS.iter().map(|one| one.name)),
    )
}

impl Arguments {
    fn scenarios(&self) -> &'static [Scenario] {
        let named = SCENARIOS
            .iter()
            .find(|scenario| scenario.name == self.scenario);
        named.map_or(SCENARIOS, std::slice::from_ref)
    }

    fn population(&self) -> Population {
        let now = system::now_seconds();
        let twelve_hours_ago = now.plus_seconds(-START_SECONDS_BEFORE_NOW);
        Population {
            seed: self.seed.unwrap_or_else(|| now.0.unsigned_abs()),
            start: self.start.map_or(twelve_hours_ago, Timestamp),
        }
    }

    fn sender(&self) -> anyhow::Result<Sender> {
        let secrets = match &self.secret {
            Some(secret) => Secrets::parse(secret)?,
            None => self.sources.with(configured)?,
        };
        let first = secrets.iter().next().context("no webhook secret")?;
        Sender::new(&self.to, first.clone(), &self.access.read(&self.to)?)
    }

    fn plan(&self, population: Population) -> Plan {
        let plan = Plan::new(population, self.scenarios(), self.users);
        let plan = plan.with_duplicates(self.duplicates);
        if self.shuffle { plan.shuffled() } else { plan }
    }
}

/// Returns the webhook secrets that `avow serve` would take.
fn configured(sources: &Sources<'_>) -> anyhow::Result<Secrets> {
    Ok(Settings::load(sources)?.webhook_secrets(sources)?)
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let sender = arguments.sender()?;
    let population = arguments.population();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(simulate(arguments, population, sender))?;
    output::data(&if arguments.json {
        serde_json::to_string_pretty(&outcome)?
    } else {
        outcome.to_string()
    })?;
    Ok(outcome.verdict())
}

async fn simulate(
    arguments: &Arguments,
    population: Population,
    sender: Sender,
) -> anyhow::Result<Outcome> {
    let plan = arguments.plan(population);
    let began = Instant::now();
    let run = Run {
        progress: bar(plan.len()),
        plan,
        sender: sender.clone(),
        interval: arguments.rate.map(|rate| Duration::from_secs(1) / rate),
        began,
        next: AtomicUsize::new(0),
    };
    let report = deliver(run, arguments.connections).await?;
    let report = report
        .answered()
        .with_context(|| format!("{} answers nothing", arguments.to))?;
    let summary = report.summary(began.elapsed());
    let wrong = if arguments.check {
        Some(check_all(arguments, population, &sender).await?)
    } else {
        None
    };
    Ok(Outcome {
        seed: population.seed,
        start: population.start.0,
        summary,
        wrong,
    })
}

/// What the connections share.
struct Run {
    plan: Plan,
    sender: Sender,
    interval: Option<Duration>,
    began: Instant,
    next: AtomicUsize,
    progress: ProgressBar,
}

async fn deliver(run: Run, connections: u16) -> anyhow::Result<Report> {
    let run = Arc::new(run);
    let mut tasks: JoinSet<Report> = (0..connections)
        .map(|_| deliver_some(Arc::clone(&run)))
        .collect();
    let mut report = Report::default();
    while let Some(part) = tasks.join_next().await {
        report.add(part?);
    }
    run.progress.finish_and_clear();
    Ok(report)
}

/// Takes the next delivery of the plan, as long as there is one.
async fn deliver_some(run: Arc<Run>) -> Report {
    let mut report = Report::default();
    loop {
        let index = run.next.fetch_add(1, Ordering::Relaxed);
        let Some(message) = run.plan.message(index) else {
            return report;
        };
        if let (Some(interval), Ok(place)) = (run.interval, u32::try_from(index)) {
            tokio::time::sleep_until((run.began + interval.saturating_mul(place)).into()).await;
        }
        report.count(message.delivery, run.sender.send(&message).await);
        run.progress.inc(1);
    }
}

async fn check_all(
    arguments: &Arguments,
    population: Population,
    sender: &Sender,
) -> anyhow::Result<Vec<String>> {
    let scenarios = arguments.scenarios();
    let users = (1..=arguments.users).flat_map(|number| {
        scenarios
            .iter()
            .map(move |scenario| population.user(scenario, number))
    });
    let mut wrong = Vec::new();
    for user in users {
        let differences = check::differences(sender, &user).await?;
        wrong.extend(
            differences
                .into_iter()
                .map(|difference| format!("{}: {difference}", user.reference)),
        );
    }
    Ok(wrong)
}

fn bar(deliveries: usize) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:32} {pos}/{len} deliveries, {per_sec}, {eta} left");
    let bar = ProgressBar::new(u64::try_from(deliveries).unwrap_or(u64::MAX));
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What is printed.
#[derive(Serialize)]
struct Outcome {
    seed: u64,
    start: i64,
    #[serde(flatten)]
    summary: Summary,
    /// What did not end as its scenario says; `None` if nobody asked.
    wrong: Option<Vec<String>>,
}

impl Outcome {
    fn verdict(&self) -> Verdict {
        let is_wrong = self.wrong.as_ref().is_some_and(|wrong| !wrong.is_empty());
        Verdict::good_if(self.summary.unexpected == 0 && !is_wrong)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            start,
            summary,
            wrong,
        } = self;
        writeln!(formatter, "seed {seed}, start {start}\n{summary}")?;
        match wrong.as_deref() {
            None => Ok(()),
            Some([]) => writeln!(formatter, "✓ every user ended as the scenario says"),
            Some(wrong) => wrong
                .iter()
                .try_for_each(|line| writeln!(formatter, "✗ {line}")),
        }
    }
}
