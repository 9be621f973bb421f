//! Stripe's own clients as witnesses: what they sign is accepted, what is tampered with is not, and they accept what
//! we sign. `tests/witnesses/install` brings them; a person may do without, continuous integration may not.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use avow::stripe::secret::Secret;
use avow::stripe::signature::{Delivery, authenticate, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use state_machine::time::{ReceivedAt, Timestamp};
use tempfile::tempdir;

use crate::support;
use crate::support::server::Server;
use crate::support::tools::is_present;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SECRET: &str = "whsec_test_secret";
const NOW: i64 = 1_760_000_000;

/// A delivery that one of Stripe's clients signed, and that may have been tampered with since.
pub(crate) struct WitnessedDelivery {
    /// Which client, which event, and what was done to it.
    pub(crate) name: String,
    /// The `Stripe-Signature` header.
    pub(crate) header: String,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// Whether it is genuine, and so has to be accepted.
    pub(crate) genuine: bool,
}

/// Returns what every installed client signs at `now`: each constructed event, genuine and tampered with in each way.
pub(crate) fn deliveries(secret: &str, now: i64) -> Vec<WitnessedDelivery> {
    let events = format!("{ROOT}/tests/fixtures/stripe/events/events-constructed.json");
    let signed_by = |witness: &Witness| {
        let lines = witness.run(&["sign", secret, &now.to_string(), &events], "");
        lines
            .lines()
            .map(|line| read(witness, line))
            .collect::<Vec<_>>()
    };
    witnesses().iter().flat_map(signed_by).collect()
}

#[test]
fn what_stripes_clients_sign_is_authentic_and_what_is_tampered_with_is_not() {
    let secrets = Secret::new(SECRET).unwrap().into();

    for delivery in deliveries(SECRET, NOW) {
        let verdict = authenticate(
            Delivery {
                signature_header: Some(delivery.header.as_bytes()),
                body: &delivery.body,
                received_at: ReceivedAt(NOW * 1000),
            },
            &secrets,
            300,
        );

        assert_eq!(
            verdict.is_ok(),
            delivery.genuine,
            "{}: {:?}",
            delivery.name,
            verdict.err()
        );
    }
}

#[test]
fn a_server_takes_what_stripes_clients_sign_and_nothing_that_is_tampered_with() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());

    for delivery in deliveries(SECRET, avow::system::now_seconds().0) {
        let response = server.deliver(&support::delivery::Delivery {
            body: delivery.body,
            header: delivery.header,
        });

        let expected = if delivery.genuine { 200 } else { 400 };
        assert_eq!(response.status(), expected, "{}", delivery.name);
    }
}

#[test]
fn stripes_clients_accept_what_we_sign_and_nothing_else() {
    let sign = |secret, body: &str| {
        sign(
            &Secret::new(secret).unwrap(),
            Timestamp(NOW),
            body.as_bytes(),
        )
    };
    let ours = |body| sign(SECRET, body);
    let empty_object_later = ours("{}").replace("t=1760", "t=1761");
    #[rustfmt::skip]
    let rows = [
        (ours(""),                        "",                        "accept"),
        (ours("{}"),                      "{}",                      "accept"),
        (ours("{\"id\":\"evt_1\"}\r\n"),  "{\"id\":\"evt_1\"}\r\n",  "accept"),
        (ours("żółć 🦀"),                 "żółć 🦀",                 "accept"),
        (ours("{}"),                      "{} ",                     "reject"),
        (empty_object_later,              "{}",                      "reject"),
        (sign("whsec_other", "{}"),       "{}",                      "reject"),
    ];
    let lines = rows.clone().map(|(header, body, expected)| {
        json!({"name": expected, "header": header, "body_b64": STANDARD.encode(body)}).to_string()
    });

    for witness in witnesses() {
        let verdicts = witness.run(&["authenticate", SECRET], &lines.join("\n"));

        let verdicts: Vec<Verdict> = verdicts
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(verdicts.len(), rows.len(), "{}", witness.name);
        for Verdict { name, verdict } in verdicts {
            assert_eq!(verdict, name, "{}", witness.name);
        }
    }
}

/// One of Stripe's clients, with the script that asks it.
struct Witness {
    name: &'static str,
    program: PathBuf,
    script: &'static str,
    /// What exists once it is installed.
    installed: PathBuf,
    modules: PathBuf,
}

impl Witness {
    fn run(&self, arguments: &[&str], input: &str) -> String {
        let mut child = Command::new(&self.program)
            .arg(format!("{ROOT}/tests/witnesses/{}", self.script))
            .args(arguments)
            .env("NODE_PATH", &self.modules)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "the witness {} failed", self.name);
        String::from_utf8(output.stdout).unwrap()
    }
}

#[derive(Deserialize)]
struct Verdict {
    name: String,
    verdict: String,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    header: String,
    body_b64: String,
    expect: String,
}

fn read(witness: &Witness, line: &str) -> WitnessedDelivery {
    let line: Line = serde_json::from_str(line).unwrap();
    WitnessedDelivery {
        name: format!("{} {}", witness.name, line.name),
        header: line.header,
        body: STANDARD.decode(line.body_b64).unwrap(),
        genuine: line.expect == "accept",
    }
}

/// Returns the witnesses that are installed. That one is missing is said aloud, and is a failure under `CI=true`.
fn witnesses() -> Vec<Witness> {
    // Cargo's folder for the files of tests stands directly in the target directory, as the witnesses' folder does.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("witnesses");
    let modules = folder.join("node_modules");
    let witnesses = [
        Witness {
            name: "python",
            program: folder.join("python/bin/python"),
            script: "witness.py",
            installed: folder.join("python.installed"),
            modules: modules.clone(),
        },
        Witness {
            name: "node",
            program: "node".into(),
            script: "witness.js",
            installed: folder.join("node.installed"),
            modules,
        },
    ];
    witnesses
        .into_iter()
        .filter(
            |Witness {
                 name, installed, ..
             }| {
                let client = format!("Stripe's client for {name}");
                is_present(&client, installed.exists(), "tests/witnesses/install")
            },
        )
        .collect()
}
