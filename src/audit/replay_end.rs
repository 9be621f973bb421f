//! How sessions and users stand at the end of a replay, as rows: a line of JSON each, or a few lines of text.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use state_machine::attempt::{Attempt, Outcome};
use state_machine::id::{
    AccountId, ErrorCode, ReportId, SequenceNumber, SessionId, UserTag, World,
};
use state_machine::session::Session;
use state_machine::time::Timestamp;
use state_machine::user::Standing;

use super::replay::{Ended, SessionName};
use super::replay_override::OverrideRow;
use crate::log::Custody;
use crate::service::change::{redaction, tag_text};
use crate::service::moment::moment;

/// How a session stands at the end.
#[derive(Debug, Serialize)]
pub struct SessionRow<'session> {
    object: &'static str,
    #[serde(flatten)]
    name: NameRow<'session>,
    status: &'static str,
    since: Option<i64>,
    user_tag: Option<String>,
    events: u32,
    attempts: Vec<AttemptRow<'session>>,
    declines: usize,
    anomalies: Vec<AnomalyRow<'session>>,
    redaction: &'static str,
    reversed: bool,
    hold: Option<u64>,
    erasure: Option<u64>,
    erased: Option<u64>,
}

#[derive(Debug, Serialize)]
struct AttemptRow<'attempt> {
    at: i64,
    report: Option<&'attempt str>,
    outcome: &'static str,
    ended_at: Option<i64>,
    code: Option<&'attempt str>,
}

#[derive(Debug, Serialize)]
struct AnomalyRow<'anomaly> {
    rule: &'static str,
    event: &'anomaly str,
    at: i64,
}

impl<'session> SessionRow<'session> {
    /// Returns the row of a session.
    pub fn of(
        (world, id): &'session SessionName,
        (session, custody): &'session (Session, Custody),
    ) -> Self {
        let sequence = |sequence: Option<SequenceNumber>| sequence.map(|sequence| sequence.0);
        let anomalies = session.anomalies.iter().map(|anomaly| AnomalyRow {
            rule: anomaly.rule.as_str(),
            event: anomaly.event.as_str(),
            at: anomaly.at.0,
        });
        Self {
            object: "session",
            name: name(world, id),
            status: session.state.name().as_str(),
            since: session.state.since().map(|since| since.0),
            user_tag: session.user.as_ref().map(|user| tag_text(&user.tag.0)),
            events: session.events,
            attempts: session.attempts.iter().map(AttemptRow::of).collect(),
            declines: session.declines.len(),
            anomalies: anomalies.collect(),
            redaction: redaction(session.redaction),
            reversed: session.reversed,
            hold: sequence(custody.hold),
            erasure: sequence(custody.erasure),
            erased: sequence(custody.done),
        }
    }
}

impl<'attempt> AttemptRow<'attempt> {
    fn of(attempt: &'attempt Attempt) -> Self {
        let (outcome, ended_at, code) = match &attempt.outcome {
            Outcome::InProgress => ("in_progress", None, None),
            Outcome::Failed { at, code } => ("failed", Some(at.0), code.as_ref()),
            Outcome::Verified { at } => ("verified", Some(at.0), None),
            Outcome::Unknown => ("unknown", None, None),
        };
        Self {
            at: attempt.at.0,
            report: attempt.report.as_ref().map(ReportId::as_str),
            outcome,
            ended_at,
            code: code.map(ErrorCode::as_str),
        }
    }
}

impl Display for SessionRow<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.name.session, self.status)?;
        if let Some(since) = self.since {
            write!(to, " since {}", moment(Timestamp(since)))?;
        }
        if let Some(tag) = &self.user_tag {
            write!(to, ", of {tag}")?;
        }
        writeln!(to, ", {} events", self.events)?;
        for attempt in &self.attempts {
            let AttemptRow {
                report,
                outcome,
                code,
                ..
            } = attempt;
            let at = moment(Timestamp(attempt.at));
            write!(to, "    attempt of {at}: {outcome}")?;
            for word in [code, report].into_iter().flatten() {
                write!(to, " {word}")?;
            }
            writeln!(to)?;
        }
        for AnomalyRow { rule, event, at } in &self.anomalies {
            writeln!(to, "    ! {rule}: {event} of {}", moment(Timestamp(*at)))?;
        }
        match (self.erasure, self.erased) {
            (_, Some(done)) => writeln!(to, "    erased by entry {done}"),
            (Some(erasure), None) => writeln!(to, "    to be erased by entry {erasure}"),
            (None, None) => Ok(()),
        }
    }
}

/// How a user stands in one world at the end.
#[derive(Debug, Serialize)]
pub struct UserRow<'ended> {
    object: &'static str,
    user_tag: String,
    livemode: bool,
    account: Option<&'ended str>,
    status: &'static str,
    since: Option<i64>,
    session: Option<&'ended str>,
    attempts: u32,
    overrides: Vec<OverrideRow<'ended>>,
}

impl<'ended> UserRow<'ended> {
    /// Returns the rows of a user: one for each world in which a session belongs to them or an override concerns them.
    pub fn all_of(tag: UserTag, ended: &'ended Ended) -> Vec<Self> {
        let is_of = |session: &Session| session.user.as_ref().is_some_and(|user| user.tag == tag);
        let owned = ended
            .sessions
            .iter()
            .filter(|(_, (session, _))| is_of(session));
        let mut worlds: BTreeMap<&World, Vec<_>> = BTreeMap::new();
        for ((world, id), (session, _)) in owned {
            worlds.entry(world).or_default().push((id, session));
        }
        for (world, _) in ended.overrides.keys().filter(|(_, user)| *user == tag) {
            worlds.entry(world).or_default();
        }
        let rows = worlds.into_iter().map(|(world, sessions)| {
            let overrides = ended.overrides.get(&(world.clone(), tag));
            Self::of(
                world,
                tag,
                &Standing::of(sessions, overrides.into_iter().flatten()),
            )
        });
        rows.collect()
    }

    fn of(world: &'ended World, tag: UserTag, standing: &Standing<'ended>) -> Self {
        Self {
            object: "user",
            user_tag: tag_text(&tag.0),
            livemode: world.livemode,
            account: world.account.as_ref().map(AccountId::as_str),
            status: standing.status().as_str(),
            since: standing.since().map(|since| since.0),
            session: standing.current().map(|(id, _)| id.as_str()),
            attempts: standing.attempts_total(),
            overrides: standing
                .overrides
                .iter()
                .copied()
                .map(OverrideRow::of)
                .collect(),
        }
    }
}

impl Display for UserRow<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        write!(to, "{}: {}", self.user_tag, self.status)?;
        if let Some(since) = self.since {
            write!(to, " since {}", moment(Timestamp(since)))?;
        }
        if let Some(session) = &self.session {
            write!(to, " by {session}")?;
        }
        let mode = if self.livemode { "live" } else { "test" };
        writeln!(to, ", {} attempts, in {mode} mode", self.attempts)?;
        self.overrides
            .iter()
            .try_for_each(|made| writeln!(to, "    {made}"))
    }
}

/// A session, and its world.
#[derive(Debug, Serialize)]
pub(super) struct NameRow<'name> {
    pub(super) session: &'name str,
    livemode: bool,
    account: Option<&'name str>,
}

/// Returns the row of a session's name.
pub(super) fn name<'name>(world: &'name World, session: &'name SessionId) -> NameRow<'name> {
    NameRow {
        session: session.as_str(),
        livemode: world.livemode,
        account: world.account.as_ref().map(AccountId::as_str),
    }
}
