//! Explanations: how a user came to stand where they do, and why the decision is what it is, step by step.

use std::sync::Arc;

use state_machine::history::{History, Recorded};
use state_machine::id::{UserTag, World};
use state_machine::overrides::Override;
use state_machine::retry::check::{Check, checks};
use state_machine::session::project;
use state_machine::transition::Transition;

use super::Service;
use super::asked::Asked;
use super::change::{Change, changes, session_facts};
use super::policy::NamedPolicy;
use super::read::ReadError;
use super::sessions::SessionAnswer;
use super::users::UserAnswer;
use crate::log::Custody;

/// Why a user stands where they do.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// The times of the question.
    pub asked: Asked,
    /// What is explained.
    pub user: UserAnswer,
    /// The steps of each session, in the order of the user's sessions.
    pub steps: Vec<Vec<ExplainedStep>>,
    /// The checks of the decision, in their order.
    pub checks: Vec<Check>,
}

/// One step of the fold of a session.
#[derive(Debug, Clone)]
pub struct ExplainedStep {
    /// The event, and when we knew.
    pub recorded: Recorded,
    /// Its row of the transition table.
    pub transition: Transition,
    /// What it changed of the session.
    pub changes: Vec<Change>,
    /// The rules that it broke.
    pub anomalies: Vec<&'static str>,
}

impl Explanation {
    /// Explains an answer.
    pub fn of(user: UserAnswer, asked: Asked) -> Self {
        let checks = checks(&user.standing(), &user.policy.policy, asked.now);
        let sessions = user.known.sessions.iter();
        Self {
            asked,
            steps: sessions.map(steps).collect(),
            checks,
            user,
        }
    }

    /// Returns the sessions, each with its steps.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionAnswer, &[ExplainedStep])> {
        let steps = self.steps.iter().map(Vec::as_slice);
        self.user.known.sessions.iter().zip(steps)
    }

    /// Returns the overrides, and whether each has not ended by itself.
    pub fn overrides(&self) -> impl Iterator<Item = (&Override, bool)> {
        let overrides = self.user.known.overrides.iter();
        overrides.map(|made| (made, made.is_in_force(self.asked.now)))
    }
}

/// Returns the steps of a session's fold, in canonical order. What is decided about its payloads is no step of it.
fn steps(known: &SessionAnswer) -> Vec<ExplainedStep> {
    let mut folded = History::default();
    let mut before = session_facts(&project(&folded), Custody::default());
    let explained = |(recorded, transition): (&Recorded, Transition)| {
        folded.insert(recorded.clone());
        let session = project(&folded);
        let after = session_facts(&session, Custody::default());
        let changes = changes(&before, &after);
        before = after;
        let anomalies = known.session.anomalies.iter();
        let own = anomalies.filter(|anomaly| anomaly.event == recorded.event.id);
        ExplainedStep {
            recorded: recorded.clone(),
            transition,
            changes,
            anomalies: own.map(|anomaly| anomaly.rule.as_str()).collect(),
        }
    };
    known.steps().map(explained).collect()
}

impl Service {
    /// Explains where a user stands, or stood, or returns `None` if nothing names them.
    pub fn explain(
        &self,
        world: &World,
        tag: UserTag,
        asked: &Asked,
    ) -> Result<Option<Explanation>, ReadError> {
        let Some(mut user) = self.user(world, tag, asked)? else {
            return Ok(None);
        };
        if user.policy.recorded.is_none() {
            let policies = self.view()?.policies()?;
            let last = policies.last().map(NamedPolicy::from);
            if let Some(last) = last.filter(|last| last.hash == user.policy.hash) {
                user.policy = Arc::new(last);
            }
        }
        Ok(Some(Explanation::of(user, *asked)))
    }
}
