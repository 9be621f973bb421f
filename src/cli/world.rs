//! The flags that say in which world something is looked for.

use anyhow::Context;
use clap::Args;
use state_machine::id::{AccountId, World};

/// A world, as far as it is not the configured one.
#[derive(Debug, Args)]
pub(super) struct WorldArguments {
    /// Look in live mode or in test mode [default: as configured]
    #[arg(long, value_name = "BOOL")]
    livemode: Option<bool>,
    /// Look in this connected account; empty means the platform's own [default: as configured]
    #[arg(long, value_name = "ID")]
    account: Option<String>,
}

impl WorldArguments {
    /// Returns the world; what no flag says is as in `default`.
    pub(super) fn or(&self, default: World) -> anyhow::Result<World> {
        let account = match self.account.as_deref() {
            None => default.account,
            Some("") => None,
            Some(id) => Some(AccountId::parse(id).context("`--account` is no id")?),
        };
        Ok(World {
            livemode: self.livemode.unwrap_or(default.livemode),
            account,
        })
    }

    /// Returns the parameters that say the same to a server.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let livemode = self.livemode.map(|livemode| livemode.to_string());
        let account = self.account.clone();
        let all = [("livemode", livemode), ("account", account)];
        all.into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }
}
