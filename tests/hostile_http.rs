//! Malformed, ambiguous and abandoned HTTP on real sockets: it is refused or hung up on, no request is smuggled in behind
//! another, and whoever is honest is answered.

use std::io::Write;

use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::support::connection::{connect, read_to_the_end, statuses, told};
use crate::support::delivery::{Delivery, event};
use crate::support::server::Server;

/// What nobody may be answered who has hidden it in another request.
const SMUGGLED: &str = "GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n";

/// A server that has a second for each client.
fn impatient() -> (TempDir, Server) {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.http.connections_max = 8;
        settings.http.head_timeout_seconds = 1;
        settings.http.body_timeout_seconds = 1;
        settings.http.write_timeout_seconds = 1;
        settings.http.keep_alive_seconds = 1;
    });
    (directory, server)
}

fn check(server: &Server, rows: &[(&str, String, &[&str])]) {
    let mut wrong = Vec::new();
    for (name, bytes, expected) in rows {
        let told = told(&server.url(""), bytes.as_bytes());

        let found = statuses(&told);
        if found != *expected || told.contains("openapi") {
            wrong.push(format!("{name}: {found:?} instead of {expected:?}"));
        }
        assert_eq!(server.get_plain("/healthz").status(), 200, "after {name}");
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A delivery of an event of its own session.
fn delivery(number: usize) -> Delivery {
    let (id, session) = (format!("evt_{number}"), format!("vs_{number}"));
    Delivery::event(&event(&id, &session, "u", "created", 10))
}

/// Returns the bytes of a delivery's request.
fn request_of(delivery: &Delivery) -> String {
    let Delivery { header, body } = delivery;
    let (length, body) = (body.len(), str::from_utf8(body).unwrap());
    format!(
        "POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\nstripe-signature: {header}\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn a_head_that_is_none_is_refused_or_hung_up_on() {
    let (_directory, server) = impatient();
    let get = |line: &str, fields: &str| format!("{line}\r\nhost: x\r\n{fields}\r\n{SMUGGLED}");
    let field = |fields: &str| get("GET /healthz HTTP/1.1", fields);
    let many = |count: usize| "a: b\r\n".repeat(count);
    #[rustfmt::skip]
    let rows: [(&str, String, &[&str]); 24] = [
        ("method with a space",       get("G T /healthz HTTP/1.1", ""),               &["400"]),
        ("method of no letters",      get("\u{1}\u{2} /healthz HTTP/1.1", ""),        &["400"]),
        ("no target",                 get("GET HTTP/1.1", ""),                        &["400"]),
        ("no version",                get("GET /healthz", ""),                        &["400"]),
        ("HTTP/0.9",                  "GET /healthz\r\n\r\n".to_owned(),              &["400"]),
        ("HTTP/2 preface",            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),  &["400"]),
        ("version of the future",     get("GET /healthz HTTP/3.0", ""),               &["400"]),
        ("version in small letters",  get("GET /healthz http/1.1", ""),               &["400"]),
        ("NUL in the target",         get("GET /heal\0thz HTTP/1.1", ""),             &["400"]),
        ("space in the target",       get("GET /heal thz HTTP/1.1", ""),              &["400"]),
        ("NUL in a field",            field("a: \0\r\n"),                             &["400"]),
        ("field without a colon",     field("no colon\r\n"),                          &["400"]),
        ("field without a name",      field(": b\r\n"),                               &["400"]),
        ("space before the colon",    field("a : b\r\n"),                             &["400"]),
        ("folded field",              field("a: b\r\n c\r\n"),                        &["400"]),
        ("CR in a field",             field("a: b\rc: d\r\n"),                        &["400"]),
        ("more fields than 96",       field(&many(96)),                               &["431"]),
        ("a bomb of fields",          field(&many(50_000)),                           &["431"]),
        ("a target without end",      format!("GET /{}", "a".repeat(200_000)),        &["431"]),
        ("a field without end",       format!("GET / HTTP/1.1\r\na: {}", "a".repeat(200_000)), &["431"]),
        ("TLS",                       "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".to_owned(),    &["400"]),
        ("SSH",                       "SSH-2.0-OpenSSH\r\n".to_owned(),               &["400"]),
        ("JSON alone",                "{\"id\":\"evt_1\"}\r\n\r\n".to_owned(),        &["400"]),
        ("nothing but line breaks",   "\r\n".repeat(10_000),                          &["408"]),
    ];

    check(&server, &rows);
}

#[test]
fn a_request_whose_length_is_in_doubt_is_refused_and_nothing_behind_it_is_answered() {
    let (_directory, server) = impatient();
    let post = |fields: &str, body: &str| {
        format!("POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\n{fields}\r\n{body}{SMUGGLED}")
    };
    let chunked = |body: &str| post("transfer-encoding: chunked\r\n", body);
    #[rustfmt::skip]
    let rows: [(&str, String, &[&str]); 20] = [
        ("two lengths",               post("content-length: 0\r\ncontent-length: 5\r\n", "abcde"), &["400"]),
        ("one length twice",          post("content-length: 5\r\ncontent-length: 5\r\n", "abcde"), &["400"]),
        ("lengths in a list",         post("content-length: 5, 5\r\n", "abcde"),                   &["400"]),
        ("length and chunks",         post("content-length: 5\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), &["400"]),
        ("chunks and length",         post("transfer-encoding: chunked\r\ncontent-length: 5\r\n", "0\r\n\r\n"), &["400"]),
        ("length with a sign",        post("content-length: +5\r\n", "abcde"),                     &["400"]),
        ("negative length",           post("content-length: -1\r\n", ""),                          &["400"]),
        ("length in hexadecimal",     post("content-length: 0x5\r\n", "abcde"),                    &["400"]),
        ("length beyond 64 bits",     post("content-length: 99999999999999999999\r\n", ""),        &["400"]),
        ("no length at all",          post("content-length: \r\n", ""),                            &["400"]),
        ("chunked twice",             post("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "0\r\n\r\n"), &["400"]),
        ("chunked, then identity",    post("transfer-encoding: chunked, identity\r\n", "0\r\n\r\n"), &["400"]),
        ("an encoding nobody knows",  post("transfer-encoding: xchunked\r\n", "0\r\n\r\n"),        &["400"]),
        ("chunked after a tab",       post("transfer-encoding:\u{b}chunked\r\n", "0\r\n\r\n"),     &["400"]),
        ("a size of no digits",       chunked("xyz\r\n"),                                          &["400"]),
        ("a size with a sign",        chunked("-1\r\n"),                                           &["400"]),
        ("a size beyond 64 bits",     chunked("fffffffffffffffff\r\n"),                            &["400"]),
        ("a chunk that goes on",      chunked("1\r\nabc\r\n0\r\n\r\n"),                            &["400"]),
        ("a size that ends in LF",    chunked("1\na\r\n0\r\n\r\n"),                                &["400"]),
        ("chunks in HTTP/1.0",        chunked("0\r\n\r\n").replacen("HTTP/1.1", "HTTP/1.0", 1),    &["400"]),
    ];

    check(&server, &rows);
}

#[test]
fn a_strange_head_that_is_not_in_doubt_is_answered_as_what_it_is() {
    let (_directory, server) = impatient();
    let close = "host: x\r\nconnection: close\r\n\r\n";
    #[rustfmt::skip]
    let rows: [(&str, String, &[&str]); 7] = [
        ("absolute form",           format!("GET http://x/healthz HTTP/1.1\r\n{close}"),    &["200"]),
        ("another host's",          format!("GET http://y/healthz HTTP/1.1\r\n{close}"),    &["200"]),
        ("asterisk form",           format!("OPTIONS * HTTP/1.1\r\n{close}"),               &["404"]),
        ("a tunnel",                format!("CONNECT x:443 HTTP/1.1\r\n{close}"),           &["404"]),
        ("a method nobody has",     format!("BREW /healthz HTTP/1.1\r\n{close}"),           &["405"]),
        ("HTTP/1.0",                "GET /healthz HTTP/1.0\r\n\r\n".to_owned(),             &["200"]),
        ("lines that end in LF",    format!("GET /healthz HTTP/1.1\r\n{close}").replace('\r', ""), &["200"]),
    ];

    check(&server, &rows);
}

#[test]
fn requests_that_are_sent_at_once_are_answered_in_order() {
    let (_directory, server) = impatient();
    let mut stream = connect(&server.url(""));
    let requests = (0..50).map(|number| {
        let read =
            format!("GET /v1/sessions/vs_{number}?livemode=false HTTP/1.1\r\nhost: x\r\n\r\n");
        request_of(&delivery(number)) + &read
    });
    let requests: Vec<String> = requests.collect();

    stream.write_all(requests.concat().as_bytes()).unwrap();
    let told = read_to_the_end(&mut stream);

    assert_eq!(statuses(&told), vec!["200"; 100]);
    let bodies = told.split("HTTP/1.1 200").skip(1);
    let bodies = bodies.map(|answer| answer.split_once("\r\n\r\n").unwrap().1);
    let bodies: Vec<Value> = bodies
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    for (number, answers) in bodies.chunks(2).enumerate() {
        assert_eq!(answers[0]["sequence"], number);
        assert_eq!(answers[1]["id"], format!("vs_{number}"));
    }
}

#[test]
fn clients_that_vanish_leave_their_places_to_others_and_what_they_had_delivered_is_kept() {
    let (_directory, server) = impatient();
    // At each part of a head and of a body one client hangs up, and another never speaks again: the silent ones of either
    // alone would fill every place.
    let mut silent = Vec::new();
    for number in 0..16 {
        let request = request_of(&delivery(number));
        let head = request.find("\r\n\r\n").unwrap() + 4;
        let sent = match number {
            0..8 => head * number / 8,
            _ => head + (request.len() - head) * (number - 8) / 8,
        };
        for vanishes in [true, false] {
            let mut stream = connect(&server.url(""));
            stream.write_all(&request.as_bytes()[..sent]).unwrap();
            if !vanishes {
                silent.push(stream);
            }
        }
    }
    for number in 100..120 {
        let mut stream = connect(&server.url(""));
        stream
            .write_all(request_of(&delivery(number)).as_bytes())
            .unwrap();
    }

    for number in 100..120 {
        // Delivered or not yet, and recorded once in either case.
        server.record(&delivery(number));
    }

    assert_eq!(server.read_plain("/readyz")["entries"], 20);
    drop(silent);
}
