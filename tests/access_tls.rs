//! TLS: what the server shows, what it refuses to begin with, and how it changes without losing anybody.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use avow::client::Access;
use avow::tls::trust::Trust;
use reqwest::blocking::Client;
use tempfile::{TempDir, tempdir};

use crate::support::access::create;
use crate::support::process::{Process, serve};
use crate::support::server::SECRET;

/// Writes a certificate for 127.0.0.1 and its key.
fn write_identity(directory: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    fs::write(directory.join("key"), made.signing_key.serialize_pem()).unwrap();
    fs::write(directory.join("certificate"), made.cert.pem()).unwrap();
}

/// A directory with a certificate and its key.
fn identity() -> TempDir {
    let directory = tempdir().unwrap();
    write_identity(directory.path());
    directory
}

/// Puts the certificate and the key of another directory in place, each whole.
fn replace(directory: &Path, by: &Path) {
    for name in ["key", "certificate"] {
        let new = directory.join("new");
        fs::copy(by.join(name), &new).unwrap();
        fs::rename(&new, directory.join(name)).unwrap();
    }
}

/// Returns `avow serve` with the certificate and the key of a directory.
fn secure(data: &Path, directory: &Path) -> Command {
    let mut command = serve(data);
    for (setting, name) in [("certificate_file", "certificate"), ("key_file", "key")] {
        let path = directory.join(name).display().to_string();
        command.arg(format!("--set=tls.{setting}={path}"));
    }
    command
}

/// Returns a client that trusts the certificate of a directory alone.
fn client(directory: &Path) -> Client {
    let trust = Trust::read(&directory.join("certificate")).unwrap();
    Client::builder()
        .tls_backend_preconfigured(trust.client_config().unwrap())
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

fn answers(client: &Client, server: &Process) -> bool {
    let answer = client.get(format!("{}/healthz", server.url())).send();
    answer.is_ok_and(|answer| answer.status() == 200)
}

#[test]
fn a_server_with_a_certificate_speaks_tls_and_nothing_else() {
    let (data, own, other) = (tempdir().unwrap(), identity(), identity());
    let server = Process::of(secure(data.path(), own.path())).unwrap();

    assert!(server.url().starts_with("https://"));
    assert!(answers(&client(own.path()), &server));
    assert!(
        !answers(&client(other.path()), &server),
        "another authority"
    );
    let plain = server.url().replace("https", "http");
    assert!(Client::new().get(plain).send().is_err());
}

#[test]
fn a_client_that_does_not_shake_hands_is_hung_up_on() {
    let (data, own) = (tempdir().unwrap(), identity());
    let mut command = secure(data.path(), own.path());
    command.arg("--set=http.head_timeout_seconds=1");
    let server = Process::of(command).unwrap();

    for half in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let mut stream = TcpStream::connect(server.url().trim_start_matches("https://")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        stream.write_all(half).unwrap();

        let mut told = Vec::new();
        let end = stream.read_to_end(&mut told);

        assert!(end.is_ok(), "the server does not hang up: {end:?}");
    }
}

#[test]
#[rustfmt::skip] // a table is read by its lines
fn a_certificate_that_cannot_be_used_keeps_the_server_from_starting_and_says_why() {
    let (own, other) = (identity(), identity());
    let at = |directory: &TempDir, name: &str| directory.path().join(name).display().to_string();
    let empty = own.path().join("empty");
    fs::write(&empty, "no PEM\n").unwrap();
    let empty = empty.display().to_string();
    let torn = own.path().join("torn");
    let whole = fs::read_to_string(own.path().join("certificate")).unwrap();
    fs::write(&torn, &whole[..whole.len() / 2]).unwrap();
    let torn = torn.display().to_string();
    let rows = [
        (at(&own, "certificate"), at(&other, "key"),   "cannot be used together"),
        (at(&own, "certificate"), at(&own, "none"),    "cannot be read as PEM"),
        (at(&own, "none"),        at(&own, "key"),     "cannot be read as PEM"),
        (empty,                   at(&own, "key"),     "there is no certificate in "),
        (torn,                    at(&own, "key"),     "cannot be read as PEM"),
        (at(&own, "certificate"), at(&own, "certificate"), "cannot be read as PEM"),
    ];
    for (certificate, key, sentence) in rows {
        let data = tempdir().unwrap();
        let mut command = serve(data.path());
        command.arg(format!("--set=tls.certificate_file={certificate}"));
        command.arg(format!("--set=tls.key_file={key}"));

        let refused = Process::of(command).err().expect("it does not serve");

        assert_eq!(refused.status.code(), Some(2));
        assert!(refused.stderr.contains(sentence), "{sentence}: {}", refused.stderr);
        assert!(!data.path().join("log").exists(), "nothing was opened");
    }

    let data = tempdir().unwrap();
    let mut half = serve(data.path());
    half.arg(format!("--set=tls.key_file={}", at(&own, "key")));
    let refused = Process::of(half).err().expect("it does not serve");
    assert!(refused.stderr.contains("go together"), "{}", refused.stderr);
}

#[test]
fn a_certificate_is_changed_under_load_without_a_failed_request() {
    let (data, own) = (tempdir().unwrap(), identity());
    let [first, second] = [identity(), identity()];
    replace(own.path(), first.path());
    let server = Process::of(secure(data.path(), own.path())).unwrap();
    let kept = client(first.path());
    assert!(answers(&kept, &server));
    // New connections, one for each request, by clients that trust both.
    let both = tempdir().unwrap();
    let pems = [&first, &second].map(|one| fs::read(one.path().join("certificate")).unwrap());
    fs::write(both.path().join("certificate"), pems.concat()).unwrap();
    let (stop, failed) = (AtomicBool::new(false), AtomicBool::new(false));

    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    if !answers(&client(both.path()), &server) {
                        failed.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
        for next in [&second, &first, &second] {
            replace(own.path(), next.path());
            while !answers(&client(next.path()), &server) {
                std::thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });

    assert!(!failed.load(Ordering::Relaxed), "{}", server.said());
    assert!(
        !answers(&client(first.path()), &server),
        "it is not shown any more"
    );
}

#[test]
fn an_open_connection_outlives_its_certificate() {
    let (data, own, next) = (tempdir().unwrap(), identity(), identity());
    let before = Trust::read(&own.path().join("certificate")).unwrap();
    let server = Process::of(secure(data.path(), own.path())).unwrap();
    let address = server.url().trim_start_matches("https://").to_owned();
    let config = Arc::new(before.client_config().unwrap());
    let name = "127.0.0.1".try_into().unwrap();
    let tls = rustls::ClientConnection::new(config, name).unwrap();
    let mut stream = rustls::StreamOwned::new(tls, TcpStream::connect(address).unwrap());
    let mut ask = || {
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        let mut byte = [0];
        while !text.ends_with("{\"status\":\"alive\"}") {
            stream.read_exact(&mut byte).unwrap();
            text.push(char::from(byte[0]));
        }
    };
    ask();

    replace(own.path(), next.path());
    while !answers(&client(next.path()), &server) {
        ask();
    }

    ask();
}

#[test]
fn a_new_certificate_that_cannot_be_used_leaves_the_old_one_in_force_and_is_told_once() {
    let (data, own, next) = (tempdir().unwrap(), identity(), identity());
    let trusting_the_old = client(own.path());
    let server = Process::of(secure(data.path(), own.path())).unwrap();
    let sentence = "the certificate and its key stay as they were";

    // The certificate of one, the key of another.
    fs::copy(
        next.path().join("certificate"),
        own.path().join("certificate"),
    )
    .unwrap();
    server.wait_until_it_says(sentence);
    server.hang_up();
    server.wait_until_it_says("asked to take files anew");
    assert!(answers(&trusting_the_old, &server));

    fs::copy(next.path().join("key"), own.path().join("key")).unwrap();
    server.wait_until_it_says("the certificate and its key can be used again");
    assert!(answers(&client(next.path()), &server));
    assert_eq!(
        server.said().matches(sentence).count(),
        1,
        "{}",
        server.said()
    );
}

#[test]
fn commands_speak_tls_and_trust_whom_they_are_told_to_trust() {
    let (data, own) = (tempdir().unwrap(), identity());
    let token = create(data.path(), "read", &[]);
    let server = Process::of(secure(data.path(), own.path())).unwrap();
    let simulate = |more: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_avow"))
            .args([
                "simulate",
                "--to",
                server.url(),
                "--scenario=cancel",
                "--check",
            ])
            .args(more)
            .env_clear()
            .env("AVOW_WEBHOOK_SECRETS", SECRET)
            .env("AVOW_TOKEN", &token)
            .output()
            .unwrap()
    };
    let ca_file = format!("--ca-file={}", own.path().join("certificate").display());

    let trusting = simulate(&[&ca_file]);
    let not_trusting = simulate(&[]);

    let told = String::from_utf8_lossy(&trusting.stderr);
    assert_eq!(trusting.status.code(), Some(0), "{told}");
    assert_eq!(not_trusting.status.code(), Some(2));
}

#[test]
fn a_token_that_would_go_over_the_network_in_clear_is_remarked_on() {
    let said = |url: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_avow"))
            .args(["audit", "verify", url])
            .env_clear()
            .env("AVOW_TOKEN", "a_token")
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let sentence = "the token goes over the network in clear";

    assert!(said("http://no-such-host.invalid").contains(sentence));
    for quiet in [
        "http://127.0.0.1:1",
        "http://localhost:1",
        "https://no-such-host.invalid",
    ] {
        assert!(!said(quiet).contains(sentence), "{quiet}");
    }
}

#[test]
fn whom_nobody_can_trust_is_told() {
    let directory = tempdir().unwrap();
    let empty = directory.path().join("empty");
    fs::write(&empty, "").unwrap();

    let error = Trust::read(&empty).err().unwrap().to_string();

    assert!(error.starts_with("there is no certificate in "), "{error}");
    assert!(Trust::read(&directory.path().join("none")).is_err());
    assert!(Access::default().client([], Duration::from_secs(1)).is_ok());
}
