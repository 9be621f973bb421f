//! Every authentic body becomes an event, a foreign event, or an unreadable one that is kept; none is refused.

use std::collections::BTreeMap;
use std::fs;

use avow::stripe::decode::{
    Decoded, EventForm, SessionEvent, Unreadable, UnreadableReason, decode,
};
use avow::stripe::secret::Secret;
use avow::stripe::signature::{Delivery, authenticate, sign};
use avow::stripe::spelling;
use avow::stripe::user_reference::{UserReference, UserReferenceSource};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::{Value, json};
use state_machine::event::{Event, EventType, LastError, RedactionStatus, Status};
use state_machine::id::{AccountId, ErrorCode, EventId, ReportId, SessionId, World};
use state_machine::time::{ReceivedAt, Timestamp};

fn fixture(name: &str) -> Value {
    let path = format!(
        "{}/tests/fixtures/stripe/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The constructed events, by name.
fn constructed() -> BTreeMap<String, Value> {
    serde_json::from_value(fixture("events/events-constructed.json")["events"].take()).unwrap()
}

fn verified() -> Value {
    constructed().remove("verified").unwrap()
}

fn thin() -> Value {
    fixture("events/events-constructed.json")["thin"].take()
}

/// Decodes `body` with the default sources, by the only way there is: signed and authenticated.
fn decoded(body: &[u8]) -> Decoded {
    decoded_with(body, &UserReferenceSource::defaults())
}

fn decoded_with(body: &[u8], sources: &[UserReferenceSource]) -> Decoded {
    let secret = Secret::new("whsec_test_secret").unwrap();
    let header = sign(&secret, Timestamp(0), body);
    let delivery = Delivery {
        signature_header: Some(header.as_bytes()),
        body,
        received_at: ReceivedAt(0),
    };
    decode(&authenticate(delivery, &secret.into(), 0).unwrap(), sources)
}

fn event(body: &Value) -> SessionEvent {
    let decoded = decoded(body.to_string().as_bytes());
    let Decoded::Event(event) = decoded else {
        panic!("{decoded:?} is no event")
    };
    *event
}

fn unreadable(reason: UnreadableReason, event: Option<&str>) -> Decoded {
    Decoded::Unreadable(Unreadable {
        reason,
        event: event.map(|id| EventId::parse(id).unwrap()),
    })
}

/// Returns `body` with the value at `pointer` replaced, or added.
fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap()[key] = value;
    body
}

/// Returns `body` without the member at `pointer`.
fn without(mut body: Value, pointer: &str) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(key)
        .unwrap();
    body
}

fn error(code: Option<&str>) -> LastError {
    LastError {
        code: code.map(|code| ErrorCode::parse(code).unwrap()),
    }
}

fn reference(text: &str) -> UserReference {
    UserReference::new(text).unwrap()
}

#[test]
fn a_snapshot_event_is_read_in_full() {
    let event = event(&constructed()["connect_account.verified"]);

    let expected = SessionEvent {
        world: World {
            livemode: false,
            account: Some(AccountId::parse("acct_1TestConnected0001").unwrap()),
        },
        session: SessionId::parse("vs_1TestIdentity0000000003").unwrap(),
        form: EventForm::Snapshot,
        event: Event {
            id: EventId::parse("evt_1TestIdentity0000000017").unwrap(),
            event_type: EventType::Verified,
            created: Timestamp(1_760_000_075),
            session_created: Some(Timestamp(1_760_000_000)),
            status: Some(Status::Verified),
            last_error: None,
            report: Some(ReportId::parse("vr_1TestReport0000000010").unwrap()),
            redaction: None,
            user: None,
        },
        api_version: Some("2026-10-28.endive".to_owned()),
        user_reference: Some(reference("user_42")),
    };
    assert_eq!(event, expected);
}

#[test]
fn a_thin_event_names_its_session_and_nothing_of_it() {
    let event = event(&with(thin(), "/context", json!("acct_1")));

    let expected = SessionEvent {
        world: World {
            livemode: false,
            account: Some(AccountId::parse("acct_1").unwrap()),
        },
        session: SessionId::parse("vs_1TestIdentity0000000001").unwrap(),
        form: EventForm::Thin,
        event: Event {
            id: EventId::parse("evt_test_65TestThin0000000000000000000000000000001").unwrap(),
            event_type: EventType::RequiresInput,
            created: Timestamp(1_791_538_475),
            session_created: None,
            status: None,
            last_error: None,
            report: None,
            redaction: None,
            user: None,
        },
        api_version: None,
        user_reference: None,
    };
    assert_eq!(event, expected);
}

#[test]
fn every_constructed_event_says_what_stripe_said() {
    use EventType::{Canceled, Created, Processing, Redacted, RequiresInput, Verified};
    let (waiting, verified, canceled) = (Status::RequiresInput, Status::Verified, Status::Canceled);
    let (redacting, redacted) = (
        Some(RedactionStatus::Processing),
        Some(RedactionStatus::Redacted),
    );
    let user = Some("user_42");
    let report = |number| Some(format!("vr_1TestReport{number:010}"));
    #[rustfmt::skip]
    let rows = [
        // name                                            type           status               last error                              report       redaction          user
        ("created",                                        Created,       &waiting,            None,                                   None,        None,              user),
        ("processing",                                     Processing,    &Status::Processing, None,                                   None,        None,              user),
        ("verified",                                       Verified,      &verified,           None,                                   report(1),   None,              user),
        ("requires_input.document_expired",                RequiresInput, &waiting,            Some(Some("document_expired")),          report(2),   None,              user),
        ("requires_input.selfie_face_mismatch",            RequiresInput, &waiting,            Some(Some("selfie_face_mismatch")),      report(3),   None,              user),
        ("requires_input.consent_declined",                RequiresInput, &waiting,            Some(Some("consent_declined")),          None,        None,              user),
        ("requires_input.under_supported_age",             RequiresInput, &waiting,            Some(Some("under_supported_age")),       None,        None,              user),
        ("requires_input.code_null",                       RequiresInput, &waiting,            Some(None),                             report(4),   None,              user),
        ("requires_input.unknown_future_code",             RequiresInput, &waiting,            Some(Some("liveness_failed_2027")),      report(5),   None,              user),
        ("canceled.by_api",                                Canceled,      &canceled,           None,                                   None,        None,              user),
        ("canceled.by_redaction",                          Canceled,      &canceled,           None,                                   None,        redacting,         user),
        ("redacted.from_verified",                         Redacted,      &verified,           None,                                   report(1),   redacted.clone(),  None),
        ("redacted.from_requires_input",                   Redacted,      &canceled,           None,                                   None,        redacted,          None),
        ("verified.dashboard_override",                    Verified,      &verified,           None,                                   report(3),   None,              user),
        ("requires_input.dashboard_override_from_verified", RequiresInput, &waiting,           Some(Some("document_unverified_other")), report(1),   None,              user),
        ("verification_flow.verified",                     Verified,      &verified,           None,                                   report(9),   None,              None),
        ("connect_account.verified",                       Verified,      &verified,           None,                                   report(10),  None,              user),
        ("legacy_api_2020_08_27.verified",                 Verified,      &verified,           None,                                   report(11),  None,              user),
    ];
    let mut bodies = constructed();
    for (name, event_type, status, last_error, report, redaction, user) in rows {
        let body = bodies.remove(name).unwrap();
        let SessionEvent {
            event,
            user_reference,
            session,
            ..
        } = event(&body);

        assert_eq!(event.id.as_str(), body["id"], "{name}");
        assert_eq!(event.created.0, body["created"], "{name}");
        assert_eq!(session.as_str(), body["data"]["object"]["id"], "{name}");
        assert_eq!(event.event_type, event_type, "{name}");
        assert_eq!(event.status.as_ref(), Some(status), "{name}");
        assert_eq!(event.last_error, last_error.map(error), "{name}");
        assert_eq!(
            event.report.as_ref().map(ReportId::as_str),
            report.as_deref(),
            "{name}"
        );
        assert_eq!(event.redaction, redaction, "{name}");
        assert_eq!(
            user_reference.as_ref().map(UserReference::expose),
            user,
            "{name}"
        );
    }
    assert!(bodies.is_empty(), "{:?} have no row", bodies.keys());
}

#[test]
fn the_real_live_payload_is_read() {
    let session = fixture("events/real-live-verified-session.json")["session"].take();

    let event = event(&json!({
        "id": "evt_1", "object": "event", "api_version": "2026-04-22.dahlia", "created": 1_780_000_000,
        "data": {"object": session}, "livemode": true, "pending_webhooks": 1,
        "request": {"id": null, "idempotency_key": null}, "type": "identity.verification_session.verified",
    }));

    assert_eq!(
        event.world,
        World {
            livemode: true,
            account: None
        }
    );
    assert_eq!(event.session.as_str(), "vs_1U1u0LPHdBXq957OAhfG5WGq");
    assert_eq!(event.event.report.unwrap().as_str(), "vr_1U1u2a");
    assert_eq!(event.event.session_created, None);
    assert_eq!(event.user_reference, Some(reference("REPLACED")));
}

#[test]
fn every_session_in_stripes_documents_is_read() {
    let documents = fixture("events/docs-responses.json");
    let names = [
        "retrieve",
        "update",
        "cancel",
        "redact",
        "redacted_retrieve_expanded",
        "requires_input_doc_example",
    ];
    for name in names {
        let session = &documents[name];

        let event = event(&with(verified(), "/data/object", session.clone()));

        assert_eq!(event.session.as_str(), session["id"], "{name}");
        assert_eq!(
            event.event.session_created.unwrap().0,
            session["created"],
            "{name}"
        );
        assert_eq!(
            event.event.redaction.is_some(),
            !session["redaction"].is_null(),
            "{name}"
        );
        assert_eq!(
            event.event.last_error.is_some(),
            !session["last_error"].is_null(),
            "{name}"
        );
    }
}

#[test]
fn every_error_code_stays_as_stripe_spells_it() {
    for row in fixture("last-error-codes.json")["codes"]
        .as_array()
        .unwrap()
    {
        let body = with(
            verified(),
            "/data/object/last_error",
            json!({"code": row["code"], "reason": "…"}),
        );
        assert_eq!(
            event(&body).event.last_error,
            Some(error(row["code"].as_str()))
        );
    }
}

#[test]
fn an_event_of_another_kind_is_foreign() {
    #[rustfmt::skip]
    let rows = [
        (json!({"type": "charge.succeeded"}), "charge.succeeded"),
        (json!({"type": "identity.verification_report.verified"}), "identity.verification_report.verified"),
        (json!({"type": "identity.verification_session"}), "identity.verification_session"),
        (json!({"type": "v1.billing.meter.no_meter_found", "object": "v2.core.event"}), "v1.billing.meter.no_meter_found"),
        (json!({"type": "a b\n\u{e9}c"}), "abc"),
        (json!({"type": "x".repeat(300)}), &"x".repeat(255)),
    ];
    for (body, event_type) in rows {
        let expected = Decoded::Foreign {
            event_type: event_type.to_owned(),
        };
        assert_eq!(decoded(body.to_string().as_bytes()), expected, "{body}");
    }
}

#[test]
fn an_event_of_a_session_in_words_of_its_own_is_kept_as_unreadable() {
    let rows = [
        json!({"type": "identity.verification_session.paused"}),
        json!({"type": "v1.identity.verification_session.verified"}),
        json!({"type": "identity.verification_session.verified", "object": "v2.core.event"}),
        json!({"type": "v2.identity.verification_session.verified", "object": "v2.core.event"}),
    ];
    for body in rows {
        let expected = Unreadable {
            reason: UnreadableReason::TypeUnknown,
            event: None,
        };
        let decoded = decoded(body.to_string().as_bytes());
        assert_eq!(decoded, Decoded::Unreadable(expected), "{body}");
    }
}

#[test]
fn a_body_that_is_no_json_object_is_unreadable() {
    use UnreadableReason::{NotAnObject, NotJson, NotUtf8, TypeMissing};
    let rows: [(&[u8], _); 12] = [
        (b"", NotJson),
        (b"}", NotJson),
        (b"{\"id\":\"evt_1\"", NotJson),
        (b"{} {}", NotJson),
        (b"\xef\xbb\xbf{}", NotJson),
        (b"{\"id\":NaN}", NotJson),
        (b"{\"id\":\"\xff\"}", NotUtf8),
        (b"[]", NotAnObject),
        (b"null", NotAnObject),
        (b"1e9", NotAnObject),
        (b"\"{}\"", NotAnObject),
        (b" {} \n", TypeMissing),
    ];
    for (body, reason) in rows {
        assert_eq!(
            decoded(body),
            unreadable(reason, None),
            "{}",
            String::from_utf8_lossy(body)
        );
    }
}

#[test]
fn an_event_without_what_it_must_have_is_unreadable_and_keeps_its_id() {
    use UnreadableReason::{
        AccountInvalid, CreatedMissing, IdMissing, SessionMissing, TypeMissing, TypeUnknown,
    };
    let id = "evt_1TestIdentity0000000003";
    let thin_id = "evt_test_65TestThin0000000000000000000000000000001";
    #[rustfmt::skip]
    let rows = [
        (without(verified(), "/type"),                                                           TypeMissing,    Some(id)),
        (with(verified(), "/type", json!("")),                                                   TypeMissing,    Some(id)),
        (with(verified(), "/type", json!(["identity.verification_session.verified"])),           TypeMissing,    Some(id)),
        (with(verified(), "/type", json!("identity.verification_session.paused")),               TypeUnknown,    Some(id)),
        (with(thin(), "/type", json!("v1.identity.verification_session.paused")),                TypeUnknown,    Some(thin_id)),
        (without(verified(), "/id"),                                                             IdMissing,      None),
        (with(verified(), "/id", json!(17)),                                                     IdMissing,      None),
        (with(verified(), "/id", json!("")),                                                     IdMissing,      None),
        (with(verified(), "/id", json!("e".repeat(256))),                                        IdMissing,      None),
        (without(verified(), "/created"),                                                        CreatedMissing, Some(id)),
        (with(verified(), "/created", json!(null)),                                              CreatedMissing, Some(id)),
        (with(verified(), "/created", json!(1.5)),                                               CreatedMissing, Some(id)),
        (with(verified(), "/created", json!(u64::MAX)),                                          CreatedMissing, Some(id)),
        (with(thin(), "/created", json!("yesterday")),                                           CreatedMissing, Some(thin_id)),
        (without(verified(), "/data"),                                                           SessionMissing, Some(id)),
        (with(verified(), "/data", json!([{}])),                                                 SessionMissing, Some(id)),
        (with(verified(), "/data/object", json!("vs_1")),                                        SessionMissing, Some(id)),
        (without(verified(), "/data/object/id"),                                                 SessionMissing, Some(id)),
        (with(verified(), "/data/object/id", json!("vs 1")),                                     SessionMissing, Some(id)),
        (without(thin(), "/related_object"),                                                     SessionMissing, Some(thin_id)),
        (with(verified(), "/account", json!("")),                                                AccountInvalid, Some(id)),
        (with(verified(), "/account", json!(true)),                                              AccountInvalid, Some(id)),
        (with(verified(), "/account", json!(1.5)),                                               AccountInvalid, Some(id)),
        (with(thin(), "/context", json!([])),                                                    AccountInvalid, Some(thin_id)),
    ];
    for (body, reason, id) in rows {
        assert_eq!(
            decoded(body.to_string().as_bytes()),
            unreadable(reason, id),
            "{body}"
        );
    }
}

#[test]
fn what_is_not_needed_may_be_missing_or_of_another_type_or_new() {
    let plain = event(&verified());
    let report = json!({"id": "vr_1TestReport0000000001", "document": {"first_name": "Jenny"}});
    #[rustfmt::skip]
    let rows = [
        with(verified(), "/request", json!("req_1")),
        without(verified(), "/request"),
        without(verified(), "/object"),
        with(verified(), "/object", json!(7)),
        without(verified(), "/livemode"),
        with(verified(), "/account", json!(null)),
        with(verified(), "/context", json!("acct_1")),
        with(verified(), "/brand_new", json!({"deep": [[[{"id": "x"}]]]})),
        with(verified(), "/data/previous_attributes", json!({"status": "processing"})),
        with(verified(), "/data/object/brand_new", json!([1, {"status": "canceled"}])),
        with(verified(), "/data/object/last_error", json!("document_expired")),
        with(verified(), "/data/object/last_verification_report", report),
        with(verified(), "/data/object/redaction", json!([])),
        with(verified(), "/data/object/client_reference_id", json!(42)),
        with(verified(), "/data/object/related_customer", json!({"id": "cus_1"})),
    ];
    for body in rows {
        assert_eq!(event(&body), plain, "{body}");
    }
}

#[test]
fn a_field_of_an_unexpected_type_is_as_good_as_absent() {
    type IsAbsent = fn(&Event) -> bool;
    let fields: [(&str, IsAbsent); 5] = [
        ("/data/object/status", |event| event.status.is_none()),
        ("/data/object/created", |event| {
            event.session_created.is_none()
        }),
        ("/data/object/last_error", |event| {
            event.last_error.is_none()
        }),
        ("/data/object/last_verification_report", |event| {
            event.report.is_none()
        }),
        ("/data/object/redaction", |event| event.redaction.is_none()),
    ];
    for (pointer, is_absent) in fields {
        for value in [
            json!(null),
            json!(true),
            json!(1.5),
            json!([]),
            json!([{"id": "vr_1"}]),
        ] {
            let body = with(verified(), pointer, value);
            assert!(is_absent(&event(&body).event), "{body}");
        }
    }
}

#[test]
fn unknown_words_are_kept_as_stripe_spells_them() {
    let body = with(verified(), "/data/object/status", json!("paused"));
    assert_eq!(
        event(&body).event.status,
        Some(Status::Other("paused".into()))
    );

    let body = with(
        verified(),
        "/data/object/redaction",
        json!({"status": "validated"}),
    );
    assert_eq!(
        event(&body).event.redaction,
        Some(RedactionStatus::Other("validated".into()))
    );

    let body = with(verified(), "/data/object/redaction", json!({}));
    assert_eq!(
        event(&body).event.redaction,
        Some(RedactionStatus::Other("".into()))
    );

    let body = with(verified(), "/api_version", json!("2031-01-01.zinnia"));
    assert_eq!(
        event(&body).api_version.as_deref(),
        Some("2031-01-01.zinnia")
    );
}

#[test]
fn an_error_whose_code_cannot_be_read_is_still_an_error() {
    for code in [
        json!(null),
        json!(17),
        json!(""),
        json!("two words"),
        json!({"code": "x"}),
    ] {
        let body = with(verified(), "/data/object/last_error", json!({"code": code}));
        assert_eq!(
            event(&body).event.last_error,
            Some(LastError { code: None }),
            "{code}"
        );
    }
}

#[test]
fn absurd_times_are_kept() {
    for seconds in [i64::MIN, -1, 0, i64::MAX] {
        let body = with(verified(), "/created", json!(seconds));
        assert_eq!(event(&body).event.created, Timestamp(seconds));
    }
}

#[test]
fn the_date_of_a_thin_event_loses_its_fraction_and_its_offset() {
    let rows = [
        ("2026-10-09T09:34:35.123Z", 1_791_538_475),
        ("2026-10-09T09:34:35Z", 1_791_538_475),
        ("2026-10-09T11:34:35.999999999+02:00", 1_791_538_475),
        ("1969-12-31T23:59:59.5Z", -1),
    ];
    for (date, seconds) in rows {
        let body = with(thin(), "/created", json!(date));
        assert_eq!(event(&body).event.created, Timestamp(seconds), "{date}");
    }
}

#[test]
fn a_repeated_key_means_its_last_value() {
    let body = verified().to_string();
    #[rustfmt::skip]
    let rows = [
        (r#""status":"verified""#,       r#""status":"canceled","status":"verified""#),
        (r#""id":"vs_1Test"#,            r#""id":"vs_other","id":"vs_1Test"#),
        (r#""user_id":"user_42""#,       r#""user_id":"user_1","user_id":"user_42""#),
        (r#""user_id":"user_42""#,       r#""user_id":"user_1","user\u005fid":"user_42""#),
        (r#""redaction":null"#,          r#""redaction":{"status":"redacted"},"redaction":null"#),
        (r#""livemode":false"#,          r#""livemode":true,"livemode":false"#),
        (r#"{"api_version""#,            r#"{"data":{"object":{"id":"vs_other"}},"api_version""#),
    ];
    for (once, twice) in rows {
        assert!(body.contains(once), "{once}");

        let repeated = body.replace(once, twice);

        assert_eq!(
            decoded(repeated.as_bytes()),
            decoded(body.as_bytes()),
            "{twice}"
        );
    }
}

#[test]
fn livemode_is_what_the_event_says_else_its_session_else_test() {
    let rows = [
        (json!(true), json!(false), true),
        (json!(false), json!(true), false),
        (json!(null), json!(true), true),
        (json!("true"), json!(null), false),
    ];
    for (of_event, of_session, expected) in rows {
        let body = with(verified(), "/livemode", of_event);
        let body = with(body, "/data/object/livemode", of_session);
        assert_eq!(event(&body).world.livemode, expected, "{body}");
    }
}

#[test]
fn the_first_source_that_holds_a_text_names_the_user() {
    let long = "x".repeat(501);
    #[rustfmt::skip]
    let rows = [
        // metadata.user_id      client_reference_id  related_customer      user
        (json!("m"),             json!("c"),          json!("cus"),         Some("m")),
        (json!(""),              json!("c"),          json!("cus"),         Some("c")),
        (json!(null),            json!("c"),          json!("cus"),         Some("c")),
        (json!(42),              json!("c"),          json!("cus"),         Some("c")),
        (json!(long),            json!("c"),          json!("cus"),         Some("c")),
        (json!(null),            json!(""),           json!("cus"),         Some("cus")),
        (json!(null),            json!(null),         json!({"id": "cus"}), Some("cus")),
        (json!("\u{fc} \"x\""), json!(null),         json!(null),          Some("\u{fc} \"x\"")),
        (json!(null),            json!(null),         json!(null),          None),
    ];
    for (metadata, client_reference_id, related_customer, user) in rows {
        let body = with(
            verified(),
            "/data/object/metadata",
            json!({"user_id": metadata}),
        );
        let body = with(
            body,
            "/data/object/client_reference_id",
            client_reference_id,
        );
        let body = with(body, "/data/object/related_customer", related_customer);
        assert_eq!(event(&body).user_reference, user.map(reference), "{body}");
    }
}

#[test]
fn the_sources_of_a_user_reference_are_configuration() {
    let body = with(verified(), "/data/object/metadata", json!({"a.b": "m"}));
    let body = with(body, "/data/object/related_customer", json!("cus")).to_string();
    let rows = [
        (["metadata.a.b", "related_customer"].as_slice(), Some("m")),
        (&["related_customer", "metadata.a.b"], Some("cus")),
        (&["metadata.user_id"], None),
        (&[], None),
    ];
    for (names, user) in rows {
        let sources: Vec<_> = names
            .iter()
            .map(|name| UserReferenceSource::parse(name).unwrap())
            .collect();

        let Decoded::Event(event) = decoded_with(body.as_bytes(), &sources) else {
            panic!()
        };

        assert_eq!(event.user_reference, user.map(reference), "{names:?}");
        assert_eq!(
            sources.iter().map(ToString::to_string).collect::<Vec<_>>(),
            names
        );
    }
    for unknown in ["", "metadata", "metadata.", "customer", "Metadata.user_id"] {
        assert!(UserReferenceSource::parse(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn event_types_are_spelled_as_stripe_spells_them() {
    for (name, body) in constructed() {
        let event_type = event(&body).event.event_type;
        assert_eq!(
            spelling::event_type_name(event_type).unwrap(),
            body["type"],
            "{name}"
        );
    }
    assert_eq!(spelling::event_type_name(EventType::Observed), None);
    assert_eq!(spelling::event_type("observed"), None);
}

#[test]
fn reasons_keep_their_codes_and_names() {
    let rows = UnreadableReason::ALL.map(|reason| (reason.code(), reason.as_str()));
    assert_eq!(
        rows,
        [
            (1, "not_utf8"),
            (2, "not_json"),
            (3, "not_an_object"),
            (4, "type_missing"),
            (5, "type_unknown"),
            (6, "id_missing"),
            (7, "created_missing"),
            (8, "session_missing"),
            (9, "account_invalid"),
        ]
    );
    for code in 0..=u8::MAX {
        let reason = UnreadableReason::from_code(code);
        assert_eq!(
            reason.map(UnreadableReason::code),
            (1..=9).contains(&code).then_some(code)
        );
    }
}

#[test]
fn no_personal_data_and_no_secret_of_stripes_survives_but_the_user_reference() {
    let hidden = "personal-or-secret";
    let mut body = verified();
    for field in [
        "client_secret",
        "url",
        "verified_outputs",
        "provided_details",
        "type",
        "options",
    ] {
        body = with(
            body,
            &format!("/data/object/{field}"),
            json!({"nested": [hidden]}),
        );
    }
    body = with(
        body,
        "/data/object/last_error",
        json!({"code": "x", "reason": hidden}),
    );
    body = with(
        body,
        "/data/object/metadata",
        json!({"user_id": hidden, "email": hidden}),
    );

    let event = event(&body);

    assert!(!format!("{event:?}").contains(hidden), "{event:?}");
    assert_eq!(event.user_reference, Some(reference(hidden)));
}

/// Any JSON, small.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[a-z_.0-9]{0,300}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("(id|object|status|code|type|[a-z]{1,4})", inner, 0..4)
                .prop_map(Value::from_iter),
        ]
    })
}

/// The events of the fixtures, the thin one included.
fn any_body() -> impl Strategy<Value = Value> {
    let bodies: Vec<Value> = constructed().into_values().chain([thin()]).collect();
    prop::sample::select(bodies)
}

/// Every place in a body, as JSON pointers.
fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    into.push(at.to_owned());
    for (key, member) in value.as_object().into_iter().flatten() {
        pointers(member, &format!("{at}/{key}"), into);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4096,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/stripe_decoding.txt",
        ))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_make_decoding_panic(body in prop::collection::vec(any::<u8>(), 0..256)) {
        drop(decoded(&body));
    }

    #[test]
    fn no_damage_to_a_real_body_makes_decoding_panic(
        body in any_body(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_usize), 1..6),
    ) {
        let mut bytes = body.to_string().into_bytes();
        for (index, byte, removed) in damage {
            let start = index.index(bytes.len() + 1);
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, [byte]);
        }
        drop(decoded(&bytes));
    }

    #[test]
    fn any_value_may_stand_anywhere_and_only_what_is_needed_can_make_a_body_unreadable(
        body in any_body(),
        place in any::<prop::sample::Index>(),
        value in any_json(),
    ) {
        let mut places = Vec::new();
        pointers(&body, "", &mut places);
        let pointer = place.get(&places);
        let mut changed = body.clone();
        *changed.pointer_mut(pointer).unwrap() = value;

        let decoded = decoded(changed.to_string().as_bytes());

        let needed = ["", "/id", "/object", "/type", "/created", "/data", "/data/object", "/data/object/id",
            "/related_object", "/related_object/id", "/account", "/context"];
        if !needed.contains(&pointer.as_str()) {
            let Decoded::Event(decoded) = decoded else { panic!("{pointer}: {decoded:?}") };
            let original = event(&body);
            prop_assert_eq!(decoded.event.id, original.event.id);
            prop_assert_eq!(decoded.event.event_type, original.event.event_type);
            prop_assert_eq!(decoded.event.created, original.event.created);
            prop_assert_eq!(decoded.session, original.session);
            prop_assert_eq!(decoded.world.account, original.world.account);
        }
    }
}
