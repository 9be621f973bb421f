//! The real binary in a process of its own: it can be killed, and its calls to the system can be watched and broken.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use reqwest::blocking::{Client, Response};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::{Value, json};

use super::delivery::Delivery;
use super::server::{MASTER_KEY, SECRET};

/// A server that can be killed. It is, when it is dropped.
pub(crate) struct Process {
    child: Child,
    stderr: File,
    client: Client,
    url: String,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) id: u32,
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
}

/// Returns `avow serve` on a data directory: small files, a free port, and test mode as the world that is asked for.
pub(crate) fn serve(directory: &Path) -> Command {
    const SETTINGS: [&str; 5] = [
        "log.ballast_bytes=0",
        "log.disk_free_bytes_min=1048576",
        "log.journal_segment_bytes=8388608",
        "default_world.livemode=false",
        "http.workers=2",
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_avow"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory)
        .args(SETTINGS.map(|setting| format!("--set={setting}")))
        .env_clear()
        .env("AVOW_MASTER_KEY", MASTER_KEY)
        .env("AVOW_WEBHOOK_SECRETS", SECRET);
    command
}

impl Process {
    /// Starts a server that has to come up, and waits until it has caught up with its log.
    pub(crate) fn start(directory: &Path) -> Self {
        let process = Self::of(serve(directory)).expect("the server serves");
        process.wait_until_caught_up();
        process
    }

    /// Starts a server and waits until it serves, or has ended before.
    pub(crate) fn of(mut command: Command) -> Result<Self, Ended> {
        avow::tls::install_provider();
        let stderr = tempfile::tempfile().unwrap();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let mut process = Self {
            child,
            stderr,
            client: Client::builder()
                .timeout(Duration::from_secs(30))
                .build()
                .unwrap(),
            url: String::new(),
        };
        match line.trim_end().strip_prefix("listening on ") {
            Some(url) => {
                url.clone_into(&mut process.url);
                Ok(process)
            }
            None => Err(process.wait()),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it without a chance to do anything more.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// Has it do nothing more, and keep what it has.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets none of its files grow, and be written to, beyond so many bytes.
    pub(crate) fn limit_files(&self, bytes: u64) {
        let limit = Rlimit {
            current: Some(bytes),
            maximum: None,
        };
        prlimit(Some(Pid::from_child(&self.child)), Resource::Fsize, limit).unwrap();
    }

    /// Asks it to stop.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to take its files anew.
    pub(crate) fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Waits until it has said this on stderr.
    pub(crate) fn wait_until_it_says(&self, text: &str) {
        while !self.said().contains(text) {
            std::thread::yield_now();
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Returns what it has said on stderr so far.
    pub(crate) fn said(&self) -> String {
        let mut said = vec![0; usize::try_from(self.stderr.metadata().unwrap().len()).unwrap()];
        // Its own place in the file is where the process goes on to write.
        self.stderr.read_exact_at(&mut said, 0).unwrap();
        String::from_utf8(said).unwrap()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        let mut stderr = String::new();
        self.stderr.rewind().unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        let id = self.child.id();
        Ended { id, status, stderr }
    }

    /// Asks it to stop, and waits until it has done so well.
    pub(crate) fn stop(self) {
        self.terminate();
        let ended = self.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    }

    /// Sends a delivery; what breaks off the connection is an error.
    pub(crate) fn deliver(&self, delivery: &Delivery) -> reqwest::Result<Response> {
        let request = self.client.post(format!("{}/webhooks/stripe", self.url));
        request
            .header("Stripe-Signature", &delivery.header)
            .body(delivery.body.clone())
            .send()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        let url = format!("{}{path}", self.url);
        self.client.get(url).send().unwrap()
    }

    /// Sends a body; what breaks off the connection is an error.
    pub(crate) fn post(&self, path: &str, body: impl Into<Vec<u8>>) -> reqwest::Result<Response> {
        let url = format!("{}{path}", self.url);
        self.client.post(url).body(body.into()).send()
    }

    /// Asks for what has to be there.
    pub(crate) fn read(&self, path: &str) -> Value {
        let response = self.get(path);
        assert_eq!(response.status(), 200, "{path}");
        response.json().unwrap()
    }

    /// Sends JSON; what breaks off the connection is an error.
    pub(crate) fn post_json(&self, path: &str, body: &Value) -> reqwest::Result<Response> {
        let url = format!("{}{path}", self.url);
        self.client.post(url).json(body).send()
    }

    /// States something of a session; what breaks off the connection is an error.
    pub(crate) fn state(&self, session: &str, verb: &str) -> reqwest::Result<Response> {
        let words = json!({ "actor": "an operator", "reason": "a test" });
        let url = format!("{}/v1/sessions/{session}/{verb}", self.url);
        self.client.post(url).json(&words).send()
    }

    /// Makes an override of a user under an idempotency key; what breaks off the connection is an error.
    pub(crate) fn decide(
        &self,
        user: &str,
        wanted: &Value,
        key: &str,
    ) -> reqwest::Result<Response> {
        self.post_once(&format!("/v1/users/{user}/overrides"), wanted, key)
    }

    /// Sends JSON under an idempotency key; what breaks off the connection is an error.
    pub(crate) fn post_once(
        &self,
        path: &str,
        body: &Value,
        key: &str,
    ) -> reqwest::Result<Response> {
        let url = format!("{}{path}", self.url);
        let request = self.client.post(url).header("Idempotency-Key", key);
        request.json(body).send()
    }

    /// Waits until what was in the log when it started is projected, and returns how ready it is. A server serves before
    /// that, and refuses reads.
    pub(crate) fn wait_until_caught_up(&self) -> Value {
        loop {
            let ready: Value = self.get("/readyz").json().unwrap();
            if ready["projected"].is_u64() {
                return ready;
            }
        }
    }

    /// Waits until the log is projected, and returns how many entries it has.
    pub(crate) fn entries(&self) -> u64 {
        let ready = self.wait_until_caught_up();
        let entries = ready["entries"].as_u64().unwrap();
        if let Some(last) = entries.checked_sub(1) {
            self.read(&format!("/v1/anomalies?limit=1&min_sequence={last}"));
        }
        entries
    }

    /// Returns a list whole, page after page.
    pub(crate) fn list(&self, path: &str) -> Vec<Value> {
        let mut items: Vec<Value> = Vec::new();
        loop {
            let after = items.last().map_or_else(String::new, |last| {
                // An erased user has no id to go on from.
                let place = last.get("tag").unwrap_or(&last["id"]);
                format!("&starting_after={}", place.as_str().unwrap())
            });
            let page = self.read(&format!("{path}?limit=100{after}"));
            items.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["has_more"] == false {
                return items;
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail if it has ended: then nothing is left to do.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
