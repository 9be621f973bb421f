//! The flags of every command that asks a server.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use reqwest::Url;
use zeroize::Zeroizing;

use super::output;
use crate::client::{Access, BearerToken};
use crate::config;
use crate::tls::trust::Trust;

const VARIABLE: &str = "AVOW_TOKEN";

/// What to show a server, and whom to trust. There is no flag for the token itself: every user of a machine reads the
/// arguments of all its processes, and a shell keeps them.
#[derive(Debug, Args)]
pub(super) struct ServerAccess {
    /// Show the server the access token in this file [or set `AVOW_TOKEN`]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Trust the authorities whose certificates are in this file (PEM), and no others [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

impl ServerAccess {
    /// Reads what the flags and the environment name, to ask a server at this URL.
    pub(super) fn read(&self, server: &str) -> anyhow::Result<Access> {
        let access = Access {
            token: self.token()?,
            trust: self.trust()?,
        };
        if access.token.is_some() && Url::parse(server).is_ok_and(|url| is_overheard(&url)) {
            output::talk("the token goes over the network in clear: the URL is not https");
        }
        Ok(access)
    }

    fn token(&self) -> anyhow::Result<Option<BearerToken>> {
        let (text, place) = match &self.token_file {
            Some(path) => {
                let place = path.display().to_string();
                let text = fs::read_to_string(path).with_context(|| place.clone())?;
                (Some(text), place)
            }
            None => (config::environment(VARIABLE), VARIABLE.to_owned()),
        };
        let text = text.map(Zeroizing::new);
        let token = text.map(|text| BearerToken::parse(&text));
        token
            .transpose()
            .with_context(|| format!("{place} holds no token"))
    }

    fn trust(&self) -> anyhow::Result<Trust> {
        let trust = self.ca_file.as_deref().map(Trust::read).transpose()?;
        Ok(trust.unwrap_or_default())
    }
}

/// Says whether others may listen to what is sent there.
fn is_overheard(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let is_here = address.map_or(host == "localhost", |address| address.is_loopback());
    url.scheme() == "http" && !is_here
}
