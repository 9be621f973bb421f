//! `avow tokens`: who may ask a server for what.

use std::path::PathBuf;

use anyhow::{Context, bail};
use chrono::DateTime;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use state_machine::time::Timestamp;
use zeroize::Zeroizing;

use super::expiry::Expiry;
use super::keys::write_new;
use super::sources::SourceArguments;
use super::{Verdict, output};
use crate::access::register::{TokenName, TokenRecord};
use crate::access::scope::{self, Scopes};
use crate::access::token::Token;
use crate::config::settings::Settings;
use crate::config::tokens;
use crate::system;

/// Make, list and revoke access tokens
///
/// A token admits whoever shows it to a server. What is kept is its hash, in `tokens.json` in the data directory unless
/// `access.tokens_file` names another file. A running server takes a change within a second, without a restart. With
/// the first token, everybody needs one.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a token, and print it: this once
///
/// Give it to whoever needs it, who shows it as `Authorization: Bearer TOKEN`; commands of avow take it from
/// `--token-file` or `AVOW_TOKEN`. It can be told from any other text: `avow_` and 72 hexadecimal digits.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
struct Create {
    /// Call it so: what it is for; the name is sealed in the log's record of each access, for good
    #[arg(long, value_parser = name)]
    name: TokenName,
    /// Let it do this; repeatable, or separated by commas
    #[arg(long, required = true, value_delimiter = ',')]
    scope: Vec<ScopeName>,
    /// Let it end: in a while (`90d`, `12h`), or at a time (`2027-03-31T00:00:00Z`) [default: never]
    #[arg(long, value_name = "WHEN")]
    expires: Option<Expiry>,
    /// Write it to this new file, which only its owner can read, instead of to stdout; never overwrite one
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    sources: SourceArguments,
}

/// List every token that was made, but for its text, which nobody has but its holder
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    sources: SourceArguments,
}

/// Revoke a token: once and for good
///
/// It stays in the list.
#[derive(Debug, Args)]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
struct Revoke {
    /// The token's id, such as `tok_0123456789abcdef`; not the token
    id: String,
    #[command(flatten)]
    sources: SourceArguments,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScopeName {
    /// To ask about users and sessions
    Read,
    /// To prove what the log holds, and to export it; includes `read`
    Audit,
    /// To change what is kept and how it is decided; includes `read`
    Operate,
}

impl ScopeName {
    fn scope(self) -> scope::Scope {
        match self {
            Self::Read => scope::Scope::Read,
            Self::Audit => scope::Scope::Audit,
            Self::Operate => scope::Scope::Operate,
        }
    }
}

fn name(text: &str) -> Result<TokenName, &'static str> {
    TokenName::parse(text).ok_or("a name is one line of 1 to 100 bytes")
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    match &arguments.command {
        Command::Create(arguments) => create(arguments)?,
        Command::List(arguments) => list(arguments)?,
        Command::Revoke(arguments) => revoke(arguments)?,
    }
    Ok(Verdict::Good)
}

fn create(arguments: &Create) -> anyhow::Result<()> {
    let path = tokens_file(&arguments.sources)?;
    let now = system::now_seconds();
    let expires = arguments.expires.map(|expiry| expiry.from(now));
    if expires.is_some_and(|expires| expires <= now) {
        bail!("`--expires` is not after now");
    }
    let mut random = Zeroizing::new([0; 32]);
    system::fill_random(random.as_mut_slice())?;
    let token = Token::new(&random);
    let digest = token.digest();
    let record = TokenRecord {
        id: digest.id(),
        name: arguments.name.clone(),
        scopes: Scopes::of(arguments.scope.iter().map(|scope| scope.scope()))
            .context("`--scope` names none")?,
        digest,
        created: now,
        expires,
        revoked: None,
    };
    let (id, scopes) = (record.id.clone(), record.scopes.clone());
    // The holder's copy first: a token in the list that nobody has does no harm, but helps nobody.
    if let Some(out) = &arguments.out {
        write_new(out, token.expose())
            .with_context(|| format!("{} is not written", out.display()))?;
    }
    tokens::change(&path, |register| anyhow::Ok(register.add(record)?))?;
    if arguments.out.is_none() {
        output::data(token.expose())?;
    }
    output::talk(&format!(
        "made {id} ({scopes}); its text is shown this once, and kept nowhere"
    ));
    Ok(())
}

fn revoke(arguments: &Revoke) -> anyhow::Result<()> {
    let path = tokens_file(&arguments.sources)?;
    let now = system::now_seconds();
    let name = tokens::change(&path, |register| {
        anyhow::Ok(register.revoke(&arguments.id, now)?.name.clone())
    })?;
    output::talk(&format!("revoked {} ({name})", arguments.id));
    Ok(())
}

fn list(arguments: &List) -> anyhow::Result<()> {
    let now = system::now_seconds();
    let register = tokens::read(&tokens_file(&arguments.sources)?)?.unwrap_or_default();
    if arguments.json {
        let tokens: Vec<Listed<'_>> = register
            .iter()
            .map(|token| Listed::of(token, now))
            .collect();
        return Ok(output::data(&serde_json::to_string_pretty(&tokens)?)?);
    }
    if register.iter().next().is_none() {
        output::talk("there are no tokens; `avow tokens create` makes one");
    }
    for token in register.iter() {
        let Listed { id, status, .. } = Listed::of(token, now);
        let expires = token.expires.map_or_else(|| "never".to_owned(), shown);
        output::data(&format!(
            "{id}  {status:<7}  {:<18}  made {}  expires {expires:<20}  {}",
            token.scopes.to_string(),
            shown(token.created),
            token.name
        ))?;
    }
    Ok(())
}

/// A token as it is listed.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    name: &'a str,
    scopes: Vec<&'static str>,
    status: &'static str,
    created: i64,
    expires: Option<i64>,
    revoked: Option<i64>,
}

impl<'a> Listed<'a> {
    fn of(token: &'a TokenRecord, now: Timestamp) -> Self {
        Self {
            id: token.id.as_str(),
            name: token.name.as_str(),
            scopes: token.scopes.iter().map(scope::Scope::as_str).collect(),
            status: token.status(now).as_str(),
            created: token.created.0,
            expires: token.expires.map(|time| time.0),
            revoked: token.revoked.map(|time| time.0),
        }
    }
}

fn shown(time: Timestamp) -> String {
    DateTime::from_timestamp(time.0, 0).map_or_else(
        || time.0.to_string(),
        |time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

fn tokens_file(sources: &SourceArguments) -> anyhow::Result<PathBuf> {
    let settings = sources.with(Settings::load)?;
    let path = settings.tokens_file();
    path.context(
        "no data directory is set; give `--data-dir DIR`, AVOW_DATA_DIR, or `access.tokens_file`",
    )
}
