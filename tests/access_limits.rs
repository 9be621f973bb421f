//! Limits: who asks too often is told to wait, and nobody else is.

use std::net::IpAddr;
use std::num::NonZero;
use std::time::Duration;

use avow::access::address::{Network, Origin, client};
use avow::access::limit::{Limit, Rate, TooOften};
use reqwest::blocking::{Client, Response};
use serde_json::Value;

use crate::support::access::{Guarded, create, guarded};
use crate::support::delivery::{Delivery, event};
use crate::support::process::Process;

const SECOND: Duration = Duration::from_secs(1);
/// Without it, nothing that a test does is counted: it comes from this machine.
const BEHIND_A_PROXY: &str = "http.trusted_proxies=127.0.0.0/8";

/// Asks from an address, as a proxy on this machine tells it.
fn ask(server: &Process, path: &str, token: Option<&str>, from: &str) -> Response {
    let mut request = Client::new()
        .get(format!("{}{path}", server.url()))
        .header("x-forwarded-for", from);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().unwrap()
}

/// Delivers from an address.
fn deliver(server: &Process, delivery: &Delivery, from: &str) -> Response {
    Client::new()
        .post(format!("{}/webhooks/stripe", server.url()))
        .header("x-forwarded-for", from)
        .header("stripe-signature", &delivery.header)
        .body(delivery.body.clone())
        .send()
        .unwrap()
}

fn assert_too_many(answer: Response) {
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(wait >= 1, "{wait}");
    assert_eq!(
        answer.json::<Value>().unwrap()["error"]["code"],
        "too_many_requests"
    );
}

#[test]
fn a_token_that_asks_too_often_is_told_when_to_ask_again_and_another_one_passes() {
    let Guarded {
        server,
        data: _data,
        read,
        audit,
        ..
    } = guarded(&["limits.token_requests_per_second=1"]);

    let mut answers = (0..100).map(|_| ask(&server, "/v1/users", Some(&read), ""));
    let refused = answers.find(|answer| answer.status() != 200);

    assert_too_many(refused.expect("a hundred requests pass at one a second"));
    assert_eq!(ask(&server, "/v1/users", Some(&audit), "").status(), 200);
}

#[test]
fn an_address_without_a_token_that_asks_too_often_is_told_to_wait_and_others_pass() {
    let Guarded {
        server,
        data: _data,
        audit,
        ..
    } = guarded(&[
        BEHIND_A_PROXY,
        "access.public_evidence=true",
        "limits.address_requests_per_second=1",
    ]);

    let mut answers = (0..100).map(|_| ask(&server, "/checkpoint", None, "192.0.2.1"));
    let refused = answers.find(|answer| answer.status() != 200);

    assert_too_many(refused.expect("a hundred requests pass at one a second"));
    assert_eq!(ask(&server, "/checkpoint", None, "192.0.2.2").status(), 200);
    // Whoever has a token is counted by it, from wherever they ask.
    assert_eq!(
        ask(&server, "/v1/log/entries/99", Some(&audit), "192.0.2.1").status(),
        404
    );
}

#[test]
fn whoever_guesses_tokens_is_told_to_wait_and_a_good_token_passes_from_the_same_address() {
    let Guarded {
        server,
        data: _data,
        read,
        ..
    } = guarded(&[BEHIND_A_PROXY, "limits.address_failures_per_minute=3"]);

    for _ in 0..3 {
        assert_eq!(
            ask(&server, "/v1/users", Some("guess"), "192.0.2.1").status(),
            401
        );
    }

    assert_too_many(ask(&server, "/v1/users", Some("guess"), "192.0.2.1"));
    assert_too_many(ask(&server, "/v1/users", None, "192.0.2.1"));
    assert_eq!(
        ask(&server, "/v1/users", Some(&read), "192.0.2.1").status(),
        200
    );
    assert_eq!(ask(&server, "/v1/users", None, "192.0.2.2").status(), 401);
}

#[test]
fn forged_deliveries_are_bounded_and_authentic_ones_from_the_same_address_are_all_taken() {
    let Guarded {
        server,
        data: _data,
        ..
    } = guarded(&[
        BEHIND_A_PROXY,
        "limits.address_failures_per_minute=3",
        "limits.address_requests_per_second=1",
    ]);
    let honest = |number: u64| {
        let id = format!("evt_{number}");
        Delivery::event(&event(&id, "vs_1", "user_1", "created", 10))
    };
    let forged = Delivery {
        header: "t=1,v1=00".to_owned(),
        ..honest(0)
    };

    for _ in 0..3 {
        assert_eq!(deliver(&server, &forged, "192.0.2.1").status(), 400);
    }

    assert_too_many(deliver(&server, &forged, "192.0.2.1"));
    for number in 0..20 {
        let answer = deliver(&server, &honest(number), "192.0.2.1");
        assert_eq!(answer.status(), 200, "the authentic delivery {number}");
    }
}

#[test]
fn what_anybody_can_write_into_a_header_is_not_believed() {
    let Guarded {
        server,
        data: _data,
        ..
    } = guarded(&["limits.address_failures_per_minute=1"]);

    // Not behind a proxy: these come from this machine, whatever they say, and it is not counted.
    for _ in 0..10 {
        assert_eq!(ask(&server, "/v1/users", None, "192.0.2.1").status(), 401);
    }
}

#[test]
fn without_a_limit_nothing_is_too_often() {
    let Guarded { server, data, .. } = guarded(&[
        BEHIND_A_PROXY,
        "limits.token_requests_per_second=0",
        "limits.address_failures_per_minute=0",
    ]);
    let token = create(data.path(), "read", &[]);

    for _ in 0..10 {
        assert_eq!(ask(&server, "/v1/users", None, "192.0.2.1").status(), 401);
        assert_ne!(
            ask(&server, "/v1/users", Some(&token), "192.0.2.1").status(),
            429
        );
    }
}

#[test]
#[rustfmt::skip] // a table is read by its lines
fn the_client_is_the_last_address_that_no_trusted_proxy_wrote_of_another() {
    let trusted: Vec<Network> = ["10.0.0.0/8", "2001:db8::1"].map(|text| text.parse().unwrap()).into();
    let rows = [
        // peer          X-Forwarded-For                          the client
        ("192.0.2.1",    &[][..],                                 "192.0.2.1"),
        ("192.0.2.1",    &["198.51.100.7"],                       "192.0.2.1"),
        ("10.0.0.1",     &[],                                     "10.0.0.1"),
        ("10.0.0.1",     &["198.51.100.7"],                       "198.51.100.7"),
        ("10.0.0.1",     &["203.0.113.9, 198.51.100.7"],          "198.51.100.7"),
        ("10.0.0.1",     &["203.0.113.9", "198.51.100.7"],        "198.51.100.7"),
        ("10.0.0.1",     &["198.51.100.7, 10.0.0.2"],             "198.51.100.7"),
        ("10.0.0.1",     &["198.51.100.7", "10.0.0.2 , 10.3.2.1"], "198.51.100.7"),
        ("10.0.0.1",     &["198.51.100.7, nobody"],               "10.0.0.1"),
        ("10.0.0.1",     &[""],                                   "10.0.0.1"),
        ("::ffff:10.0.0.1", &["198.51.100.7"],                    "198.51.100.7"),
        ("2001:db8::1",  &["2001:db8::2"],                        "2001:db8::2"),
        ("2001:db8::3",  &["2001:db8::2"],                        "2001:db8::3"),
    ];
    for (peer, values, expected) in rows {
        let found = client(peer.parse().unwrap(), values.iter().copied(), &trusted);
        assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {values:?}");
    }
}

#[test]
fn a_network_of_ipv6_is_one_address_and_this_machine_is_none() {
    let origin = |text: &str| Origin::of(text.parse().unwrap());

    assert_eq!(origin("2001:db8:1:2::1"), origin("2001:db8:1:2:ffff::9"));
    assert_ne!(origin("2001:db8:1:2::1"), origin("2001:db8:1:3::1"));
    assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
    assert_eq!(origin("192.0.2.1"), origin("::ffff:192.0.2.1"));
    for here in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(origin(here), None, "{here}");
    }
    for no_network in [
        "",
        "10.0.0.0/33",
        "10.0.0.0/",
        "::/129",
        "example.com",
        "10.0.0",
    ] {
        assert!(no_network.parse::<Network>().is_err(), "{no_network}");
    }
    assert!(
        "0.0.0.0/0"
            .parse::<Network>()
            .unwrap()
            .contains("192.0.2.1".parse().unwrap())
    );
    assert!(
        "::/0"
            .parse::<Network>()
            .unwrap()
            .contains("2001:db8::1".parse().unwrap())
    );
}

#[test]
fn in_any_time_no_more_pass_than_the_burst_and_what_the_rate_has_given_since() {
    let burst = 5;
    let rate = Rate::of(burst, SECOND);
    // Whatever the pauses between those who ask, in milliseconds.
    for pause in [0, 1, 7, 50, 199, 200, 201, 1_000, 3_000] {
        let limit = Limit::new(rate, NonZero::<usize>::MIN);
        let mut passed = Vec::new();
        for step in 0..500 {
            let now = Duration::from_millis(step * pause);
            if limit.take("somebody", now).is_ok() {
                passed.push(now);
            }
        }
        for (index, first) in passed.iter().enumerate() {
            for (count, last) in (1..).zip(&passed[index..]) {
                let given = last.saturating_sub(*first).as_millis() / 200;
                assert!(count <= u128::from(burst) + given, "{pause} ms");
            }
        }
        assert!(passed.len() >= 5);
    }
}

#[test]
fn whoever_waits_as_long_as_told_passes() {
    let limit = Limit::new(Rate::of(2, SECOND), NonZero::<usize>::MIN);
    let at = Duration::from_millis;
    assert!(limit.take("somebody", at(0)).is_ok() && limit.take("somebody", at(0)).is_ok());

    let TooOften(wait) = limit.take("somebody", at(100)).unwrap_err();

    assert_eq!(wait, at(400));
    assert!(limit.take("somebody", at(499)).is_err());
    assert!(limit.take("somebody", at(500)).is_ok());
}

#[test]
fn no_more_addresses_are_remembered_than_is_allowed() {
    let limit = Limit::new(Rate::of(1, SECOND), NonZero::new(16).unwrap());

    for address in 0..10_000_u32 {
        assert!(limit.take(address, Duration::ZERO).is_ok());
    }

    assert_eq!(limit.len(), 16);
}
