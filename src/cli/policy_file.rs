//! A retry policy from a file: the table `[retry]` of a configuration.

use std::path::Path;

use anyhow::Context;
use state_machine::retry::policy::Policy;

use crate::config::settings::Settings;
use crate::config::sources::Sources;

/// Returns the policy that a file describes; what it does not set is as by default.
pub(super) fn read(file: &Path) -> anyhow::Result<Policy> {
    load(Some(file)).with_context(|| format!("{} describes no retry policy", file.display()))
}

/// Returns the policy of the default configuration, or that of a file.
pub(super) fn read_or_default(file: Option<&Path>) -> anyhow::Result<Policy> {
    file.map_or_else(|| load(None), read)
}

fn load(file: Option<&Path>) -> anyhow::Result<Policy> {
    let settings = Settings::load(&Sources {
        file,
        environment: &|_| None,
        command_line: &[],
    })?;
    Ok(settings.retry_policy())
}
