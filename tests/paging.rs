//! Paging: whoever walks a list page by page, in either direction, sees every item of it once and in its order.

use avow::cli::simulation::population::Population;
use avow::cli::simulation::scenario::Delivery as Sent;
use avow::cli::simulation::scenarios::SCENARIOS;
use serde_json::Value;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event};
use crate::support::server::Server;

const LISTS: [&str; 12] = [
    "/v1/users?",
    "/v1/users?status=requires_input&",
    "/v1/users?decision=allowed&",
    "/v1/users?status=verified&decision=already_verified&",
    "/v1/sessions?",
    "/v1/sessions?status=requires_input&",
    "/v1/sessions?status=verified&",
    "/v1/sessions?status=processing&age_seconds_min=3600&",
    "/v1/sessions?as_of=100&",
    "/v1/sessions?as_of=100&status=requires_input&",
    "/v1/users?as_of=100&",
    "/v1/anomalies?",
];

/// Delivers every scenario, sessions that tie in every time, and bodies that belong to no world.
fn deliver(server: &Server) {
    let start = avow::system::now_seconds().plus_seconds(-40_000);
    let population = Population { seed: 5, start };
    for message in population.messages(SCENARIOS, 2) {
        if message.delivery != Sent::Forged {
            server.record(&Delivery::of(message.body));
        }
    }
    for number in 0..5 {
        let (id, session) = (format!("evt_tie_{number}"), format!("vs_tie_{number}"));
        let tie = event(&id, &session, &session, "processing", 1_760_000_060);
        server.record(&Delivery::event(&tie));
        server.record(&Delivery::of(format!("no JSON {number}")));
    }
}

fn ids(page: &Value) -> Vec<String> {
    // A user whose name cannot be read any more is named by tag.
    let name = |item: &Value| match item["id"].as_str() {
        Some("[redacted]") => item["tag"].clone(),
        _ => item["id"].clone(),
    };
    let id = |item: &Value| name(item).as_str().unwrap().to_owned();
    page["data"].as_array().unwrap().iter().map(id).collect()
}

/// Walks a list by pages of which all but the last are full, and returns its ids in the order of the list.
fn walk(
    server: &Server,
    list: &str,
    (count, limit): (usize, usize),
    end: Option<&str>,
) -> Vec<String> {
    let mut walked = Vec::new();
    let mut position = end
        .map(|id| format!("&ending_before={id}"))
        .unwrap_or_default();
    for more in (0..count.div_ceil(limit)).rev() {
        let page = server.read(&format!("{list}limit={limit}{position}"));
        let items = ids(&page);
        assert_eq!(page["has_more"], more > 0, "{list}limit={limit}{position}");
        assert_eq!(
            items.len(),
            limit.min(count - walked.len()),
            "{list}limit={limit}{position}"
        );
        position = match end {
            Some(_) => format!("&ending_before={}", items[0]),
            None => format!("&starting_after={}", items[items.len() - 1]),
        };
        let place = if end.is_some() { 0 } else { walked.len() };
        walked.splice(place..place, items);
    }
    walked
}

#[test]
fn walking_a_list_in_either_direction_yields_every_item_once() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server);

    for list in LISTS {
        let all = ids(&server.read(&format!("{list}limit=100")));
        assert!(all.len() > 2, "{list} is too short to page");
        for limit in [1, 2, 3, all.len() - 1, all.len(), all.len() + 1] {
            let limit = limit.min(100);
            let forwards = walk(&server, list, (all.len(), limit), None);
            let (last, before_it) = all.split_last().unwrap();
            let backwards = walk(&server, list, (before_it.len(), limit), Some(last));

            assert_eq!(forwards, all, "{list} by {limit}");
            assert_eq!(backwards, before_it, "{list} by {limit}");
        }
    }
}
