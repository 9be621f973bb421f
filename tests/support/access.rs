//! Tokens, made by the real command, and a server that asks for them.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::{TempDir, tempdir};

use super::process::{Process, serve};

/// Runs `avow tokens …` on a data directory.
pub(crate) fn tokens(data: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_avow"))
        .arg("tokens")
        .args(arguments)
        .arg("--data-dir")
        .arg(data)
        .env_clear()
        .output()
        .unwrap()
}

/// Makes a token of some scopes.
pub(crate) fn create(data: &Path, scopes: &str, more: &[&str]) -> String {
    let arguments = [&["create", "--name", "a test", "--scope", scopes], more].concat();
    let output = tokens(data, &arguments);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim_end().into()
}

/// A server whose data directory has three tokens, one of each scope.
pub(crate) struct Guarded {
    pub(crate) server: Process,
    pub(crate) data: TempDir,
    pub(crate) read: String,
    pub(crate) audit: String,
    pub(crate) operate: String,
}

/// Starts such a server, with some settings.
pub(crate) fn guarded(settings: &[&str]) -> Guarded {
    let data = tempdir().unwrap();
    let [read, audit, operate] =
        ["read", "audit", "operate"].map(|scope| create(data.path(), scope, &[]));
    let mut command = serve(data.path());
    command.args(settings.iter().map(|setting| format!("--set={setting}")));
    let server = Process::of(command).unwrap();
    server.wait_until_caught_up();
    Guarded {
        server,
        data,
        read,
        audit,
        operate,
    }
}
