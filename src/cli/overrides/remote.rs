//! An override through a server.

use serde_json::json;

use super::Request;
use crate::cli::custody::remote::{Server, answered};
use crate::http::overrides::{Answer, IDEMPOTENCY_KEY, REPLAYED};

/// Has it made, and returns what is told of it, and whether it was made before.
pub(super) fn make(server: &str, request: &Request<'_>) -> anyhow::Result<(Answer, bool)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let server = Server::at(server, &request.decision.access.read(server)?)?;
    runtime.block_on(ask(&server, request))
}

async fn ask(server: &Server, request: &Request<'_>) -> anyhow::Result<(Answer, bool)> {
    let decision = request.decision;
    let url = server.path(&["users", &decision.user, "overrides"], &decision.world)?;
    let mut body = json!({
        "action": request.action.as_str(), "actor": decision.actor, "reason": decision.reason,
    });
    let optional = [
        ("attempts", request.action.attempts().map(i64::from)),
        ("expires", request.expires.map(|expires| expires.0)),
    ];
    for (name, value) in optional {
        if let (Some(members), Some(value)) = (body.as_object_mut(), value) {
            members.insert(name.to_owned(), value.into());
        }
    }
    let mut asked = server.client.post(url).json(&body);
    if let Some(key) = &decision.idempotency_key {
        asked = asked.header(IDEMPOTENCY_KEY, key);
    }
    let response = answered(asked.send().await?).await?;
    let is_repeated = response.headers().contains_key(REPLAYED.as_str());
    Ok((response.json().await?, is_repeated))
}
