//! Why a check of a decision was passed, as data and as a sentence.

use serde_json::{Value, json};
use state_machine::retry::check::WhyPassed;

use crate::service::moment::moment;

/// Returns the reason, what belongs to it, and what it means.
pub(super) fn why_passed(why: &WhyPassed) -> Value {
    let (name, mut json, meaning) = match why {
        WhyPassed::StatusIs(status) => {
            let status = status.as_str();
            let meaning = format!("the user's status is {status}");
            ("status_is", json!({ "status": status }), meaning)
        }
        WhyPassed::NoBlock => ("no_block", json!({}), "no block is in force".to_owned()),
        WhyPassed::Unblocked { id, at } => {
            let meaning = format!("{id} lifted the block at {}", moment(*at));
            let json = json!({ "override": id.as_str(), "at": at.0 });
            ("unblocked", json, meaning)
        }
        WhyPassed::NoFinalError => {
            let meaning = "no error of the class final was reported".to_owned();
            ("no_final_error", json!({}), meaning)
        }
        WhyPassed::NoTry => ("no_try", json!({}), "nothing was tried".to_owned()),
        WhyPassed::LastTryWithoutCode => {
            let meaning = "the last try ended without an error code, or has not ended".to_owned();
            ("last_try_without_code", json!({}), meaning)
        }
        WhyPassed::LastError { code, class, at } => {
            let class = class.as_str();
            let meaning = format!("the last error is {code}, of the class {class}");
            let json = json!({ "code": code.as_str(), "class": class, "at": at.0 });
            ("last_error", json, meaning)
        }
        WhyPassed::BelowLimit { in_window, limit } => {
            let meaning = format!("{in_window} of {limit} attempts are in the window");
            let json = json!({ "in_window": in_window, "limit": limit });
            ("below_limit", json, meaning)
        }
        WhyPassed::NoFailure => {
            let meaning = "no attempt in the window has failed".to_owned();
            ("no_failure", json!({}), meaning)
        }
        WhyPassed::CooldownOver { last_at, seconds } => {
            let over = last_at.plus_seconds(i64::from(*seconds));
            let meaning = if *seconds == 0 {
                "the policy asks for no wait".to_owned()
            } else {
                let over = moment(over);
                format!("{seconds} s after the last failure were over at {over}")
            };
            let json = json!({ "last_at": last_at.0, "seconds": seconds });
            ("cooldown_over", json, meaning)
        }
    };
    if let Value::Object(members) = &mut json {
        members.insert("reason".to_owned(), name.into());
        members.insert("meaning".to_owned(), meaning.into());
    }
    json
}
