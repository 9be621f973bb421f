//! Numbers in the one spelling that the formats allow: ASCII digits without sign and leading zeros.

/// Returns the number that `text` spells, if it is its only spelling.
pub(super) fn parse(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|number: &u64| number.to_string() == text)
}
