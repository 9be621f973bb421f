//! Opening the data without serving them.

use anyhow::{Context, anyhow};

use super::output;
use crate::config::Configuration;
use crate::log::OpenError as LogError;
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
