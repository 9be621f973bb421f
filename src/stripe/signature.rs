//! Authentication of deliveries: a `Stripe-Signature` header over the raw body, under any configured secret.
//!
//! Where Stripe's own clients agree on a header, so does this. Where they split, the stricter verdict holds, but for
//! ignored elements (a trailing comma, no `=`) and an age of exactly the tolerance. No error repeats any input.

use std::fmt;

use state_machine::time::{ReceivedAt, Timestamp};
use subtle::ConstantTimeEq;

use super::secret::{Secret, SecretFingerprint, Secrets};

/// The longest header that is read; Stripe's have 80 bytes, and 147 while a secret is being rolled.
pub const HEADER_BYTES_MAX: usize = 4096;

/// How many `v1` signatures a header may hold; Stripe sends one for each live secret of the endpoint.
pub const SIGNATURES_MAX: usize = 16;

/// One POST from Stripe, as it came. Its `Debug` shows no content.
#[derive(Clone, Copy)]
pub struct Delivery<'request> {
    /// The value of the `Stripe-Signature` header, if there was one.
    pub signature_header: Option<&'request [u8]>,
    /// The body, byte for byte.
    pub body: &'request [u8],
    /// When it was received.
    pub received_at: ReceivedAt,
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Delivery")
            .field("body_bytes", &self.body.len())
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}

/// A body that Stripe signed. Only [`authenticate`] makes one.
#[derive(Clone, Copy)]
pub struct AuthenticatedPayload<'request> {
    body: &'request [u8],
    signature_header: &'request str,
    signed_at: Timestamp,
    received_at: ReceivedAt,
    secret: SecretFingerprint,
}

impl<'request> AuthenticatedPayload<'request> {
    /// Returns the body, byte for byte.
    pub fn body(&self) -> &'request [u8] {
        self.body
    }

    /// Returns the header whose signature matched.
    pub fn signature_header(&self) -> &'request str {
        self.signature_header
    }

    /// Returns when Stripe signed it, by the header.
    pub fn signed_at(&self) -> Timestamp {
        self.signed_at
    }

    /// Returns when it was received.
    pub fn received_at(&self) -> ReceivedAt {
        self.received_at
    }

    /// Returns which secret matched.
    pub fn secret(&self) -> SecretFingerprint {
        self.secret
    }
}

/// Why a delivery is not authentic: the rule that failed, without any of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthenticationError {
    /// There is no signature header.
    #[error("the Stripe-Signature header is missing")]
    HeaderMissing,
    /// The header is longer than [`HEADER_BYTES_MAX`].
    #[error("the Stripe-Signature header is longer than {HEADER_BYTES_MAX} bytes")]
    HeaderTooLong,
    /// The header holds bytes that no header of Stripe's holds.
    #[error("the Stripe-Signature header holds other than ASCII characters")]
    HeaderNotAscii,
    /// The header has no `t=`.
    #[error("the Stripe-Signature header holds no timestamp")]
    TimestampMissing,
    /// The header has several `t=`, so that it is open which one was signed.
    #[error("the Stripe-Signature header holds more than one timestamp")]
    TimestampRepeated,
    /// The `t=` is no whole number of seconds.
    #[error("the timestamp of the Stripe-Signature header is no whole number of seconds")]
    TimestampInvalid,
    /// The header has no `v1=`.
    #[error("the Stripe-Signature header holds no v1 signature")]
    SignatureMissing,
    /// The header has more than [`SIGNATURES_MAX`] `v1=`.
    #[error("the Stripe-Signature header holds more than {SIGNATURES_MAX} v1 signatures")]
    SignaturesTooMany,
    /// No `v1=` is the signature of timestamp and body under any configured secret.
    #[error("no v1 signature matches the body under any configured webhook secret")]
    SignatureMismatch,
    /// The signature is right, but it was made too long ago: a replay, or a clock that is wrong.
    #[error("the signature is right, but its timestamp is older than the tolerance")]
    TimestampTooOld,
}

impl AuthenticationError {
    /// Returns the stable name of the rule, for metrics and answers.
    pub fn code(self) -> &'static str {
        match self {
            Self::HeaderMissing => "signature_header_missing",
            Self::HeaderTooLong => "signature_header_too_long",
            Self::HeaderNotAscii => "signature_header_not_ascii",
            Self::TimestampMissing => "timestamp_missing",
            Self::TimestampRepeated => "timestamp_repeated",
            Self::TimestampInvalid => "timestamp_invalid",
            Self::SignatureMissing => "signature_missing",
            Self::SignaturesTooMany => "signatures_too_many",
            Self::SignatureMismatch => "signature_mismatch",
            Self::TimestampTooOld => "timestamp_too_old",
        }
    }
}

/// Authenticates a delivery against any of the secrets.
///
/// The age is judged after the signature, so that "too old" is said only of what Stripe signed. A tolerance of 0
/// accepts no age at all; a timestamp in the future is accepted, as Stripe's clients do.
pub fn authenticate<'request>(
    delivery: Delivery<'request>,
    secrets: &Secrets,
    tolerance_seconds: u32,
) -> Result<AuthenticatedPayload<'request>, AuthenticationError> {
    let header = SignatureHeader::parse(delivery.signature_header)?;
    let secret = secrets
        .iter()
        .find(|secret| header.holds(&secret.signature(header.signed_at, delivery.body)))
        .ok_or(AuthenticationError::SignatureMismatch)?;
    let signed_at_milliseconds = header.signed_at.0.saturating_mul(1000);
    let age_milliseconds = delivery
        .received_at
        .0
        .saturating_sub(signed_at_milliseconds);
    if age_milliseconds > i64::from(tolerance_seconds).saturating_mul(1000) {
        return Err(AuthenticationError::TimestampTooOld);
    }
    Ok(AuthenticatedPayload {
        body: delivery.body,
        signature_header: header.text,
        signed_at: header.signed_at,
        received_at: delivery.received_at,
        secret: secret.fingerprint(),
    })
}

/// Returns the `Stripe-Signature` header that Stripe would send for `body` at `signed_at`.
pub fn sign(secret: &Secret, signed_at: Timestamp, body: &[u8]) -> String {
    format!("t={},v1={}", signed_at.0, secret.signature(signed_at, body))
}

/// A header that has one timestamp, and signatures of the scheme `v1`.
struct SignatureHeader<'request> {
    text: &'request str,
    signed_at: Timestamp,
}

impl<'request> SignatureHeader<'request> {
    fn parse(header: Option<&'request [u8]>) -> Result<Self, AuthenticationError> {
        let bytes = header.ok_or(AuthenticationError::HeaderMissing)?;
        if bytes.len() > HEADER_BYTES_MAX {
            return Err(AuthenticationError::HeaderTooLong);
        }
        if !bytes.is_ascii() {
            return Err(AuthenticationError::HeaderNotAscii);
        }
        let text = str::from_utf8(bytes).map_err(|_| AuthenticationError::HeaderNotAscii)?;

        let mut timestamps = values(text, "t");
        let timestamp = timestamps
            .next()
            .ok_or(AuthenticationError::TimestampMissing)?;
        if timestamps.next().is_some() {
            return Err(AuthenticationError::TimestampRepeated);
        }
        // Reads what all of Stripe's clients read (a leading `+`, zeros), and no space, `_` or trailing junk.
        let seconds = timestamp
            .parse()
            .map_err(|_| AuthenticationError::TimestampInvalid)?;

        match values(text, "v1").count() {
            0 => Err(AuthenticationError::SignatureMissing),
            1..=SIGNATURES_MAX => Ok(Self {
                text,
                signed_at: Timestamp(seconds),
            }),
            _ => Err(AuthenticationError::SignaturesTooMany),
        }
    }

    /// Returns whether `expected` is among the signatures.
    ///
    /// Compares the hex text, as Stripe's clients do, so anything but 64 lower-case digits matches nothing; and in a
    /// time that does not depend on where the two differ.
    fn holds(&self, expected: &str) -> bool {
        values(self.text, "v1")
            .any(|signature| signature.as_bytes().ct_eq(expected.as_bytes()).into())
    }
}

/// Returns the values of the elements `key=value`; other elements are ignored, with or without a `=`.
fn values<'text>(text: &'text str, key: &'static str) -> impl Iterator<Item = &'text str> {
    text.split(',').filter_map(move |element| {
        element
            .split_once('=')
            .and_then(|(name, value)| (name == key).then_some(value))
    })
}
