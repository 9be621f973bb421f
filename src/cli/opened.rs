//! Opening the data without serving them.

use anyhow::{Context, anyhow};
use crossbeam_channel::bounded;

use super::output;
use crate::config::{self, Configuration};
use crate::log::OpenError as LogError;
use crate::log::Words;
use crate::log::access::{Access, AccessFact, Accessed, Accessor};
use crate::service::{OpenError, Service};
use crate::system;

/// Opens the service that a configuration describes, says what had to be mended, and waits until it has caught up.
/// `advice` is what to do if a server holds the data.
pub(super) fn open(configuration: Configuration, advice: &str) -> anyhow::Result<Service> {
    let Configuration {
        settings,
        data_dir,
        webhook_secrets,
        master_key,
        ..
    } = configuration;
    let shown = data_dir.display();
    if !data_dir.join("log").is_dir() {
        return Err(anyhow!("there is no log in {shown}"));
    }
    let options = settings.service_options(
        webhook_secrets,
        master_key,
        system::fill_random,
        system::now,
    );
    let opened = Service::open(&data_dir, options);
    if let Err(OpenError::Log(LogError::InUse { .. })) = &opened {
        return Err(anyhow!("a server holds {shown}: {advice}"));
    }
    let (service, repairs) = opened.with_context(|| format!("cannot open the data in {shown}"))?;
    for repair in repairs {
        output::talk(&repair);
    }
    service.wait_until_caught_up();
    Ok(service)
}

/// Records what a command does with data that it has opened, and waits until that is durable.
pub(super) fn record(
    service: &Service,
    access: Access,
    on: Accessed,
    command: &str,
) -> anyhow::Result<()> {
    let access = AccessFact {
        by: Accessor::Local,
        access,
        on,
    };
    // What the system says of the account; who has the data directory and its keys can say anything.
    let account = config::environment("USER").or_else(|| config::environment("LOGNAME"));
    let words = Words {
        actor: account.unwrap_or_else(|| "whoever has the data directory".to_owned()),
        reason: command.to_owned(),
        token: None,
    };
    let (sender, recorded) = bounded(1);
    service.record_access(access, &words, move |outcome| drop(sender.send(outcome)));
    let lost = "the log ended before it had this on record";
    recorded.recv().context(lost)??;
    // What the command tells of the projections covers its own entry.
    service.wait_until_caught_up();
    Ok(())
}
