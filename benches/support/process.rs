//! The real binary in a process of its own, whose memory can be looked at.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::server::{MASTER_KEY, SECRET};

/// A server that ends when it is dropped.
pub(crate) struct Process {
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Process {
    /// Starts `avow serve` on a data directory, with default settings but for these arguments.
    pub(crate) fn serve(directory: &Path, arguments: &[&str]) -> Self {
        avow::tls::install_provider();
        let mut child = Command::new(env!("CARGO_BIN_EXE_avow"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory)
            .args(arguments)
            .env_clear()
            .env("AVOW_MASTER_KEY", MASTER_KEY)
            .env("AVOW_WEBHOOK_SECRETS", SECRET)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim_end().strip_prefix("listening on http://");
        Self {
            address: address.unwrap().parse().unwrap(),
            child,
        }
    }

    /// Returns the KiB that it has in memory.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let words = line.unwrap().split_whitespace();
        words.take(1).map(|word| word.parse::<u64>().unwrap()).sum()
    }

    /// Returns how many entries its log has.
    pub(crate) fn entries(&self) -> u64 {
        let url = format!("http://{}/readyz", self.address);
        let ready: serde_json::Value = reqwest::blocking::get(url).unwrap().json().unwrap();
        ready["entries"].as_u64().unwrap()
    }

    /// Returns how many files and sockets it has open.
    pub(crate) fn open_files(&self) -> usize {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        files.unwrap().count()
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    /// Says whether it answers that it is ready.
    pub(crate) fn is_ready(&self) -> bool {
        let url = format!("http://{}/readyz", self.address);
        reqwest::blocking::get(url).unwrap().status() == 200
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
