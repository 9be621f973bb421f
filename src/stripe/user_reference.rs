//! Whom a session belongs to, in the words of the company: personal data.

use std::fmt;

use zeroize::Zeroizing;

/// The longest reference, in characters: Stripe's bound of metadata values.
pub const USER_REFERENCE_CHARACTERS_MAX: usize = 500;

/// A company's own name for a user; wiped from memory when dropped, and shown by no `Debug` or `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct UserReference(Zeroizing<String>);

impl UserReference {
    /// Returns a reference, or `None` if `text` is empty or longer than [`USER_REFERENCE_CHARACTERS_MAX`].
    pub fn new(text: &str) -> Option<Self> {
        let characters = 1..=USER_REFERENCE_CHARACTERS_MAX;
        characters
            .contains(&text.chars().count())
            .then(|| Self(Zeroizing::new(text.to_owned())))
    }

    /// Returns the reference in clear: for its owner's eyes only.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("UserReference(…)")
    }
}

/// Where the user reference stands in a session object. In a list of sources, the first that holds a text decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserReferenceSource {
    /// `metadata.<key>`
    Metadata(String),
    /// `client_reference_id`
    ClientReferenceId,
    /// `related_customer`
    RelatedCustomer,
}

/// The text names no place of a user reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a user reference is read from metadata.<key>, client_reference_id or related_customer")]
pub struct UnknownUserReferenceSource;

impl UserReferenceSource {
    /// Returns the source that `text` names, spelled as a path into the session object.
    pub fn parse(text: &str) -> Result<Self, UnknownUserReferenceSource> {
        match (text, text.strip_prefix("metadata.")) {
            ("client_reference_id", _) => Ok(Self::ClientReferenceId),
            ("related_customer", _) => Ok(Self::RelatedCustomer),
            (_, Some(key)) if !key.is_empty() => Ok(Self::Metadata(key.to_owned())),
            _ => Err(UnknownUserReferenceSource),
        }
    }

    /// Returns the sources that are asked unless others are configured.
    pub fn defaults() -> Vec<Self> {
        vec![
            Self::Metadata("user_id".to_owned()),
            Self::ClientReferenceId,
            Self::RelatedCustomer,
        ]
    }
}

impl fmt::Display for UserReferenceSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Metadata(key) => write!(formatter, "metadata.{key}"),
            Self::ClientReferenceId => formatter.write_str("client_reference_id"),
            Self::RelatedCustomer => formatter.write_str("related_customer"),
        }
    }
}
