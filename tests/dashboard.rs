//! The dashboard and the alert rules ask for metrics that are there, and no metric is without a place to look at it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event};
use crate::support::server::Server;
use crate::support::tools::is_present;

const DASHBOARD: &str = include_str!("../docs/grafana/avow.json");
const ALERTS: &str = include_str!("../docs/alerts.yml");
const DOCUMENTED: &str = include_str!("../docs/watching.md");

/// Returns the documented metrics, which tests/metrics.rs holds against a real scrape.
fn documented() -> BTreeSet<&'static str> {
    let rows = DOCUMENTED
        .lines()
        .filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| Some(row.split_once("` | ")?.0));
    names
        .filter(|name| name.starts_with("avow_") || name.starts_with("process_"))
        .collect()
}

/// Returns the metrics that an expression names: those of histograms without what their series end with.
fn named(expression: &str) -> BTreeSet<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let words = expression.split(|character| !is_part(character));
    let ours = words.filter(|word| word.starts_with("avow_") || word.starts_with("process_"));
    ours.map(|word| {
        let endings = ["_bucket", "_sum", "_count"];
        let series = endings.iter().find_map(|ending| word.strip_suffix(ending));
        series.unwrap_or(word).to_owned()
    })
    .collect()
}

fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array());
    let asked = targets.flatten().map(|target| &target["expr"]);
    asked
        .map(|expression| expression.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_dashboard_shows_every_metric_and_no_other() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();

    let shown: BTreeSet<String> = expressions(&dashboard)
        .iter()
        .flat_map(|expression| named(expression))
        .collect();

    let shown: BTreeSet<&str> = shown.iter().map(String::as_str).collect();
    assert_eq!(shown, documented());
}

#[test]
fn every_panel_says_what_it_shows_and_lies_over_no_other() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let place = &panel["gridPos"];
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| place[side].as_u64().unwrap());

        assert!(ids.insert(panel["id"].as_u64().unwrap()));
        assert!(x + w <= 24, "{}", panel["title"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{}", panel["title"]);
        }
        assert_ne!(panel["title"], "");
        let is_row = panel["type"] == "row";
        assert!(is_row || panel["description"].as_str().unwrap().len() > 3);
    }
}

#[test]
fn alerts_ask_for_metrics_that_are_there_and_say_what_to_do() {
    let mut count = 0;
    for rule in ALERTS.split("- alert: ").skip(1) {
        let part = |name: &str| {
            let lines = rule.lines().map(str::trim);
            let mut values = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            values.next().unwrap_or_else(|| panic!("{name} of {rule}"))
        };

        let named = named(part("expr"));
        let unknown: Vec<_> = named
            .iter()
            .filter(|name| !documented().contains(name.as_str()))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?} in {rule}");
        assert!(["{ severity: page }", "{ severity: ticket }"].contains(&part("labels")));
        assert!(part("summary").len() > 10 && part("description").len() > 20);
        count += 1;
    }
    assert!(count > 15);
}

#[test]
fn prometheus_itself_accepts_the_rules_and_a_scrape() {
    let found = Command::new("promtool").arg("--version").output().is_ok();
    if !is_present("promtool", found, "tests/tools/install") {
        return;
    }
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "u", "verified", 10,
    )));
    server.read("/v1/users/u");
    let scrape = server.get_plain("/metrics").bytes().unwrap();

    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/alerts.yml");
    let rules = Command::new("promtool")
        .args(["check", "rules"])
        .arg(rules)
        .output();
    let mut metrics = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    metrics.stdin.take().unwrap().write_all(&scrape).unwrap();
    let metrics = metrics.wait_with_output().unwrap();

    let rules = rules.unwrap();
    assert!(
        rules.status.success(),
        "{}",
        String::from_utf8_lossy(&rules.stderr)
    );
    // It reads the older format, in which a counter's help has to repeat `_total`; what Prometheus scrapes is OpenMetrics.
    let said = String::from_utf8([metrics.stdout, metrics.stderr].concat()).unwrap();
    let complaints = said
        .lines()
        .filter(|line| !line.ends_with("_total no help text"));
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new());
}
