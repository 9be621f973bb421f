//! `avow explain`: how a user came to stand where they do, and why the decision is what it is.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use reqwest::Url;
use state_machine::horizon::Horizon;
use state_machine::id::{AccountId, UserTag, World};

use super::explained_text::Told;
use super::horizon::HorizonArguments;
use super::named_user::{KeyArguments, parse_tag};
use super::server_access::ServerAccess;
use super::{Verdict, output, policy_file};
use crate::audit::gathered::Gathered;
use crate::audit::source::Source;
use crate::audit::web::Web;
use crate::http::explanation::ExplanationJson;
use crate::projections::policies::in_force;
use crate::service::asked::Asked;
use crate::service::explanation::Explanation;
use crate::service::moment::as_of_text;
use crate::service::policy::NamedPolicy;
use crate::service::users::{KnownUser, UserAnswer};
use crate::system;

/// Explain where a user stands, and why they may try again or may not, at any time
///
/// Prints the checks of the decision in their order with the policy that made it, the overrides, and of each session the
/// events in canonical order, each with its row of the transition table and what it changed. Read-only: reads a data
/// directory, even one that a server holds, or an export; a server is asked for its own explanation. Exits with 1 if
/// nothing is known of the user.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A data directory, a directory that `avow export` wrote, or the URL of a server
    #[arg(value_name = "SOURCE")]
    source: String,
    #[command(flatten)]
    name: Name,
    /// Look in live mode or in test mode [default: true; of a server, as configured]
    #[arg(long, value_name = "BOOL")]
    livemode: Option<bool>,
    /// Look in this connected account; empty means the platform's own [default: that; of a server, as configured]
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    #[command(flatten)]
    horizon: HorizonArguments,
    /// Decide by the `[retry]` table of this TOML file where the log records no policy [default: the default settings]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print JSON, as a server answers it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keys: KeyArguments,
    #[command(flatten)]
    access: ServerAccess,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Name {
    /// Explain this user; needs `--master-key-file`, but for a server
    #[arg(long, value_name = "REFERENCE")]
    user: Option<String>,
    /// Explain the user with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let horizon = arguments.horizon.horizon()?;
    let is_server = Url::parse(&arguments.source).is_ok_and(|url| url.has_host());
    let explanation = match &arguments.name.user {
        Some(user) if is_server => asked_of_server(arguments, user, &horizon)?,
        Some(_) | None => read(arguments, horizon)?,
    };
    let Some(explanation) = explanation else {
        output::talk("nothing is known of that user");
        return Ok(Verdict::Found);
    };
    output::data(&if arguments.json {
        serde_json::to_string(&explanation)?
    } else {
        Told(&explanation).to_string()
    })?;
    Ok(Verdict::Good)
}

fn asked_of_server(
    arguments: &Arguments,
    user: &str,
    horizon: &Horizon,
) -> anyhow::Result<Option<ExplanationJson>> {
    let access = arguments.access.read(&arguments.source)?;
    let web = Web::new(&arguments.source, Some(&access))?;
    let parameters = [
        (
            "livemode",
            arguments.livemode.map(|livemode| livemode.to_string()),
        ),
        ("account", arguments.account.clone()),
        ("as_of", horizon.as_of.map(as_of_text)),
        ("valid_at", horizon.valid_at.map(|time| time.0.to_string())),
    ];
    // Only to escape what stands in the path and in the query.
    let mut url = Url::parse("http://path")?;
    url.path_segments_mut()
        .ok()
        .context("a URL has a path")?
        .extend(["v1", "users", user, "explain"]);
    for (name, value) in parameters {
        if let Some(value) = value {
            url.query_pairs_mut().append_pair(name, &value);
        }
    }
    let path = url.as_str().trim_start_matches("http://path/");
    let answer = web.get(path)?;
    let parsed = answer.map(|json| serde_json::from_slice(&json));
    parsed
        .transpose()
        .context("the server's answer is no explanation")
}

fn read(arguments: &Arguments, horizon: Horizon) -> anyhow::Result<Option<ExplanationJson>> {
    let (tag, id) = named(arguments)?;
    let account = arguments
        .account
        .as_deref()
        .filter(|account| !account.is_empty());
    let account = account.map(AccountId::parse).transpose();
    let world = World {
        livemode: arguments.livemode.unwrap_or(true),
        account: account.context("`--account` is no id")?,
    };
    let access = arguments.access.read(&arguments.source)?;
    let source = Source::open(&arguments.source, Some(&access))?;
    let moments: Vec<_> = horizon.as_of.into_iter().collect();
    let mut gathered = Gathered::of(&source, &BTreeSet::from([tag]), &moments)?;
    let received_at = |sequence| Ok(gathered.received_at(sequence));
    let asked = Asked::of(horizon, system::now(), gathered.size, received_at)?;

    let policy = if let Some(recorded) = in_force(&gathered.policies, &horizon) {
        NamedPolicy::from(recorded)
    } else {
        let fallback = policy_file::read_or_default(arguments.policy.as_deref())?;
        NamedPolicy::new(fallback, None)
    };
    let recorded = gathered.users.remove(&(world.clone(), tag));
    let known = KnownUser::within(recorded.unwrap_or_default(), tag, &horizon);
    let user = UserAnswer::of(tag, Arc::new(known), &Arc::new(policy), asked.now);
    let explanation = user.map(|user| Explanation::of(user, asked));
    Ok(explanation.map(|explanation| ExplanationJson::of(&explanation, &id, &world)))
}

/// Returns the user's tag, and what they are called.
fn named(arguments: &Arguments) -> anyhow::Result<(UserTag, String)> {
    let Name { user, tag } = &arguments.name;
    match (user, tag) {
        (Some(user), _) => {
            let tag = arguments.keys.tag_of(&arguments.source, user)?;
            Ok((tag, user.clone()))
        }
        (None, tag) => {
            let tag = tag.clone().unwrap_or_default();
            Ok((parse_tag(&tag)?, tag))
        }
    }
}
