//! What a scenario is: what happens to one user's sessions, how it is delivered, and how it has to end.

/// A story of one user, with its expected end.
#[derive(Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in one sentence.
    pub shows: &'static str,
    /// What is delivered, in the order of arrival.
    pub steps: &'static [Step],
    /// What has to come of it.
    pub end: End,
}

/// One event, and how it is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When it happened at Stripe, in seconds after the scenario's start.
    pub at: u16,
    /// In which of the user's sessions, from 1.
    pub session: u8,
    /// What happened.
    pub change: Change,
    /// How Stripe, or somebody else, delivers it.
    pub delivery: Delivery,
}

/// What happened to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The session was created.
    Created,
    /// The user submitted.
    Processing,
    /// A check failed: the report's number within the session, and the error code.
    Failed(u8, &'static str),
    /// No check took place: the error code.
    Declined(&'static str),
    /// A check, or a reviewer, verified the user: the report's number within the session.
    Verified(u8),
    /// The company closed the session.
    Canceled,
    /// Redaction of a verified session began: its last report.
    RedactionBegun(u8),
    /// Redaction of a verified session is done: its last report.
    Redacted(u8),
}

/// How an event is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Once, signed.
    Once,
    /// So many times, each signed anew, as Stripe does when an answer was lost.
    Times(u8),
    /// Once, signed by somebody who does not know the secret.
    Forged,
}

impl Delivery {
    /// Returns how often the event is sent.
    pub fn times(self) -> u8 {
        match self {
            Self::Once | Self::Forged => 1,
            Self::Times(times) => times,
        }
    }

    /// Returns the HTTP status that has to answer each delivery.
    pub fn answer(self) -> u16 {
        match self {
            Self::Once | Self::Times(_) => 200,
            Self::Forged => 400,
        }
    }
}

/// What has to come of a scenario, in the words of the HTTP interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// The user's status.
    pub status: &'static str,
    /// The user's attempts in all sessions.
    pub attempts: u32,
    /// The outcome of the decision whether the user may try again.
    pub outcome: &'static str,
    /// Whether a verification was taken back.
    pub reversed: bool,
    /// How far the redaction of the user's current session has come.
    pub redaction: Option<&'static str>,
    /// How many anomalies the user's sessions have.
    pub anomalies: u32,
}
