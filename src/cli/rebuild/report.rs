//! What a rebuild came to, told to a person.

use crate::http::rebuild_answer::{Difference, Outcome};

/// Returns it as text, a difference on each line.
pub(super) fn text(outcome: &Outcome) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        text.push_str(&line);
        text.push('\n');
    };
    if let (Some(sequence), Some(after)) = (outcome.sequence, &outcome.digest_after) {
        let before = outcome.digest_before.as_deref().unwrap_or("unreadable");
        line(format!("before  {sequence} {before}"));
        line(format!("after   {sequence} {after}"));
    }
    if let Some(why) = &outcome.unreadable {
        line(format!(
            "✗ what was served cannot be read to its end: {why}"
        ));
    }
    for difference in &outcome.differences {
        line(format!("✗ {}", told(difference)));
    }
    let told = u64::try_from(outcome.differences.len()).unwrap_or(u64::MAX);
    let more = outcome.differences_count.saturating_sub(told);
    if more > 0 {
        line(format!("and {more} more rows differ"));
    }
    if outcome.differences_count == 0 && outcome.unreadable.is_none() {
        line("✓ nothing differs".to_owned());
    }
    text
}

fn told(difference: &Difference) -> String {
    let Difference {
        what,
        session,
        user_tag,
        entry,
        livemode,
        account,
        before,
        after,
        why,
    } = difference;
    let mut told = match (session, user_tag, entry) {
        (Some(session), _, _) => format!("session {session}"),
        (None, Some(tag), _) => format!("user with the tag {tag}"),
        (None, None, Some(entry)) => format!("entry {entry}"),
        (None, None, None) => "a row of nobody".to_owned(),
    };
    let mode = livemode.map(|livemode| if livemode { "live" } else { "test" });
    if let Some(mode) = mode {
        let world = [Some(mode), account.as_deref()];
        let world: Vec<_> = world.into_iter().flatten().collect();
        told = format!("{told} ({})", world.join(", "));
    }
    let side = |side: &Option<String>| side.clone().unwrap_or_else(|| "nothing".to_owned());
    let (before, after) = (side(before), side(after));
    format!("{told}: {what}: before: {before}; after: {after}; why: {why}")
}
