//! A rebuild in a data directory that no server holds.

use anyhow::{Context, anyhow};
use state_machine::id::{SessionId, World};

use super::Arguments;
use crate::cli::opened;
use crate::config::Configuration;
use crate::http::rebuild_answer::Answer;
use crate::projections::bulk::watch::Priority;
use crate::projections::part::Part;
use crate::service::Service;
use crate::service::rebuilds::Wanted;
use crate::stripe::user_reference::UserReference;
use crate::system;

/// The data.
pub(super) struct Local {
    service: Service,
    default_world: World,
}

impl Local {
    pub(super) fn open(arguments: &Arguments) -> anyhow::Result<Self> {
        let configuration = arguments.sources.with(Configuration::load)?;
        let default_world = configuration.settings.default_world();
        let service = opened::open(configuration, "ask it with `--server URL`")?;
        Ok(Self {
            service,
            default_world,
        })
    }

    pub(super) fn begin(&self, arguments: &Arguments) -> anyhow::Result<Answer> {
        let world = arguments.world.or(self.default_world.clone())?;
        let part = match (&arguments.session, &arguments.user) {
            (Some(id), _) => {
                let id = SessionId::parse(id).context("`--session` is no id")?;
                Some(Part::Session(world, id))
            }
            (None, Some(reference)) => {
                let reference = UserReference::new(reference);
                let reference = reference.context("`--user` names no user")?;
                Some(Part::User(world, self.service.user_tag(&reference)))
            }
            (None, None) => None,
        };
        let wanted = Wanted {
            part,
            dry_run: arguments.dry_run,
        };
        let (access, on) = wanted.access();
        opened::record(&self.service, access, on, "avow rebuild")?;
        // Nobody else waits for this process.
        let begun = self.service.begin_rebuild(wanted, Priority::Ordinary)?;
        Ok(Answer::of(&begun, system::now()))
    }

    pub(super) fn look(&self, id: &str) -> anyhow::Result<Answer> {
        let rebuild = self.service.rebuild(id);
        let rebuild = rebuild.ok_or_else(|| anyhow!("the rebuild is not known any more"))?;
        Ok(Answer::of(&rebuild, system::now()))
    }

    pub(super) fn cancel(&self, id: &str) -> anyhow::Result<()> {
        let found = self.service.cancel_rebuild(id);
        found.map(drop).context("the rebuild is not known any more")
    }
}
