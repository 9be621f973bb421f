//! The sealed payloads of the entries of a bundle: each behind its length in four bytes, big-endian; an entry without
//! one has the length 0. No part of C2SP's layout, and laid out like it.

use super::bundle::BundleError;
use super::tile::EntryBundle;

/// Returns the path of a bundle's payloads, beside that of its entries.
pub fn path(bundle: EntryBundle) -> String {
    bundle.to_string().replacen("tile/entries", "payloads", 1)
}

/// Appends a sealed payload to the bytes of a bundle.
pub fn put_payload(bundle: &mut Vec<u8>, sealed: &[u8]) {
    // A payload is sealed from one request, whose size is bounded far below.
    bundle.extend(
        u32::try_from(sealed.len())
            .unwrap_or(u32::MAX)
            .to_be_bytes(),
    );
    bundle.extend(sealed);
}

/// Returns the payloads of a bundle, as many as it has entries.
pub fn payloads(bundle: EntryBundle, mut bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let payloads = bundle
        .entries()
        .map(|_| {
            let (length, rest) = bytes.split_first_chunk().ok_or(BundleError::TooShort)?;
            let length = usize::try_from(u32::from_be_bytes(*length));
            let length = length.map_err(|_| BundleError::TooShort)?;
            let (payload, rest) = rest.split_at_checked(length).ok_or(BundleError::TooShort)?;
            bytes = rest;
            Ok(payload)
        })
        .collect::<Result<_, _>>()?;
    if bytes.is_empty() {
        Ok(payloads)
    } else {
        Err(BundleError::TooLong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_read_as_they_were_put_and_nothing_else_is() {
        let bundle = EntryBundle::holding(256, 259).unwrap();
        let sealed: [&[u8]; 3] = [b"one", b"", b"three"];
        let mut bytes = Vec::new();
        for payload in sealed {
            put_payload(&mut bytes, payload);
        }

        assert_eq!(payloads(bundle, &bytes).unwrap(), sealed);
        assert_eq!(path(bundle), "payloads/001.p/3");
        for end in 0..bytes.len() {
            assert_eq!(payloads(bundle, &bytes[..end]), Err(BundleError::TooShort));
        }
        bytes.push(0);
        assert_eq!(payloads(bundle, &bytes), Err(BundleError::TooLong));
    }
}
