//! Any authentic body is decoded: without a panic, to the same whichever way its JSON is written, and without keeping
//! anything of what is personal or secret in it.

use avow::stripe::decode::{Decoded, decode};
use avow::stripe::secret::{Secret, Secrets};
use avow::stripe::signature::{Delivery, authenticate, sign};
use avow::stripe::user_reference::UserReferenceSource;
use serde_json::{Value, json};
use state_machine::time::{ReceivedAt, Timestamp};

const SIGNED_AT: i64 = 1_760_000_000;
const MARKER: &str = "a marker of what is nobody's business";

/// Decodes the bytes as a body.
pub(crate) fn holds(bytes: &[u8]) {
    let decoded = decoded(bytes);

    // One of the JSON library's own words for itself, which its tree gives a meaning that JSON has not.
    let is_plain = !bytes.windows(11).any(|part| part == b"$serde_json");
    if let Ok(mut tree) = serde_json::from_slice::<Value>(bytes)
        && is_plain
    {
        assert_eq!(decoded, self::decoded(tree.to_string().as_bytes()));
        assert_eq!(decoded, self::decoded(format!("{tree:#}").as_bytes()));
        if plant(&mut tree).is_some() {
            let planted = self::decoded(tree.to_string().as_bytes());
            assert_eq!(decoded, planted);
            assert!(!format!("{planted:?}").contains(MARKER));
        }
    }
}

fn decoded(body: &[u8]) -> Decoded {
    let secret = Secret::new("whsec_test_secret").unwrap();
    let header = sign(&secret, Timestamp(SIGNED_AT), body);
    let delivery = Delivery {
        signature_header: Some(header.as_bytes()),
        body,
        received_at: ReceivedAt(SIGNED_AT * 1000),
    };
    let secrets = Secrets::from(secret);
    let payload = authenticate(delivery, &secrets, 300).expect("what was signed is authentic");
    let sources = [
        "metadata.user_id",
        "client_reference_id",
        "related_customer",
    ];
    let sources = sources.map(|source| UserReferenceSource::parse(source).unwrap());
    decode(&payload, &sources)
}

/// Writes the marker wherever Stripe writes what must not be kept.
fn plant(tree: &mut Value) -> Option<()> {
    let session = tree.get_mut("data")?.get_mut("object")?.as_object_mut()?;
    for name in ["client_secret", "url", "verified_outputs", "options"] {
        session.insert(name.to_owned(), json!(MARKER));
    }
    let details = json!({ "email": MARKER, "phone": [MARKER] });
    session.insert("provided_details".to_owned(), details);
    if let Some(Value::Object(error)) = session.get_mut("last_error") {
        error.insert("reason".to_owned(), json!(MARKER));
    }
    if let Some(Value::Object(metadata)) = session.get_mut("metadata") {
        metadata.insert("note".to_owned(), json!(MARKER));
    }
    Some(())
}
