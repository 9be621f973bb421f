//! A token is `avow_`, 32 bytes and their CRC32C in lower-case hexadecimal digits, and nothing else; a second reading,
//! which is written digit by digit, says the same.

use avow::access::token::{Token, TokenId};

const CASTAGNOLI: u32 = 0x82f6_3b78;

/// Reads the bytes as a token and as the id of one. `@` stands for the checksum of the digits before it.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let text = match text.strip_suffix('@') {
        Some(before) => format!("{before}{}", checksum_of(before).unwrap_or_default()),
        None => text.to_owned(),
    };

    let token = Token::parse(&text);

    assert_eq!(token.is_ok(), is_token(&text));
    if let Ok(token) = token {
        assert_eq!(token.expose(), text);
        let id = token.digest().id();
        assert_eq!(TokenId::parse(id.as_str()), Some(id));
    }
    if let Some(id) = TokenId::parse(&text) {
        assert_eq!(id.as_str(), text);
    }
}

fn is_token(text: &str) -> bool {
    text.len() == 77
        && text.is_char_boundary(69)
        && text
            .bytes()
            .skip(5)
            .all(|byte| b"0123456789abcdef".contains(&byte))
        && checksum_of(&text[..69]).is_some_and(|checksum| checksum == text[69..])
}

/// Returns the checksum of the digits behind the prefix, bit by bit.
fn checksum_of(text: &str) -> Option<String> {
    let secret = hex::decode(text.strip_prefix("avow_")?).ok()?;
    let mut checksum = u32::MAX;
    for byte in secret {
        checksum ^= u32::from(byte);
        for _ in 0..8 {
            let carry = checksum & 1;
            checksum = (checksum >> 1) ^ (CASTAGNOLI * carry);
        }
    }
    Some(format!("{:08x}", !checksum))
}
