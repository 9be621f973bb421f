//! Keys and values packed behind each other: what threads hand on, and what is sorted.

/// How long a key and a value are, before them.
const LENGTHS_BYTES: usize = 2 + 4;

/// Keys and values, in the order in which they were pushed.
#[derive(Default)]
pub(super) struct Packed {
    bytes: Vec<u8>,
}

impl Packed {
    pub(super) fn with_capacity(byte_count: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(byte_count),
        }
    }

    /// Appends a key and its value, and returns where they stand.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> usize {
        self.push_with(key, |bytes| bytes.extend_from_slice(value))
    }

    /// Appends a key and the value that `put` appends, and returns where they stand.
    pub(super) fn push_with(&mut self, key: &[u8], put: impl FnOnce(&mut Vec<u8>)) -> usize {
        let start = self.bytes.len();
        // Keys hold an account, a time and an id of at most 255 bytes each; values are leaves and rows.
        let key_bytes = u16::try_from(key.len()).unwrap_or(u16::MAX);
        self.bytes.extend_from_slice(&key_bytes.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(key);
        let value_at = self.bytes.len();
        put(&mut self.bytes);
        let value_bytes = u32::try_from(self.bytes.len() - value_at).unwrap_or(u32::MAX);
        let lengths = self.bytes.get_mut(start + 2..start + LENGTHS_BYTES);
        if let Some(lengths) = lengths {
            lengths.copy_from_slice(&value_bytes.to_le_bytes());
        }
        start
    }

    /// Returns the key and the value that stand somewhere, and where the next ones do.
    pub(super) fn at(&self, place: usize) -> Option<(&[u8], &[u8], usize)> {
        let rest = self.bytes.get(place..)?;
        let (key_bytes, value_bytes) = lengths(rest)?;
        let record = rest.get(LENGTHS_BYTES..LENGTHS_BYTES + key_bytes + value_bytes)?;
        let (key, value) = record.split_at_checked(key_bytes)?;
        Some((key, value, place + LENGTHS_BYTES + record.len()))
    }

    /// Returns a key and its value as they are packed.
    pub(super) fn packed_at(&self, place: usize) -> &[u8] {
        let end = self.at(place).map_or(place, |(_, _, end)| end);
        self.bytes.get(place..end).unwrap_or_default()
    }

    /// Returns the keys and values in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut place = 0;
        std::iter::from_fn(move || {
            let (key, value, next) = self.at(place)?;
            place = next;
            Some((key, value))
        })
    }

    pub(super) fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// Returns how long the key and the value at the start of `bytes` are.
pub(super) fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
    let (key_bytes, rest) = bytes.split_first_chunk()?;
    let (value_bytes, _) = rest.split_first_chunk()?;
    let key_bytes = usize::from(u16::from_le_bytes(*key_bytes));
    let value_bytes = usize::try_from(u32::from_le_bytes(*value_bytes)).ok()?;
    Some((key_bytes, value_bytes))
}

/// The bytes before a key and its value.
pub(super) const fn lengths_bytes() -> usize {
    LENGTHS_BYTES
}
