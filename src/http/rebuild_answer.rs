//! How a rebuild is told: its progress, and what it came to.

use serde::{Deserialize, Serialize};
use state_machine::id::AccountId;
use state_machine::time::ReceivedAt;

use crate::projections::comparison::{self, Subject, What};
use crate::projections::digest::ProjectionsDigest;
use crate::projections::part::Part;
use crate::service::rebuilds::{Rebuild, State};

/// A rebuild, as it is answered and listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// `rebuild`.
    pub object: String,
    /// Its own id.
    pub id: String,
    /// How far it has come.
    pub status: Status,
    /// Whether nothing is changed by it.
    pub dry_run: bool,
    /// The session that it is of, if it is not of everything.
    pub session: Option<String>,
    /// The tag of the user whom it is of.
    pub user_tag: Option<String>,
    /// Whether a process that ended had begun it.
    pub resumed: bool,
    /// When it began, in milliseconds.
    pub began_at: i64,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// How many entries are folded.
    pub entries_done: u64,
    /// How many there are.
    pub entries: u64,
    /// How many are folded in a second, so far.
    pub per_second: u64,
    /// In how many seconds all of them will be, at that rate.
    pub seconds_left: Option<u64>,
    /// What it came to.
    pub result: Option<Outcome>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// How far a rebuild has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It folds the log.
    Folding,
    /// It compares what it folded with what is served.
    Comparing,
    /// It has ended.
    Done,
    /// Somebody wanted it to end.
    Cancelled,
    /// It could not go on.
    Failed,
}

impl Status {
    /// Tells whether it goes on.
    pub fn is_running(self) -> bool {
        match self {
            Self::Folding | Self::Comparing => true,
            Self::Done | Self::Cancelled | Self::Failed => false,
        }
    }
}

/// What a rebuild came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The first entry that neither digest covers; none where only a part was folded.
    pub sequence: Option<u64>,
    /// The digest of what was served; none if that could not be read.
    pub digest_before: Option<String>,
    /// The digest of what was folded.
    pub digest_after: Option<String>,
    /// How many rows differ.
    pub differences_count: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// Why what was served could not be read to its end.
    pub unreadable: Option<String>,
}

/// A row that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// `record`, `listing` or `anomaly`.
    pub what: String,
    /// The session whose it is.
    pub session: Option<String>,
    /// The tag of the user whose it is.
    pub user_tag: Option<String>,
    /// The entry whose it is.
    pub entry: Option<u64>,
    /// The world of the session or user.
    pub livemode: Option<bool>,
    /// The account of that world.
    pub account: Option<String>,
    /// What was served.
    pub before: Option<String>,
    /// What the log says.
    pub after: Option<String>,
    /// In what they differ.
    pub why: String,
}

impl Answer {
    /// Returns how a rebuild is told at that time.
    pub fn of(rebuild: &Rebuild, now: ReceivedAt) -> Self {
        let (status, result, failure) = match &rebuild.state {
            State::Folding => (Status::Folding, None, None),
            State::Comparing => (Status::Comparing, None, None),
            State::Done(comparison) => (Status::Done, Some(Outcome::of(comparison)), None),
            State::Cancelled => (Status::Cancelled, None, None),
            State::Failed(why) => (Status::Failed, None, Some(why.clone())),
        };
        let (session, user_tag) = match &rebuild.wanted.part {
            None => (None, None),
            Some(Part::Session(_, id)) => (Some(id.as_str().to_owned()), None),
            Some(Part::User(_, tag)) => (None, Some(hex::encode(tag.0))),
        };
        let (done, all) = rebuild.progress;
        let ended_at = rebuild.ended_at;
        let elapsed = ended_at.unwrap_or(now).0.saturating_sub(rebuild.began_at.0);
        let elapsed = u64::try_from(elapsed).unwrap_or(0).max(1);
        let per_second = done.saturating_mul(1_000) / elapsed;
        let left = all.saturating_sub(done).checked_div(per_second);
        Self {
            object: "rebuild".to_owned(),
            id: rebuild.id.clone(),
            status,
            dry_run: rebuild.wanted.dry_run,
            session,
            user_tag,
            resumed: rebuild.is_resumed,
            began_at: rebuild.began_at.0,
            ended_at: ended_at.map(|at| at.0),
            entries_done: done,
            entries: all,
            per_second,
            seconds_left: left.filter(|_| status.is_running()),
            result,
            failure,
        }
    }
}

impl Outcome {
    fn of(comparison: &comparison::Comparison) -> Self {
        let text = |digest: &ProjectionsDigest| digest.to_string();
        Self {
            sequence: comparison.after.map(|digest| digest.sequence.0),
            digest_before: comparison.before.as_ref().map(text),
            digest_after: comparison.after.as_ref().map(text),
            differences_count: comparison.count,
            differences: comparison.differences.iter().map(Difference::of).collect(),
            unreadable: comparison.unreadable.clone(),
        }
    }
}

impl Difference {
    fn of(difference: &comparison::Difference) -> Self {
        let (world, session, user_tag, entry) = match &difference.subject {
            Subject::Session(world, id) => (Some(world), Some(id.as_str().to_owned()), None, None),
            Subject::User(world, tag) => (Some(world), None, Some(hex::encode(tag.0)), None),
            Subject::Entry(sequence) => (None, None, None, Some(sequence.0)),
            Subject::Nobody => (None, None, None, None),
        };
        let account = world.and_then(|world| world.account.as_ref());
        Self {
            what: match difference.what {
                What::Record => "record",
                What::Listing => "listing",
                What::Anomaly => "anomaly",
            }
            .to_owned(),
            session,
            user_tag,
            entry,
            livemode: world.map(|world| world.livemode),
            account: account.map(AccountId::as_str).map(str::to_owned),
            before: difference.before.clone(),
            after: difference.after.clone(),
            why: difference.why.clone(),
        }
    }
}
