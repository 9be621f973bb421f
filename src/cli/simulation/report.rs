//! What came of a run: answers by status, and how long they took.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::scenario::Delivery;
use super::sender::Answer;

/// What came of a run of deliveries.
#[derive(Debug, Default)]
pub struct Report {
    answers: BTreeMap<String, u64>,
    unexpected: u64,
    retries: u64,
    latencies: Vec<Duration>,
    first_error: Option<anyhow::Error>,
}

impl Report {
    /// Counts the answer to a delivery.
    pub fn count(&mut self, delivery: Delivery, answer: anyhow::Result<Answer>) {
        let (status, is_expected) = match answer {
            Ok(Answer {
                status,
                retries,
                latency,
            }) => {
                self.retries += u64::from(retries);
                self.latencies.push(latency);
                (status.to_string(), status == delivery.answer())
            }
            Err(error) => {
                self.first_error.get_or_insert(error);
                ("no answer".to_owned(), false)
            }
        };
        *self.answers.entry(status).or_default() += 1;
        self.unexpected += u64::from(!is_expected);
    }

    /// Adds what another connection saw.
    pub fn add(&mut self, other: Self) {
        for (status, count) in other.answers {
            *self.answers.entry(status).or_default() += count;
        }
        self.unexpected += other.unexpected;
        self.retries += other.retries;
        self.latencies.extend(other.latencies);
        self.first_error = self.first_error.take().or(other.first_error);
    }

    /// Returns the report, or why no delivery was answered at all.
    pub fn answered(self) -> anyhow::Result<Self> {
        match self {
            Self {
                latencies,
                first_error: Some(error),
                ..
            } if latencies.is_empty() => Err(error),
            report => Ok(report),
        }
    }

    /// Sums the report up.
    pub fn summary(mut self, elapsed: Duration) -> Summary {
        self.latencies.sort_unstable();
        let deliveries = self.answers.values().sum::<u64>();
        let count = u32::try_from(deliveries).map_or(f64::MAX, f64::from);
        let milliseconds = |percent| self.percentile(percent).as_secs_f64() * 1_000.0;
        Summary {
            deliveries,
            unexpected: self.unexpected,
            retries: self.retries,
            seconds: elapsed.as_secs_f64(),
            per_second: count / elapsed.as_secs_f64(),
            latency_milliseconds: Latency {
                p50: milliseconds(50),
                p90: milliseconds(90),
                p99: milliseconds(99),
                max: milliseconds(100),
            },
            answers: self.answers,
        }
    }

    /// Returns the latency that so many percent of the answers did not exceed; the latencies are sorted.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100);
        self.latencies
            .get(rank.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }
}

/// A report in figures.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// How many deliveries were sent.
    pub deliveries: u64,
    /// How many of them were answered how.
    pub answers: BTreeMap<String, u64>,
    /// How many were not answered as their scenario expects.
    pub unexpected: u64,
    /// How often the server asked to try again.
    pub retries: u64,
    /// How long it took.
    pub seconds: f64,
    /// How many deliveries that makes in a second.
    pub per_second: f64,
    /// How long the answers took.
    pub latency_milliseconds: Latency,
}

/// Latencies that so many percent of the answers did not exceed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latency {
    /// Half of them.
    pub p50: f64,
    /// Nine in ten.
    pub p90: f64,
    /// All but one in a hundred.
    pub p99: f64,
    /// All of them.
    pub max: f64,
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            deliveries,
            unexpected,
            retries,
            seconds,
            per_second,
            ..
        } = self;
        writeln!(
            formatter,
            "{deliveries} deliveries in {seconds:.2} s, {per_second:.0} a second"
        )?;
        let answers: Vec<String> = self
            .answers
            .iter()
            .map(|(status, count)| format!("{count} × {status}"))
            .collect();
        let answers = answers.join(", ");
        writeln!(
            formatter,
            "answers: {answers}; unexpected: {unexpected}; asked to try again: {retries}"
        )?;
        let Latency { p50, p90, p99, max } = self.latency_milliseconds;
        write!(
            formatter,
            "latency in ms: p50 {p50:.2}, p90 {p90:.2}, p99 {p99:.2}, max {max:.2}"
        )
    }
}
