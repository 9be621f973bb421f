//! Statements in a data directory that no server holds.

use anyhow::Context;
use crossbeam_channel::bounded;
use state_machine::id::{SequenceNumber, SessionId, World};

use super::StatementArguments;
use crate::cli::opened;
use crate::config::Configuration;
use crate::http::custody::Answer;
use crate::log::Statement;
use crate::log::entry::SubjectName;
use crate::service::Service;
use crate::stripe::user_reference::UserReference;

/// States it of each subject, tells each answer, and returns how many there were.
pub(super) fn state(
    arguments: &StatementArguments,
    statement: Statement,
    tell: impl Fn(&Answer) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let configuration = arguments.sources.with(Configuration::load)?;
    let world = (arguments.world).or(configuration.settings.default_world())?;
    let service = opened::open(configuration, "ask it with `--server URL`")?;
    let subjects = subjects(&service, arguments, &world)?;
    for subject in &subjects {
        let (sender, answer) = bounded(1);
        service.state(
            subject.clone(),
            statement,
            &arguments.words(),
            move |stated| {
                drop(sender.send(stated));
            },
        );
        let stated = answer.recv().context(
            "this could not be finished; the next start of the service goes on with what was begun",
        )??;
        tell(&Answer::of(&service, subject, &stated))?;
    }
    Ok(subjects.len())
}

fn subjects(
    service: &Service,
    arguments: &StatementArguments,
    world: &World,
) -> anyhow::Result<Vec<SubjectName>> {
    let target = &arguments.target;
    let of_session = |id| SubjectName::Session(world.clone(), id);
    if let Some(id) = &target.session {
        let id = SessionId::parse(id).context("`--session` is no id")?;
        return Ok(vec![of_session(id)]);
    }
    if let Some(entry) = target.entry {
        return Ok(vec![SubjectName::Entry(SequenceNumber(entry))]);
    }
    let user = target.user.as_deref().and_then(UserReference::new);
    let user = user.context("`--user` is no user reference")?;
    let sessions = service.sessions_of_user(world, &user)?;
    Ok(sessions.into_iter().map(of_session).collect())
}
