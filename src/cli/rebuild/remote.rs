//! A rebuild through a server.

use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::{Client, Response, Url};
use serde::Deserialize;
use serde_json::json;

use super::Arguments;
use crate::client::{Access, server_url};
use crate::http::rebuild_answer::Answer;

/// How long the server may take for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The server.
pub(super) struct Remote {
    client: Client,
    url: Url,
}

#[derive(Deserialize)]
struct Refusal {
    error: Detail,
}

#[derive(Deserialize)]
struct Detail {
    code: String,
    message: String,
}

impl Remote {
    pub(super) fn at(url: &str, access: &Access) -> anyhow::Result<Self> {
        let url = server_url(url)?;
        let client = access.client([&url], TIMEOUT)?;
        Ok(Self { client, url })
    }

    pub(super) async fn begin(&self, arguments: &Arguments) -> anyhow::Result<Answer> {
        let mut url = self.path(&[])?;
        for (name, value) in arguments.world.parameters() {
            url.query_pairs_mut().append_pair(name, &value);
        }
        let Arguments {
            dry_run,
            session,
            user,
            ..
        } = arguments;
        let body = json!({ "dry_run": dry_run, "session": session, "user": user });
        answered(self.client.post(url).json(&body).send().await?).await
    }

    pub(super) async fn look(&self, id: &str) -> anyhow::Result<Answer> {
        answered(self.client.get(self.path(&[id])?).send().await?).await
    }

    pub(super) async fn cancel(&self, id: &str) -> anyhow::Result<()> {
        let request = self.client.post(self.path(&[id, "cancel"])?);
        let _cancelled: Answer = answered(request.json(&json!({})).send().await?).await?;
        Ok(())
    }

    /// Returns the URL of a path under `/v1/rebuilds`.
    fn path(&self, segments: &[&str]) -> anyhow::Result<Url> {
        let mut url = self.url.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow!("`{}` has no path", self.url))?
            .pop_if_empty()
            .extend(["v1", "rebuilds"])
            .extend(segments);
        Ok(url)
    }
}

/// Returns what a server answers, or what it says instead.
async fn answered(response: Response) -> anyhow::Result<Answer> {
    let status = response.status();
    if status.is_success() {
        return Ok(response.json().await?);
    }
    let refusal: Refusal = response
        .json()
        .await
        .with_context(|| format!("the server answered {status}"))?;
    let Detail { code, message } = refusal.error;
    Err(anyhow!("the server answered {status} ({code}): {message}"))
}
