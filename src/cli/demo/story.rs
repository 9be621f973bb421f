//! What the demo tells: each scenario, what it shows, and what came of it.

use crate::cli::simulation::check;
use crate::cli::simulation::population::{Population, START_SECONDS_BEFORE_NOW, User};
use crate::cli::simulation::scenario::End;
use crate::cli::simulation::scenarios::SCENARIOS;
use crate::cli::simulation::sender::Sender;
use crate::cli::{Verdict, output};
use crate::client::Access;
use crate::stripe::secret::Secret;
use crate::system;

use super::running_server::RunningServer;

/// The demo's users are always the same ones.
const SEED: u64 = 1;

/// The scenarios, and the server that lives through them.
pub(super) struct Story {
    base: String,
    population: Population,
    sender: Sender,
}

impl Story {
    pub(super) fn new(server: &RunningServer, secret: &str) -> anyhow::Result<Self> {
        let base = format!("http://{}", server.address);
        let start = system::now_seconds().plus_seconds(-START_SECONDS_BEFORE_NOW);
        let sender = Sender::new(&base, Secret::new(secret)?, &Access::default())?;
        Ok(Self {
            base,
            population: Population { seed: SEED, start },
            sender,
        })
    }

    /// Tells every scenario; good if each ended as it has to.
    pub(super) async fn tell(&self) -> anyhow::Result<Verdict> {
        let base = &self.base;
        output::data(&format!(
            "avow serves on {base}; each event below is signed and sent to it over HTTP\n\n"
        ))?;
        let mut good = 0_usize;
        for scenario in SCENARIOS {
            let user = self.population.user(scenario, 1);
            let differences = self.live_through(&user).await?;
            good += usize::from(differences.is_empty());
            output::data(&paragraph(&user, &differences))?;
        }
        let all = SCENARIOS.len();
        output::data(&format!(
            "\n{good} of {all} scenarios ended as they have to"
        ))?;
        Ok(Verdict::good_if(good == all))
    }

    /// Delivers a user's scenario, and returns everything that is not as it has to be.
    async fn live_through(&self, user: &User) -> anyhow::Result<Vec<String>> {
        let mut differences = Vec::new();
        for message in user.messages() {
            let (answer, expected) = (self.sender.send(&message).await?, message.delivery.answer());
            if answer.status != expected {
                differences.push(format!(
                    "a delivery is answered {}, not {expected}",
                    answer.status
                ));
            }
        }
        differences.extend(check::differences(&self.sender, user).await?);
        Ok(differences)
    }

    /// Returns what to type, to look at the server while it is up.
    pub(super) fn look_around(&self) -> String {
        let session = self
            .user("failure_then_success")
            .map(|user| user.session_id(1))
            .unwrap_or_default();
        let user = self
            .user("limit_reached")
            .map(|user| user.reference)
            .unwrap_or_default();
        let questions = [
            (
                "a user who has reached the limit, and why",
                format!("users/{user}?livemode=false"),
            ),
            (
                "a session that failed, then succeeded",
                format!("sessions/{session}?livemode=false"),
            ),
            (
                "the same, step by step",
                format!("sessions/{session}/history?livemode=false"),
            ),
            (
                "everybody who is verified",
                "users?livemode=false&status=verified".to_owned(),
            ),
            ("what was strange", "anomalies?livemode=false".to_owned()),
        ];
        let base = &self.base;
        let lines =
            questions.map(|(what, query)| format!("  # {what}\n  curl -s '{base}/v1/{query}'\n"));
        let lines = lines.concat();
        format!(
            "\nlook for yourself while this runs; Ctrl-C ends it and removes its data\n\n{lines}"
        )
    }

    fn user(&self, scenario: &str) -> Option<User> {
        let scenario = SCENARIOS.iter().find(|one| one.name == scenario)?;
        Some(self.population.user(scenario, 1))
    }
}

fn paragraph(user: &User, differences: &[String]) -> String {
    let scenario = user.scenario;
    let sent: usize = scenario
        .steps
        .iter()
        .map(|step| usize::from(step.delivery.times()))
        .sum();
    let (sign, came) = match differences {
        [] => ('✓', words(&scenario.end)),
        differences => ('✗', differences.join("; ")),
    };
    format!(
        "{sign} {}: {}\n    {sent} deliveries → {came}\n",
        scenario.name, scenario.shows
    )
}

fn words(end: &End) -> String {
    let End {
        status,
        attempts,
        outcome,
        reversed,
        redaction,
        anomalies,
    } = end;
    let reversed = if *reversed { ", reversed" } else { "" };
    let anomalies = match anomalies {
        0 => String::new(),
        count => format!(", anomalies {count}"),
    };
    let redaction = redaction
        .map(|redaction| format!(", redaction {redaction}"))
        .unwrap_or_default();
    format!("{status}, attempts {attempts}, {outcome}{reversed}{redaction}{anomalies}")
}
