//! Whether a scenario ended as it has to.

use serde_json::{Value, json};

use super::population::User;
use super::scenario::End;
use super::sender::Sender;

/// Asks the server for a user, and returns one sentence for each thing that is not as the scenario says.
pub async fn differences(sender: &Sender, user: &User) -> anyhow::Result<Vec<String>> {
    let standing = sender.read("users", &user.reference).await?;
    let current = standing
        .get("current_session")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let session = sender.read("sessions", current).await?;
    Ok(compare(&user.scenario.end, &standing, &session))
}

/// Compares an end with the answers of `/v1/users/{id}` and, for the current session, `/v1/sessions/{id}`.
pub fn compare(end: &End, standing: &Value, session: &Value) -> Vec<String> {
    let rows = [
        ("status", standing, "/status", json!(end.status)),
        ("attempts", standing, "/attempts/total", json!(end.attempts)),
        ("outcome", standing, "/decision/outcome", json!(end.outcome)),
        ("reversed", standing, "/reversed", json!(end.reversed)),
        ("anomalies", standing, "/anomalies", json!(end.anomalies)),
        ("redaction", session, "/redaction", json!(end.redaction)),
    ];
    let differing = rows
        .into_iter()
        .filter_map(|(name, answer, pointer, expected)| {
            let found = answer.pointer(pointer);
            (found != Some(&expected)).then(|| match found {
                Some(found) => format!("{name} is {found}, not {expected}"),
                None => format!("{name} is missing, not {expected}"),
            })
        });
    differing.collect()
}
