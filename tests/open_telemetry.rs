//! Spans of deliveries reach a collector, tell each step of the way, and nothing of whom it concerns.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_error};
use crate::support::process::{Process, serve};
use crate::support::server::SECRET;

/// A collector that takes whatever it is sent.
struct Collector {
    url: String,
    bodies: Receiver<Vec<u8>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, bodies) = channel();
        thread::spawn(move || {
            for connection in listener.incoming() {
                let sender = sender.clone();
                thread::spawn(move || take(connection.unwrap(), &sender));
            }
        });
        Self { url, bodies }
    }

    /// Returns what was sent by a process that has ended.
    fn collected(self) -> Vec<Vec<u8>> {
        self.bodies.try_iter().collect()
    }
}

/// Answers one request after the other, as long as the connection lasts.
fn take(connection: TcpStream, sender: &Sender<Vec<u8>>) {
    let mut reader = BufReader::new(connection);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_ascii_lowercase());
        }
        assert!(head[0].starts_with("post /v1/traces "), "{head:?}");
        assert!(head.contains(&"content-type: application/x-protobuf".to_owned()));
        let length = head
            .iter()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        sender.send(body).unwrap();
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        reader.get_mut().write_all(answer).unwrap();
    }
}

fn start(directory: &std::path::Path, collector: &str) -> Process {
    let mut command = serve(directory);
    command.arg(format!("--set=trace.otlp_endpoint={collector}"));
    Process::of(command).expect("the server serves")
}

fn spans(bodies: &[Vec<u8>]) -> Vec<Span> {
    let requests = bodies
        .iter()
        .map(|body| ExportTraceServiceRequest::decode(body.as_slice()).unwrap());
    let resources = requests.flat_map(|request| request.resource_spans);
    let scopes = resources.flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

/// Returns the whole numbers that a span tells, by name.
fn numbers(span: &Span) -> BTreeMap<&str, i64> {
    let attributes = span.attributes.iter();
    attributes
        .filter_map(|attribute| {
            let Value::IntValue(number) = attribute.value.as_ref()?.value.as_ref()? else {
                return None;
            };
            Some((attribute.key.as_str(), *number))
        })
        .collect()
}

/// Returns the whole of each delivery: its own numbers, and the names of its steps.
fn deliveries(spans: &[Span]) -> Vec<(BTreeMap<&str, i64>, BTreeSet<&str>)> {
    let roots = spans.iter().filter(|span| span.parent_span_id.is_empty());
    roots
        .map(|root| {
            assert_eq!(root.name, "POST /webhooks/stripe");
            let steps = spans.iter().filter(|span| {
                span.parent_span_id == root.span_id && span.trace_id == root.trace_id
            });
            let names = steps.map(|step| {
                assert!(step.start_time_unix_nano >= root.start_time_unix_nano);
                assert!(step.end_time_unix_nano >= step.start_time_unix_nano);
                step.name.as_str()
            });
            (numbers(root), names.collect())
        })
        .collect()
}

#[test]
fn a_delivery_is_told_step_by_step_and_says_nothing_of_whom_it_concerns() {
    let directory = tempdir().unwrap();
    let collector = Collector::start();
    let server = start(directory.path(), &collector.url);
    let failed = with_error(
        event(
            "evt_marker",
            "vs_marker",
            "user_marker",
            "requires_input",
            10,
        ),
        "document_expired",
    );
    let delivery = Delivery::event(&failed);
    let forged = Delivery {
        body: b"{}".to_vec(),
        ..delivery.clone()
    };

    let answer: serde_json::Value = server.deliver(&delivery).unwrap().json().unwrap();
    let sequence = answer["sequence"].as_i64().unwrap();
    assert_eq!(server.deliver(&forged).unwrap().status(), 400);
    server.stop();

    let bodies = collector.collected();
    let told = spans(&bodies);
    assert_eq!(
        deliveries(&told),
        [
            (
                BTreeMap::from([
                    ("entry.sequence", sequence),
                    ("http.response.status_code", 200)
                ]),
                BTreeSet::from(["receive", "authenticate", "decode", "append", "fold"]),
            ),
            (
                BTreeMap::from([("http.response.status_code", 400)]),
                BTreeSet::from(["receive", "authenticate"]),
            ),
        ]
    );
    for name in ["append", "fold"] {
        let step = told.iter().find(|span| span.name == name).unwrap();
        assert_eq!(numbers(step)["entry.sequence"], sequence, "{name}");
    }
    for body in &bodies {
        let text = String::from_utf8_lossy(body);
        for secret in ["marker", SECRET, "document_expired", "v1="] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        assert!(text.contains("service.name"));
    }
}

#[test]
fn a_collector_that_is_not_there_keeps_nobody_waiting() {
    let directory = tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let server = start(directory.path(), &format!("http://{}", nobody.unwrap()));
    let delivery = Delivery::event(&event("evt_1", "vs_1", "u", "verified", 10));

    assert_eq!(server.deliver(&delivery).unwrap().status(), 200);
    server.stop();
}
