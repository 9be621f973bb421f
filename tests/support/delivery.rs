//! Deliveries as Stripe sends them: a body in Stripe's shape, signed at the time of sending.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use avow::stripe::secret::Secret;
use avow::stripe::signature::sign;
use serde_json::{Value, json};

use super::server::SECRET;

/// One POST to the webhook.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) body: Vec<u8>,
    pub(crate) header: String,
}

impl Delivery {
    /// Signs a body now, as Stripe does for each try.
    pub(crate) fn of(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let header = sign(
            &Secret::new(SECRET).unwrap(),
            avow::system::now_seconds(),
            &body,
        );
        Self { body, header }
    }

    /// Signs an event now.
    pub(crate) fn event(event: &Value) -> Self {
        Self::of(serde_json::to_vec_pretty(event).unwrap())
    }
}

/// An event of one session, to be varied with the functions below.
pub(crate) fn event(id: &str, session: &str, user: &str, name: &str, created: i64) -> Value {
    let status = match name {
        "created" | "requires_input" => "requires_input",
        "redacted" => "verified",
        other => other,
    };
    json!({
        "id": id, "object": "event", "api_version": "2026-10-28.endive", "created": created,
        "type": format!("identity.verification_session.{name}"),
        "livemode": false, "pending_webhooks": 1, "request": { "id": null, "idempotency_key": null },
        "data": { "object": {
            "id": session, "object": "identity.verification_session", "created": 1_760_000_000,
            "client_reference_id": null, "client_secret": "vs_secret_marker",
            "url": "https://verify.stripe.com/start/url_marker",
            "last_error": null, "last_verification_report": null, "livemode": false,
            "metadata": { "user_id": user, "note": "metadata_marker" },
            "provided_details": { "email": "email_marker@example.com" },
            "redaction": null, "related_customer": null, "status": status, "type": "document",
        } },
    })
}

/// Delivers an event of a session of its own for each number, some at a time.
pub(crate) fn deliver_numbered(numbers: Range<u64>, deliver: impl Fn(&Delivery) -> u16 + Sync) {
    let next = AtomicU64::new(numbers.start);
    let connection = || {
        while let number = next.fetch_add(1, Ordering::Relaxed)
            && number < numbers.end
        {
            let [id, session] = ["evt", "vs"].map(|prefix| format!("{prefix}_{number}"));
            let delivery = Delivery::event(&event(&id, &session, "u", "verified", 10));
            assert_eq!(deliver(&delivery), 200);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(connection);
        }
    });
}

/// The same event, with a verdict's report.
pub(crate) fn with_report(mut event: Value, report: &str) -> Value {
    event["data"]["object"]["last_verification_report"] = json!(report);
    event
}

/// The same event, with a last error.
pub(crate) fn with_error(mut event: Value, code: &str) -> Value {
    event["data"]["object"]["last_error"] = json!({ "code": code, "reason": "reason_marker" });
    event
}
