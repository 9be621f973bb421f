//! An override in a data directory that no server holds.

use anyhow::Context;
use crossbeam_channel::bounded;

use super::Request;
use crate::cli::opened;
use crate::config::Configuration;
use crate::http::overrides::{Answer, fresh_id};
use crate::log::{WantedOverride, Words};
use crate::stripe::user_reference::UserReference;

/// Makes it, and returns what is told of it, and whether it was made before.
pub(super) fn make(request: &Request<'_>) -> anyhow::Result<(Answer, bool)> {
    let decision = request.decision;
    let user = UserReference::new(&decision.user).context("`--user` is no user reference")?;
    let configuration = decision.sources.with(Configuration::load)?;
    let world = decision.world.or(configuration.settings.default_world())?;
    let service = opened::open(configuration, "ask it with `--server URL`")?;
    let wanted = WantedOverride {
        id: fresh_id()?,
        world,
        user: service.user_tag(&user),
        action: request.action,
        expires: request.expires,
        idempotency_key: request.idempotency_key.clone(),
    };
    let words = Words {
        actor: decision.actor.clone(),
        reason: decision.reason.clone(),
        token: None,
    };
    let (sender, answer) = bounded(1);
    service.make_override(&wanted, &words, request.now, move |made| {
        drop(sender.send(made));
    });
    let lost = "the log ended before it answered; look at the user's overrides, and ask again";
    let made = answer.recv().context(lost)??;
    let there = service.override_at(made.sequence).context(lost)?;
    let answer = Answer::of(&there, user.expose(), &wanted.world, wanted.user);
    Ok((answer, made.is_repeated))
}
