//! Little-endian fields of the stored formats. Reading is bounds-checked: wrong bytes are `None`, never a
//! crash.

/// The longest text that a stored format holds, in bytes: its length is one byte.
pub(super) const TEXT_BYTES_MAX: usize = 255;

/// Bytes that are read field by field.
pub(super) struct Fields<'bytes> {
    rest: &'bytes [u8],
}

impl<'bytes> Fields<'bytes> {
    pub(super) fn of(bytes: &'bytes [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn rest(&self) -> &'bytes [u8] {
        self.rest
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'bytes [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*array)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Option<&'bytes str> {
        let count = usize::from(self.u8()?);
        std::str::from_utf8(self.bytes(count)?).ok()
    }
}

/// Returns as much of `text` as a stored format holds.
pub(super) fn bounded(text: &str) -> &str {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text.get(..end).unwrap_or_default()
}

/// Appends a text with its length before it.
pub(super) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let text = bounded(text);
    bytes.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(text.as_bytes());
}

/// Returns `bytes` with their CRC32C before them.
pub(super) fn with_checksum(bytes: &[u8]) -> Vec<u8> {
    [&crc32c::crc32c(bytes).to_le_bytes(), bytes].concat()
}

/// Returns the `count` bytes whose CRC32C stands before them, if it is theirs.
pub(super) fn checked(bytes: &[u8], count: usize) -> Option<&[u8]> {
    let mut fields = Fields::of(bytes);
    let checksum = fields.u32()?;
    fields
        .bytes(count)
        .filter(|bytes| crc32c::crc32c(bytes) == checksum)
}
