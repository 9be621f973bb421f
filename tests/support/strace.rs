//! strace around the real binary: shows its calls to the system in their order, and breaks one of them.
//! `tests/tools/install` brings it; a person may do without, continuous integration may not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::tools;

/// How often the end of a trace is looked for, and how long in between.
const LOOKS: (u32, Duration) = (2_000, Duration::from_millis(5));

/// A call to the system.
#[derive(Debug)]
pub(crate) struct Call {
    /// The call as strace writes it, up to its result: `fdatasync(9</data/log/head>)`.
    pub(crate) text: String,
    /// The line on which it began.
    pub(crate) began: usize,
    /// The line on which it returned, if it succeeded.
    pub(crate) succeeded: Option<usize>,
}

/// Returns whether strace is there. That it is missing is said aloud, and is a failure under `CI=true`.
pub(crate) fn is_present() -> bool {
    let mut version = Command::new("strace");
    version.arg("--version").stdout(Stdio::null());
    let present = version.status().is_ok_and(|status| status.success());
    tools::is_present("strace", present, "tests/tools/install")
}

/// Where a trace is written.
pub(crate) struct Trace {
    path: PathBuf,
}

impl Trace {
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self {
            path: directory.join("strace.txt"),
        }
    }

    /// Wraps a command so that its `calls` (to one file, or to all) are watched, and broken as `fault` says in strace's
    /// words. The process that is started stays the command's own: strace watches it from aside.
    pub(crate) fn of(
        &self,
        command: &Command,
        file: Option<&Path>,
        calls: &str,
        fault: Option<&str>,
    ) -> Command {
        let mut traced = Command::new("strace");
        traced
            .args(["-D", "-f", "-y", "-x", "-s", "512", "-o"])
            .arg(&self.path)
            .arg(format!("--trace={calls}"))
            .args(file.map(|file| format!("--trace-path={}", file.display())))
            .args(fault.map(|fault| format!("--inject={fault}")))
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        traced
    }

    /// Returns the calls of a process that has ended, in the order in which they began.
    pub(crate) fn calls(&self) -> Vec<Call> {
        let trace = self.whole(None);
        let mut calls: Vec<Call> = Vec::new();
        let mut unfinished = HashMap::new();
        for (line, text) in trace.lines().enumerate() {
            let (thread, text) = text.split_once(' ').unwrap();
            let text = text.trim_start();
            if let Some(begun) = text.strip_suffix(" <unfinished ...>") {
                unfinished.insert(thread, calls.len());
                calls.push(call(begun, line));
            } else if text.starts_with("<... ") {
                let (_, rest) = text.split_once(" resumed>").unwrap();
                let call = &mut calls[unfinished.remove(thread).unwrap()];
                call.finish(rest, line);
            } else if !text.starts_with(['+', '-']) {
                let mut whole = call("", line);
                whole.finish(text, line);
                calls.push(whole);
            }
        }
        calls
    }

    /// Returns how often the fault struck the process of this id, which has ended.
    pub(crate) fn struck(&self, process: u32) -> usize {
        let trace = self.whole(Some(process));
        trace.matches("(INJECTED)").count()
    }

    /// Reads the trace once strace, which outlives the process for a moment, has written its end. Untold, the process is
    /// the one that called first.
    fn whole(&self, process: Option<u32>) -> String {
        let (looks, pause) = LOOKS;
        let told = process.map(|process| format!("{process} "));
        for _ in 0..looks {
            let trace = std::fs::read_to_string(&self.path).unwrap();
            let first = trace.split_once(' ').map(|(process, _)| process);
            let process = told.as_deref().or(first);
            let last = trace.lines().next_back().unwrap_or_default();
            if process.is_some_and(|process| last.starts_with(process)) && last.ends_with(" +++") {
                return trace;
            }
            std::thread::sleep(pause);
        }
        panic!("{} has no end", self.path.display());
    }
}

fn call(text: &str, began: usize) -> Call {
    Call {
        text: text.to_owned(),
        began,
        succeeded: None,
    }
}

impl Call {
    fn finish(&mut self, rest: &str, line: usize) {
        let (rest, result) = rest.rsplit_once(" = ").unwrap_or((rest, "?"));
        self.text.push_str(rest.trim_end());
        self.succeeded = (!result.starts_with(['-', '?'])).then_some(line);
    }
}
