//! An explanation as a text for people: made of what a server answers, so that both say the same.

use std::fmt::{self, Display, Formatter};

use serde_json::Value;
use state_machine::time::Timestamp;

use crate::http::explanation::{CheckJson, ExplanationJson, OverrideRow, SessionRow, StepRow};
use crate::service::moment::moment;

/// An explanation that is told.
pub(super) struct Told<'explanation>(pub(super) &'explanation ExplanationJson);

impl Display for Told<'_> {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let explanation = self.0;
        standing(explanation, to)?;
        decision(explanation, to)?;
        if !explanation.overrides.is_empty() {
            writeln!(to, "\noverrides")?;
        }
        for made in &explanation.overrides {
            override_line(made, to)?;
        }
        let mut sessions = explanation.sessions.iter();
        sessions.try_for_each(|row| session(row, to))
    }
}

fn standing(explanation: &ExplanationJson, to: &mut Formatter<'_>) -> fmt::Result {
    let user = &explanation.user;
    let mode = if user["livemode"] == true {
        "live"
    } else {
        "test"
    };
    writeln!(
        to,
        "{} ({}), in {mode} mode",
        text(&user["id"]),
        text(&user["tag"])
    )?;
    if let Some(as_of) = &explanation.as_of {
        writeln!(to, "  as of {}", as_of_words(as_of))?;
    }
    if let Some(valid_at) = explanation.valid_at {
        writeln!(to, "  valid at {}", time(valid_at))?;
    }
    write!(to, "  {}", text(&user["status"]))?;
    if let Some(since) = user["since"].as_i64() {
        write!(to, " since {}", time(since))?;
    }
    if let Some(session) = user["current_session"].as_str() {
        write!(to, " by {session}")?;
    }
    let attempts = &user["attempts"];
    let (total, in_window, limit) = (
        &attempts["total"],
        &attempts["in_window"],
        &attempts["limit"],
    );
    writeln!(
        to,
        "; attempts {total}, {in_window} of {limit} in the window"
    )
}

fn as_of_words(as_of: &str) -> String {
    if as_of.bytes().all(|byte| byte.is_ascii_digit()) {
        format!("entry {as_of}")
    } else {
        as_of.to_owned()
    }
}

fn decision(explanation: &ExplanationJson, to: &mut Formatter<'_>) -> fmt::Result {
    let user = &explanation.user;
    let decision = &user["decision"];
    writeln!(
        to,
        "\ndecision for {}: {}",
        time(explanation.now),
        text(&decision["outcome"])
    )?;
    for name in ["remaining", "retry_at", "resume_session"] {
        if let Some(value) = decision.get(name).filter(|value| !value.is_null()) {
            writeln!(to, "  {name}: {}", told(name, value))?;
        }
    }
    policy(explanation, to)?;
    for (number, check) in (1..).zip(&explanation.checks) {
        check_line(number, check, decision, to)?;
    }
    Ok(())
}

fn policy(explanation: &ExplanationJson, to: &mut Formatter<'_>) -> fmt::Result {
    let deciding = &explanation.policy;
    let policy = &deciding.policy;
    write!(to, "  by policy {}", policy.hash)?;
    match deciding.sequence {
        Some(sequence) => write!(to, " of entry {sequence}")?,
        None => write!(to, ", which the log does not record")?,
    }
    write!(
        to,
        ": {} attempts in {} s, ",
        policy.attempts_max, policy.window_seconds
    )?;
    if policy.cooldown_seconds == 0 {
        return writeln!(to, "no cooldown");
    }
    let (first, factor, max) = (
        policy.cooldown_seconds,
        policy.cooldown_factor,
        policy.cooldown_max_seconds,
    );
    writeln!(
        to,
        "cooldown {first} s, times {factor} for each further failure, at most {max} s"
    )
}

fn check_line(
    number: u32,
    check: &CheckJson,
    decision: &Value,
    to: &mut Formatter<'_>,
) -> fmt::Result {
    let name = &check.check;
    match (check.result.as_str(), &check.why) {
        ("applied", _) => {
            writeln!(to, "  {number}. {name}: yes")?;
            let mut reasons = decision["reasons"].as_array().into_iter().flatten();
            reasons.try_for_each(|reason| reason_line(reason, to))
        }
        (_, Some(why)) => writeln!(to, "  {number}. {name}: no, {}", text(&why["meaning"])),
        (_, None) => writeln!(to, "  {number}. {name}: not reached"),
    }
}

fn reason_line(reason: &Value, to: &mut Formatter<'_>) -> fmt::Result {
    write!(to, "     {}", text(&reason["reason"]))?;
    let members = reason.as_object().into_iter().flatten();
    for (name, value) in members.filter(|(name, value)| *name != "reason" && !value.is_null()) {
        write!(to, ", {name} {}", told(name, value))?;
    }
    writeln!(to)
}

fn override_line(made: &OverrideRow, to: &mut Formatter<'_>) -> fmt::Result {
    write!(to, "  {} {}", made.r#override, made.action)?;
    if let Some(attempts) = made.attempts {
        write!(to, " of {attempts}")?;
    }
    write!(to, " at {} (entry {})", time(made.at), made.sequence)?;
    match (made.expires, made.in_force) {
        (Some(expires), true) => writeln!(to, ", in force until {}", time(expires)),
        (Some(expires), false) => writeln!(to, ", ended at {}", time(expires)),
        (None, _) => writeln!(to, ", in force"),
    }
}

fn session(row: &SessionRow, to: &mut Formatter<'_>) -> fmt::Result {
    let status = row.status.as_deref().unwrap_or("without a status");
    writeln!(to, "\n{}: {status}", row.id)?;
    for (number, one) in (1..).zip(&row.steps) {
        step(number, one, to)?;
    }
    for anomaly in &row.anomalies {
        let (rule, event) = (text(&anomaly["rule"]), text(&anomaly["event"]));
        writeln!(to, "  ! {rule}: {event} (entry {})", anomaly["sequence"])?;
    }
    if let Some(hold) = row.hold {
        writeln!(to, "  held by entry {hold}")?;
    }
    match row.erasure {
        Some(erasure) => writeln!(to, "  to be erased, or erased, by entry {erasure}"),
        None => Ok(()),
    }
}

fn step(number: u32, row: &StepRow, to: &mut Formatter<'_>) -> fmt::Result {
    let kind = row.r#type.as_deref().unwrap_or("observed");
    let kind = kind.rsplit('.').next().unwrap_or(kind);
    let sign = match row.mark.as_str() {
        "expected" => '✓',
        "inferred" => '~',
        _ => '!',
    };
    let (created, received) = (time(row.created), time(row.received_at));
    writeln!(to, "  {number}. {created} {kind} {}", row.event)?;
    writeln!(to, "     known since {received} by entry {}", row.sequence)?;
    writeln!(to, "     {sign} {}: {} → {}", row.row, row.from, row.to)?;
    writeln!(to, "       {}", row.meaning)?;
    for change in &row.changes {
        writeln!(to, "     {}: {} → {}", change.what, change.from, change.to)?;
    }
    let mut anomalies = row.anomalies.iter();
    anomalies.try_for_each(|rule| writeln!(to, "     ! {rule}"))
}

/// Returns a value in words: what is a time, as one.
fn told(name: &str, value: &Value) -> String {
    const TIMES: [&str; 6] = ["at", "since", "leaves_at", "last_at", "expires", "retry_at"];
    match value.as_i64().filter(|_| TIMES.contains(&name)) {
        Some(seconds) => time(seconds),
        None => text(value),
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn time(seconds: i64) -> String {
    moment(Timestamp(seconds))
}
