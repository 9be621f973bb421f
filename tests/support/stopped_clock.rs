//! A clock for whole processes that stands still until it is set: libfaketime, which `tests/tools/install` brings.
//! The monotonic clock goes on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::tools;

/// Where Debian's package puts the library: in a folder named after the machine's kind.
const LIBRARIES: &str = "/usr/lib";
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

fn library() -> Option<PathBuf> {
    let folders = fs::read_dir(LIBRARIES).ok()?;
    let mut libraries = folders.map(|folder| folder.unwrap().path().join(LIBRARY));
    libraries.find(|library| library.exists())
}

/// Returns whether libfaketime is there. That it is missing is said aloud, and is a failure under `CI=true`.
pub(crate) fn is_present() -> bool {
    tools::is_present("faketime", library().is_some(), "tests/tools/install")
}

/// The clock of the processes that were told of it.
pub(crate) struct StoppedClock {
    file: PathBuf,
}

impl StoppedClock {
    /// Makes a clock in `directory` that says so many seconds.
    pub(crate) fn in_directory(directory: &Path, seconds: i64) -> Self {
        let clock = Self {
            file: directory.join("clock"),
        };
        clock.set(seconds);
        clock
    }

    /// Sets it, in one moment.
    pub(crate) fn set(&self, seconds: i64) {
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{seconds}\n")).unwrap();
        fs::rename(next, &self.file).unwrap();
    }

    /// Has a process go by it.
    pub(crate) fn tell(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", library().unwrap())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_FMT", "%s")
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_DISABLE_SHM", "1");
    }
}
