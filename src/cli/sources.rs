//! The flags of every command that reads the configuration.

use std::path::PathBuf;

use clap::Args;

use crate::config;
use crate::config::sources::Sources;
use crate::doctor::quoted;

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub(super) struct SourceArguments {
    /// Read the settings from this TOML file [or set `AVOW_CONFIG`]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Keep the log and the projections in this directory (setting `data_dir`)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Serve on this address; port 0 takes any free one (setting `listen`)
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Set any setting, above the environment and the file; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl SourceArguments {
    /// Returns these flags as a shell reads them, for a command that is to be told.
    pub(super) fn as_flags(&self) -> String {
        let config = self.config.as_ref().map(|file| file.display().to_string());
        let flags = [
            ("--config", config.as_ref()),
            ("--data-dir", self.data_dir.as_ref()),
            ("--listen", self.listen.as_ref()),
        ];
        let flags = flags
            .into_iter()
            .filter_map(|(flag, value)| Some((flag, value?)));
        let sets = self.set.iter().map(|set| ("--set", set));
        let words = flags.chain(sets);
        let words = words.map(|(flag, value)| format!("{flag} {}", quoted(value)));
        words.collect::<Vec<_>>().join(" ")
    }

    /// Returns the configuration file, if one is named.
    pub(super) fn file(&self) -> Option<PathBuf> {
        let from_environment = || config::environment("AVOW_CONFIG").map(PathBuf::from);
        self.config.clone().or_else(from_environment)
    }

    /// Calls `read` with the sources that the flags, the environment and the file make up.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Sources<'_>) -> T) -> T {
        let file = self.file();
        let flags = [("data_dir", &self.data_dir), ("listen", &self.listen)];
        let flags = flags
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key}={}", value.as_ref()?)));
        let command_line: Vec<String> = flags.chain(self.set.iter().cloned()).collect();
        read(&Sources {
            file: file.as_deref(),
            environment: &config::environment,
            command_line: &command_line,
        })
    }
}
