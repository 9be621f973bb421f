//! `avow override`: what an operator decides about a user.

mod local;
mod remote;

use anyhow::Context;
use clap::{Args, Subcommand};
use state_machine::overrides::Action;
use state_machine::time::Timestamp;

use super::expiry::Expiry;
use super::server_access::ServerAccess;
use super::sources::SourceArguments;
use super::world::WorldArguments;
use super::{Verdict, output};
use crate::http::overrides::Answer;
use crate::log::IdempotencyKey;
use crate::service::moment::moment;
use crate::system;

/// Grant attempts to a user, reset, block or unblock them
///
/// What is decided is an entry of the log, with who decided it and why, and is in force once the command ends. It holds
/// for a user whom no session has named yet, too. Works on a data directory that no server holds, with the configuration
/// of `avow serve`, or through a server with `--server`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: ActionArguments,
}

#[derive(Debug, Subcommand)]
enum ActionArguments {
    Grant(Grant),
    Reset(Reset),
    Block(Block),
    Unblock(Unblock),
}

/// Grant a user more attempts than the policy allows
///
/// The limit is raised by so many, in every window while the grant is in force: without `--expires`, for good. Grants add
/// up. A grant shortens no cooldown, and undoes no error of the class final: a reset does.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
struct Grant {
    /// Grant so many
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    #[command(flatten)]
    decision: Decision,
}

/// Let what a user did before count no longer: attempts, their cooldown, and errors
///
/// All of it stays in the log. What Stripe reports later is new, of whichever submission. Of several resets in force the
/// one counts that forgives most.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
struct Reset {
    #[command(flatten)]
    decision: Decision,
}

/// Block a user: no more attempts
///
/// It stands until it ends by itself or an unblock lifts it. A user who is verified, or whose submission is being checked,
/// reads so first.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
struct Block {
    #[command(flatten)]
    decision: Decision,
}

/// Unblock a user: lift every block before
///
/// When an unblock with an end has ended, the blocks that it lifted stand again.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
struct Unblock {
    #[command(flatten)]
    decision: Decision,
}

#[derive(Debug, Args)]
struct Decision {
    /// Decide about this user
    #[arg(long, value_name = "REFERENCE")]
    user: String,
    /// Say who decides it: kept sealed in the log
    #[arg(long, value_name = "NAME")]
    actor: String,
    /// Say why, without naming the user: kept sealed in the log, and never erased
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Let it end by itself: in a while (`90d`, `12h`), or at a time (`2027-03-31T00:00:00Z`) [default: never]
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
    /// Know this request again if the same is asked for twice; with `--expires`, give a time
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    #[command(flatten)]
    world: WorldArguments,
    /// Ask the server at this URL, which holds the data, instead of opening them
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "data_dir", "listen", "set"])]
    server: Option<String>,
    #[command(flatten)]
    access: ServerAccess,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceArguments,
}

/// What is asked for, and when.
struct Request<'arguments> {
    decision: &'arguments Decision,
    action: Action,
    expires: Option<Timestamp>,
    idempotency_key: Option<IdempotencyKey>,
    now: Timestamp,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let (action, decision) = match &arguments.action {
        ActionArguments::Grant(grant) => {
            let attempts = grant.attempts;
            (Action::Grant { attempts }, &grant.decision)
        }
        ActionArguments::Reset(reset) => (Action::Reset, &reset.decision),
        ActionArguments::Block(block) => (Action::Block, &block.decision),
        ActionArguments::Unblock(unblock) => (Action::Unblock, &unblock.decision),
    };
    let now = system::now_seconds();
    let key = decision.idempotency_key.as_deref().map(|key| {
        let key = IdempotencyKey::new(key);
        key.context("`--idempotency-key` is 1 to 255 visible characters")
    });
    let request = Request {
        decision,
        action,
        expires: decision.expires.map(|expiry| expiry.from(now)),
        idempotency_key: key.transpose()?,
        now,
    };
    let (answer, is_repeated) = match &decision.server {
        Some(server) => remote::make(server, &request)?,
        None => local::make(&request)?,
    };
    output::data(&if decision.json {
        serde_json::to_string(&answer)?
    } else {
        text(&answer, is_repeated)
    })?;
    Ok(Verdict::Good)
}

/// Says what was decided.
fn text(answer: &Answer, is_repeated: bool) -> String {
    let Answer {
        id, user, sequence, ..
    } = answer;
    let what = match (answer.action.as_str(), answer.attempts) {
        ("grant", Some(1)) => "has an attempt more".to_owned(),
        ("grant", attempts) => format!("has {} attempts more", attempts.unwrap_or_default()),
        ("reset", _) => "starts anew".to_owned(),
        (action, _) => format!("is {action}ed"),
    };
    let until = answer.expires.map_or_else(String::new, |expires| {
        format!(" until {}", moment(Timestamp(expires)))
    });
    let before = if is_repeated {
        ", as asked for before"
    } else {
        ""
    };
    format!("{user} {what}{until}, by entry {sequence} ({id}){before}")
}
