//! Slow, half-open and oversized clients, on real sockets: each is hung up on, whichever byte it keeps the server waiting
//! for, and honest ones are not.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use tempfile::{TempDir, tempdir};

use crate::support::connection::{self, read_to_the_end};
use crate::support::delivery::{Delivery, event};
use crate::support::server::Server;

const GET: &str = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A server that has a second for each client.
fn impatient() -> (TempDir, Server) {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.http.head_timeout_seconds = 1;
        settings.http.body_timeout_seconds = 1;
        settings.http.write_timeout_seconds = 1;
        settings.http.keep_alive_seconds = 1;
    });
    (directory, server)
}

fn connect(server: &Server) -> TcpStream {
    connection::connect(&server.url(""))
}

/// Returns the first answer.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("{\"status\":\"alive\"}") {
        stream.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    text
}

/// Counts the answers of a text.
fn answers(text: &str, status: &str) -> usize {
    text.matches(&format!("HTTP/1.1 {status}")).count()
}

#[test]
fn a_client_that_sends_nothing_or_half_a_first_head_is_hung_up_on() {
    let (_directory, server) = impatient();

    for sent in ["", "G", "GET /healthz HTTP/1.1\r\nhost: loc"] {
        let mut stream = connect(&server);
        stream.write_all(sent.as_bytes()).unwrap();

        let told = read_to_the_end(&mut stream);

        assert_eq!(answers(&told, "200"), 0, "{sent}");
    }
}

#[test]
fn a_client_that_sends_half_a_second_head_is_hung_up_on() {
    let (_directory, server) = impatient();

    for half in ["G", "GET /healthz HTTP/1.1\r\nhost: loc", "\r\n"] {
        let mut stream = connect(&server);
        stream.write_all(GET.as_bytes()).unwrap();
        read_answer(&mut stream);
        stream.write_all(half.as_bytes()).unwrap();

        assert_eq!(read_to_the_end(&mut stream), "", "{half}");
    }
}

#[test]
fn a_client_that_sends_half_a_second_head_with_the_first_is_answered_once_and_hung_up_on() {
    let (_directory, server) = impatient();
    let mut stream = connect(&server);

    let half = &GET[..GET.len() - 2];
    stream.write_all(format!("{GET}{half}").as_bytes()).unwrap();

    assert_eq!(answers(&read_to_the_end(&mut stream), "200"), 1);
}

#[test]
fn a_client_that_asks_again_in_time_is_answered_again_and_again() {
    let (_directory, server) = impatient();
    let mut stream = connect(&server);

    for _ in 0..20 {
        // In parts, as networks bring them.
        for part in GET.as_bytes().chunks(7) {
            stream.write_all(part).unwrap();
        }
        assert_eq!(answers(&read_answer(&mut stream), "200"), 1);
    }
    stream.write_all(GET.repeat(3).as_bytes()).unwrap();
    assert_eq!(answers(&read_to_the_end(&mut stream), "200"), 3);
}

#[test]
fn half_a_body_is_answered_408_and_a_body_that_nobody_reads_keeps_nobody() {
    let (_directory, server) = impatient();
    let head = |method: &str, path: &str, length: &str| {
        format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{length}\r\n\r\n")
    };
    let rows = [
        (
            head("POST", "/webhooks/stripe", "content-length: 100"),
            "408",
        ),
        (
            head("POST", "/webhooks/stripe", "transfer-encoding: chunked"),
            "408",
        ),
        (head("GET", "/healthz", "content-length: 100"), "200"),
        (head("GET", "/healthz", "transfer-encoding: chunked"), "200"),
    ];
    for (request, status) in rows {
        let mut stream = connect(&server);
        stream.write_all(request.as_bytes()).unwrap();
        stream.write_all(b"5\r\nhalf").unwrap();

        let told = read_to_the_end(&mut stream);

        assert_eq!(answers(&told, status), 1, "{request}{told}");
    }
}

#[test]
fn a_client_that_has_said_all_that_it_will_is_answered_and_one_that_has_not_is_hung_up_on() {
    let (_directory, server) = impatient();
    for (sent, count) in [(GET, 1), (&GET[..20], 0), ("", 0)] {
        let mut stream = connect(&server);
        stream.write_all(sent.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();

        assert_eq!(
            answers(&read_to_the_end(&mut stream), "200"),
            count,
            "{sent}"
        );
    }
}

#[test]
fn a_head_that_is_too_large_is_answered_431() {
    let (_directory, server) = impatient();
    let mut stream = connect(&server);
    let head = format!(
        "GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: {}",
        "x".repeat(200 * 1024)
    );

    // The server may have hung up before all of it is sent.
    drop(stream.write_all(head.as_bytes()));

    assert_eq!(answers(&read_to_the_end(&mut stream), "431"), 1);
}

#[test]
fn a_client_that_reads_none_of_its_answers_is_hung_up_on() {
    let (_directory, server) = impatient();
    let mut stream = connect(&server);
    let requests = GET.repeat(100);

    // Sooner or later nothing can be sent, for the server waits to be read; and then it hangs up.
    let error = loop {
        if let Err(error) = stream.write_all(requests.as_bytes()) {
            break error;
        }
    };

    let kinds = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(kinds.contains(&error.kind()), "{error}");
}

#[test]
fn clients_that_are_hung_up_on_keep_nobody_from_being_served() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.http.connections_max = 8;
        settings.http.head_timeout_seconds = 1;
        settings.http.keep_alive_seconds = 1;
    });
    let slow: Vec<TcpStream> = (0..32)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(b"GET /hea").unwrap();
            stream
        })
        .collect();

    let sequence = server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "u", "created", 10,
    )));

    assert_eq!(sequence, 0);
    drop(slow);
}
