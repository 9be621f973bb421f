//! Metrics say what happened and what stands, in names that stay, and nothing of whom it concerns.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event, with_report};
use crate::support::server::Server;

const DOCUMENTED: &str = include_str!("../docs/watching.md");

/// The samples of a scrape, by their names and labels.
fn scrape(server: &Server) -> BTreeMap<String, String> {
    let response = server.get_plain("/metrics");
    assert_eq!(response.status(), 200);
    let text = response.text().unwrap();
    assert!(text.ends_with("# EOF\n"));
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.to_owned())
        })
        .collect()
}

fn number(samples: &BTreeMap<String, String>, name: &str) -> u64 {
    samples[name].parse().unwrap()
}

/// The metrics of a scrape, with their types.
fn described(server: &Server) -> BTreeSet<(String, String)> {
    let text = server.get_plain("/metrics").text().unwrap();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffix = if kind == "counter" { "_total" } else { "" };
            (format!("{name}{suffix}"), kind.to_owned())
        })
        .collect()
}

/// The rows of the table in the documentation, and whether they are there with witnesses alone.
fn documented() -> BTreeMap<(String, String), bool> {
    DOCUMENTED
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| {
            let (name, rest) = line.split_once("` | ")?;
            let (kind, what) = rest.split_once(" | ")?;
            let key = (name.to_owned(), kind.to_owned());
            Some((key, what.ends_with("with witnesses |")))
        })
        .collect()
}

#[test]
fn each_delivery_is_counted_once_by_what_became_of_it() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let created = event("evt_1", "vs_1", "user_1", "created", 10);
    let other = with_report(event("evt_1", "vs_1", "user_1", "verified", 20), "vr_1");
    let foreign =
        json!({ "id": "evt_2", "object": "event", "type": "charge.succeeded", "created": 10 });
    let forged = Delivery {
        body: b"{}".to_vec(),
        ..Delivery::event(&created)
    };
    let before = scrape(&server);

    for delivery in [
        Delivery::event(&created),
        Delivery::event(&created),
        Delivery::event(&other),
        Delivery::event(&other),
        Delivery::of("no JSON"),
        Delivery::event(&foreign),
        forged,
    ] {
        server.deliver(&delivery);
    }

    let after = scrape(&server);
    let rows = [
        (r#"outcome="recorded",code="""#, "1"),
        (r#"outcome="duplicate",code="""#, "2"),
        (r#"outcome="conflict",code="""#, "1"),
        (r#"outcome="unreadable",code="""#, "1"),
        (r#"outcome="foreign",code="""#, "1"),
        (r#"outcome="refused",code="signature_mismatch""#, "1"),
    ];
    for (labels, count) in rows {
        let name = format!("avow_deliveries_total{{{labels}}}");
        let refusal_of_no_code_yet = labels.contains("refused");
        assert_eq!(
            before.contains_key(&name),
            !refusal_of_no_code_yet,
            "{name}"
        );
        assert_eq!(after[&name], count, "{name}");
    }
    assert_eq!(after["avow_log_entries"], "3");
    assert_eq!(after["avow_commit_entries_sum"], "3.0");
    assert_eq!(after["avow_projection_lag_entries"], "0");
    assert_eq!(after[r#"avow_anomalies{rule="conflicting_event"}"#], "1");
    assert_eq!(after[r#"avow_anomalies{rule="unreadable:not_json"}"#], "1");
    // A duplicate is a commit without a write.
    assert_eq!(number(&after, "avow_journal_sync_seconds_count"), 3);
    assert!(number(&after, "avow_commit_seconds_count") > 3);
}

#[test]
fn decisions_are_counted_by_outcome() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "user_1", "verified", 10,
    )));

    server.read("/v1/users/user_1");
    server.read("/v1/users/user_1");
    server.get("/v1/users/nobody");

    let counts = scrape(&server);
    let of = |outcome| counts[&format!(r#"avow_decisions_total{{outcome="{outcome}"}}"#)].as_str();
    assert_eq!((of("already_verified"), of("allowed")), ("2", "0"));
}

#[test]
fn no_label_holds_what_a_client_chose() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    server.record(&Delivery::event(&event(
        "evt_chosen",
        "vs_chosen",
        "user_chosen",
        "verified",
        10,
    )));
    for path in [
        "/v1/users/user_chosen",
        "/v1/sessions/vs_chosen",
        "/v1/chosen",
        "/tile/0/chosen",
    ] {
        server.get_plain(path);
    }
    let chosen = reqwest::Method::from_bytes(b"CHOSEN").unwrap();
    let request = server.client().request(chosen, server.url("/healthz"));
    request.send().unwrap();

    let text = server.get_plain("/metrics").text().unwrap();

    assert!(!text.to_lowercase().contains("chosen"), "{text}");
    let count = |labels: &str| {
        let name = format!("avow_http_request_seconds_count{{{labels}}} 1");
        assert!(text.contains(&name), "{name} is not in\n{text}");
    };
    count(r#"route="/v1/users/{id}",method="GET",status="404""#);
    count(r#"route="none",method="GET",status="404""#);
    count(r#"route="/tile/{place:.*}",method="GET",status="404""#);
    count(r#"route="/healthz",method="other",status="405""#);
}

#[test]
fn a_service_without_space_says_so() {
    let directory = tempdir().unwrap();
    let server = Server::start_with(directory.path(), |settings| {
        settings.log.disk_free_bytes_min = 1 << 50;
    });
    let delivery = Delivery::event(&event("evt_1", "vs_1", "u", "created", 10));

    assert_eq!(server.deliver(&delivery).status(), 503);

    let counts = scrape(&server);
    let refused = r#"avow_deliveries_total{outcome="refused",code="disk_full"}"#;
    assert_eq!(counts[refused], "1");
    assert_eq!(
        (&*counts["avow_disk_full"], &*counts["avow_ready"]),
        ("1", "0")
    );
    assert!(number(&counts, "avow_disk_free_bytes") < number(&counts, "avow_disk_free_bytes_min"));
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    server.deliver(&Delivery::of("no JSON"));

    // The first scrape is not counted in itself.
    scrape(&server);
    let there = described(&server);

    let documented = documented();
    let missing = |(metric, with_witnesses): (&(String, String), &bool)| {
        (!with_witnesses && !there.contains(metric)).then(|| metric.clone())
    };
    let undocumented: Vec<_> = there
        .iter()
        .filter(|metric| !documented.contains_key(metric))
        .collect();
    assert_eq!(undocumented, Vec::<&(String, String)>::new());
    assert_eq!(
        documented.iter().filter_map(missing).collect::<Vec<_>>(),
        []
    );
}
