//! A delivery is authentic exactly if a second implementation says so, which is written from Stripe's documentation and
//! from the law of the signature verdicts, and shares no line and no crate with the first.
//!
//! The bytes: a line with the time of receipt in milliseconds, one with the tolerance in seconds, one with the header,
//! and the body. In the header, `@a` and `@b` stand for what the two configured secrets sign, `@x` for what a third
//! signs, and `@A` for the first in capitals: no fuzzer guesses a signature.

use avow::stripe::secret::{Secret, Secrets};
use avow::stripe::signature::{Delivery, authenticate};
use ring::hmac;
use state_machine::time::ReceivedAt;

const SECRETS: [&str; 2] = ["whsec_first", "whsec_second"];
const OTHER_SECRET: &str = "whsec_other";

/// Compares the two.
pub(crate) fn holds(bytes: &[u8]) {
    let Some((received_at, tolerance, header, body)) = parts(bytes) else {
        return;
    };
    let header = signed(header, body);
    let secrets = Secrets::parse(&SECRETS.join(",")).unwrap();

    let verdict = authenticate(
        Delivery {
            signature_header: Some(&header),
            body,
            received_at: ReceivedAt(received_at),
        },
        &secrets,
        tolerance,
    );

    let expected = authentic(&header, body, received_at, tolerance);
    let found = verdict.ok().map(|payload| {
        assert_eq!(payload.body(), body);
        assert_eq!(payload.signature_header().as_bytes(), header);
        (payload.signed_at().0, payload.secret())
    });
    let expected = expected.map(|(signed_at, secret)| {
        let secret = Secret::new(secret).unwrap();
        (signed_at, secret.fingerprint())
    });
    assert_eq!(found, expected);
}

fn parts(bytes: &[u8]) -> Option<(i64, u32, &[u8], &[u8])> {
    let mut lines = bytes.splitn(4, |byte| *byte == b'\n');
    let mut number = || str::from_utf8(lines.next()?).ok()?.parse::<u64>().ok();
    // Our own clock shows no time before 1970.
    let received_at = i64::try_from(number()?).ok()?;
    let tolerance = u32::try_from(number()?).ok()?;
    Some((received_at, tolerance, lines.next()?, lines.next()?))
}

/// Writes signatures in the place of what stands for them.
fn signed(header: &[u8], body: &[u8]) -> Vec<u8> {
    let signed_at = timestamps(header).first().copied().and_then(whole_number);
    let signature = |secret| signature(secret, signed_at.unwrap_or_default(), body);
    let mut signed = Vec::new();
    let mut bytes = header.iter().copied();
    while let Some(byte) = bytes.next() {
        let mut ahead = bytes.clone();
        let text = match (byte, ahead.next()) {
            (b'@', Some(b'a')) => signature(SECRETS[0]),
            (b'@', Some(b'b')) => signature(SECRETS[1]),
            (b'@', Some(b'x')) => signature(OTHER_SECRET),
            (b'@', Some(b'A')) => signature(SECRETS[0]).to_uppercase(),
            _ => {
                signed.push(byte);
                continue;
            }
        };
        signed.extend(text.bytes());
        bytes = ahead;
    }
    signed
}

/// The second opinion: when it was signed, and under which secret.
fn authentic(
    header: &[u8],
    body: &[u8],
    received_at: i64,
    tolerance: u32,
) -> Option<(i64, &'static str)> {
    if header.len() > 4096 || !header.iter().all(|byte| *byte < 128) {
        return None;
    }
    let [timestamp] = *timestamps(header) else {
        return None;
    };
    let signed_at = whole_number(timestamp)?;
    let signatures = values(header, b"v1");
    if signatures.len() > 16 {
        return None;
    }
    let secret = SECRETS.into_iter().find(|secret| {
        let expected = signature(secret, signed_at, body);
        signatures.contains(&expected.as_bytes())
    })?;
    let age = i128::from(received_at) - i128::from(signed_at) * 1000;
    (age <= i128::from(tolerance) * 1000).then_some((signed_at, secret))
}

fn timestamps(header: &[u8]) -> Vec<&[u8]> {
    values(header, b"t")
}

/// Returns the values that stand behind a key and the first `=` of an element.
fn values<'header>(header: &'header [u8], key: &[u8]) -> Vec<&'header [u8]> {
    let elements = header.split(|byte| *byte == b',');
    elements
        .filter_map(|element| element.strip_prefix(key)?.strip_prefix(b"="))
        .collect()
}

/// Reads digits behind at most one sign, as far as 64 bits go.
fn whole_number(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number: i128 = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    i64::try_from(if is_negative { -number } else { number }).ok()
}

fn signature(secret: &str, signed_at: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(signed_at.to_string().as_bytes());
    context.update(b".");
    context.update(body);
    hex::encode(context.sign())
}
