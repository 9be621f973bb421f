//! A command that works on a data directory or through a server, run by an operator.

use std::path::Path;
use std::process::{Command, Output};

use super::process::Process;
use super::server::{MASTER_KEY, SECRET};

/// Where it works.
#[derive(Clone, Copy)]
pub(crate) enum At<'at> {
    Directory(&'at Path),
    Server(&'at str),
}

impl<'at> At<'at> {
    /// Returns the server, if there is one, or else the data directory.
    pub(crate) fn of(server: Option<&'at Process>, directory: &'at Path) -> Self {
        server.map_or(Self::Directory(directory), |server| {
            Self::Server(server.url())
        })
    }
}

/// Runs a command there, in the test-mode world, as `ada`.
pub(crate) fn avow(arguments: &[&str], at: At<'_>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avow"));
    command.args(arguments).env_clear();
    command.args(["--actor", "ada", "--reason", "a test"]);
    command.args(["--livemode", "false"]);
    match at {
        At::Directory(directory) => command
            .arg("--data-dir")
            .arg(directory)
            .args([
                "--set",
                "log.ballast_bytes=0",
                "--set",
                "log.disk_free_bytes_min=1048576",
            ])
            .env("AVOW_MASTER_KEY", MASTER_KEY)
            .env("AVOW_WEBHOOK_SECRETS", SECRET),
        At::Server(url) => command.args(["--server", url]),
    };
    command.output().unwrap()
}

/// Returns what a command said beside its data.
pub(crate) fn told(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}
