//! Identifiers as Stripe and Avow give them: opaque, bounded text, one type for each meaning.
//!
//! Nothing is read out of an identifier's spelling: Stripe promises no more than that it is at most 255 characters
//! (<https://docs.stripe.com/upgrades#what-changes-does-stripe-consider-to-be-backward-compatible>).

use alloc::boxed::Box;
use core::borrow::Borrow;
use core::fmt;

/// The longest identifier that Stripe may send, in bytes.
pub const IDENTIFIER_BYTES_MAX: usize = 255;

/// Says why a text is no identifier, without repeating the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidIdentifier {
    /// The text has no characters.
    Empty,
    /// The text is longer than [`IDENTIFIER_BYTES_MAX`].
    TooLong,
    /// The text holds something other than visible ASCII characters.
    NotVisibleAscii,
}

impl fmt::Display for InvalidIdentifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "the identifier is empty",
            Self::TooLong => "the identifier is longer than 255 bytes",
            Self::NotVisibleAscii => "the identifier holds other than visible ASCII characters",
        })
    }
}

impl core::error::Error for InvalidIdentifier {}

fn checked(text: &str) -> Result<Box<str>, InvalidIdentifier> {
    if text.is_empty() {
        Err(InvalidIdentifier::Empty)
    } else if text.len() > IDENTIFIER_BYTES_MAX {
        Err(InvalidIdentifier::TooLong)
    } else if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.into())
    } else {
        Err(InvalidIdentifier::NotVisibleAscii)
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Returns the identifier that `text` spells, or why it spells none.
            pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
                checked(text).map(Self)
            }

            /// Returns the identifier as Stripe spells it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

identifier! {
    /// The id of a Stripe event (`evt_…`); it determines the event.
    EventId
}
identifier! {
    /// The id of a verification session (`vs_…`).
    SessionId
}
identifier! {
    /// The id of a verification report (`vr_…`); each submission that Stripe checked makes one.
    ReportId
}
identifier! {
    /// The id of a connected account (`acct_…`).
    AccountId
}
identifier! {
    /// The id of an override (`ovr_…`), which Avow gives.
    OverrideId
}
identifier! {
    /// A `last_error.code`; the list is open, so an unknown code is a code like any other.
    ErrorCode
}

/// A keyed hash of a user reference: a user can be found by it, but not read out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserTag(pub [u8; 16]);

/// The place of an entry in the log, gapless from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(pub u64);

impl fmt::Display for SequenceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A part of Stripe that shares nothing with any other: a test-mode `verified` never verifies a live user.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct World {
    /// Stripe's `livemode`.
    pub livemode: bool,
    /// The connected account, or `None` for the platform's own.
    pub account: Option<AccountId>,
}
