//! A record: an entry's bytes as the journal and sled both hold them, byte for byte the same.
//!
//! Each carries the chain hash before it, and the first sequence number of its commit group: a record whose group
//! starts later than a damaged one proves that the damaged one had been acknowledged.
//!
//! It has two checksums, one over what stays and one over the sealed payload: a payload that is erased is blanked where
//! it lies, and its record stands.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use state_machine::id::SequenceNumber;

use super::binary::Fields;
use super::durable::read_up_to;
use super::entry::{Entry, Leaf};
use super::leaf::LeafError;
use super::segment::as_u64;
use crate::transparency::hash::{Hash, leaf_hash};

/// The first bytes of every record.
pub(super) const MAGIC: [u8; 4] = *b"AVW2";
/// What an erased payload is overwritten with. Not zeros: those are what a torn write leaves.
pub(super) const BLANK: u8 = 0xe5;
/// As many blank bytes in a row are found in no sealed payload, and in every one that we stopped while blanking.
const BLANK_RUN: usize = 8;
/// Where the checked bytes begin: after the magic and the checksum.
const CHECKED_FROM: usize = 8;
/// The bytes before the leaf.
pub(super) const HEADER_BYTES: usize = 68;
/// Records begin at multiples of this in the journal, so that one can be found again behind damage.
pub(super) const ALIGNMENT: usize = 8;

/// A link of the hash chain: SHA-256 of the link before and the hash under which the leaf stands in the Merkle tree.
pub(super) type Link = [u8; 32];

/// The link before the first entry.
pub(super) const GENESIS: Link = [0; 32];

/// A whole record, borrowed from its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'bytes> {
    /// All of it, without padding.
    pub(super) bytes: &'bytes [u8],
    pub(super) sequence: u64,
    /// The first sequence number of the commit group that it was written in.
    pub(super) group_first: u64,
    /// The chain's link before this entry.
    pub(super) before: Link,
    pub(super) leaf: &'bytes [u8],
    /// Empty if there is none, or if it was erased.
    pub(super) sealed: &'bytes [u8],
}

impl<'bytes> Record<'bytes> {
    /// Returns the record at the start of `bytes`, if a whole and undamaged one stands there.
    pub(super) fn parse(bytes: &'bytes [u8]) -> Option<Self> {
        let whole = bytes.get(..bytes_of(bytes)?)?;
        let mut fields = Fields::of(whole);
        fields.array::<4>()?;
        let checksum = fields.u32()?;
        let leaf_bytes = usize::try_from(fields.u32()?).ok()?;
        let sealed_bytes = usize::try_from(fields.u32()?).ok()?;
        let sealed_checksum = fields.u32()?;
        let (sequence, group_first, before) = (fields.u64()?, fields.u64()?, fields.array()?);
        let (leaf, sealed) = (fields.bytes(leaf_bytes)?, fields.bytes(sealed_bytes)?);
        let stays = whole.get(CHECKED_FROM..whole.len().checked_sub(sealed_bytes)?)?;
        if checksum != crc32c::crc32c(stays) {
            return None;
        }
        let sealed = if is_blank(sealed) {
            &[]
        } else if sealed_checksum == crc32c::crc32c(sealed) {
            sealed
        } else if is_blanked_in_part(sealed) {
            &[]
        } else {
            return None;
        };
        Some(Self {
            bytes: whole,
            sequence,
            group_first,
            before,
            leaf,
            sealed,
        })
    }

    /// Returns the chain's link after this entry.
    pub(super) fn link(&self) -> Link {
        link(&self.before, &leaf_hash(self.leaf))
    }

    /// Returns the payload as it lies there, unless all of it was erased.
    pub(super) fn unblanked(&self) -> &'bytes [u8] {
        let payload = self.bytes.get(self.payload_range()).unwrap_or_default();
        if is_blank(payload) { &[] } else { payload }
    }

    /// Returns where in the record its payload lies, erased or not.
    pub(super) fn payload_range(&self) -> Range<usize> {
        HEADER_BYTES + self.leaf.len()..self.bytes.len()
    }

    /// Returns the entry.
    pub(super) fn entry(&self) -> Result<Arc<Entry>, LeafError> {
        Ok(Arc::new(Entry {
            leaf: Leaf::decode(self.leaf)?,
            sealed: self.sealed.to_vec(),
        }))
    }
}

/// A record without its payload, which is not looked at: of a whole log, payloads are most of the bytes.
pub(super) struct Clear<'bytes> {
    pub(super) sequence: u64,
    pub(super) leaf: &'bytes [u8],
}

impl<'bytes> Clear<'bytes> {
    /// Reads the record at the start of `bytes`, which need not hold its payload, if what stays of it is undamaged.
    pub(super) fn parse(bytes: &'bytes [u8]) -> Option<Self> {
        let mut fields = Fields::of(bytes.strip_prefix(&MAGIC)?);
        let checksum = fields.u32()?;
        let leaf_bytes = usize::try_from(fields.u32()?).ok()?;
        let (_sealed_bytes, _sealed_checksum) = (fields.u32()?, fields.u32()?);
        let sequence = fields.u64()?;
        let end = HEADER_BYTES.checked_add(leaf_bytes)?;
        let is_whole = checksum == crc32c::crc32c(bytes.get(CHECKED_FROM..end)?);
        let leaf = bytes.get(HEADER_BYTES..end)?;
        is_whole.then_some(Self { sequence, leaf })
    }

    /// Returns how many bytes the record at the start of `bytes` has without its payload, and with it.
    pub(super) fn lengths(bytes: &[u8]) -> Option<(usize, usize)> {
        let whole = bytes_of(bytes)?;
        let leaf = Fields::of(bytes.get(MAGIC.len() + 4..)?).u32()?;
        Some((HEADER_BYTES + usize::try_from(leaf).ok()?, whole))
    }
}

/// What a record says of itself before its leaf and its payload.
pub(super) struct RecordHead {
    leaf_bytes: usize,
    sealed_bytes: usize,
}

impl RecordHead {
    /// The longest leaf that is looked for.
    const LEAF_BYTES_MAX: usize = 8 * 1024;
    const WINDOW_BYTES: usize = 64 * 1024;

    /// Reads the record that begins at `offset` of any file, and its leaf, if both are whole; the payload need not be.
    pub(super) fn read(file: &File, offset: u64) -> io::Result<Option<(Self, Vec<u8>)>> {
        let mut bytes = vec![0; HEADER_BYTES + Self::LEAF_BYTES_MAX];
        let filled = read_up_to(file, &mut bytes, offset)?;
        bytes.truncate(filled);
        Ok(Self::parse(&bytes))
    }

    fn parse(bytes: &[u8]) -> Option<(Self, Vec<u8>)> {
        let mut fields = Fields::of(bytes.strip_prefix(&MAGIC)?);
        let checksum = fields.u32()?;
        let leaf_bytes = usize::try_from(fields.u32()?).ok()?;
        let sealed_bytes = usize::try_from(fields.u32()?).ok()?;
        let end = HEADER_BYTES.checked_add(leaf_bytes)?;
        let is_whole = checksum == crc32c::crc32c(bytes.get(CHECKED_FROM..end)?);
        let leaf = bytes.get(HEADER_BYTES..end)?.to_vec();
        let head = Self {
            leaf_bytes,
            sealed_bytes,
        };
        is_whole.then_some((head, leaf))
    }

    /// Tells whether anything is left of the payload of the record at `offset`. Zeros are not: they were never written.
    pub(super) fn payload_remains(&self, file: &File, offset: u64) -> io::Result<bool> {
        let mut from = offset + as_u64(HEADER_BYTES + self.leaf_bytes);
        let mut left = self.sealed_bytes;
        while left > 0 {
            let mut window = vec![0; left.min(Self::WINDOW_BYTES)];
            let filled = read_up_to(file, &mut window, from)?;
            let mut bytes = window.iter().take(filled);
            if bytes.any(|byte| *byte != BLANK && *byte != 0) {
                return Ok(true);
            }
            if filled < window.len() {
                break;
            }
            left -= filled;
            from += as_u64(filled);
        }
        Ok(false)
    }
}

/// Tells whether nothing of a payload is left.
pub(super) fn is_blank(sealed: &[u8]) -> bool {
    sealed.iter().all(|byte| *byte == BLANK)
}

/// Tells whether we stopped while a payload was blanked. Its record stands: were it taken for damage, and the last of
/// the journal, it would be cut as the torn end of a group that nobody was told of.
pub(super) fn is_blanked_in_part(sealed: &[u8]) -> bool {
    sealed.windows(BLANK_RUN).any(is_blank)
}

/// Returns how long the record at the start of `bytes` says it is; `None` if none starts there.
pub(super) fn bytes_of(bytes: &[u8]) -> Option<usize> {
    let mut fields = Fields::of(bytes);
    if fields.array::<4>()? != MAGIC {
        return None;
    }
    fields.u32()?;
    let (leaf, sealed) = (
        usize::try_from(fields.u32()?).ok()?,
        usize::try_from(fields.u32()?).ok()?,
    );
    HEADER_BYTES.checked_add(leaf)?.checked_add(sealed)
}

/// Returns the chain's link after a leaf.
pub(super) fn link(before: &Link, leaf: &Hash) -> Link {
    Sha256::new()
        .chain_update(before)
        .chain_update(leaf.0)
        .finalize()
        .into()
}

/// Appends a record to the bytes of its group, padded to [`ALIGNMENT`].
pub(super) fn put_record(
    group: &mut Vec<u8>,
    (sequence, group_first): (SequenceNumber, SequenceNumber),
    before: &Link,
    (leaf, sealed): (&[u8], &[u8]),
) {
    let start = group.len();
    group.extend_from_slice(&MAGIC);
    group.extend_from_slice(&[0; 4]);
    for part in [leaf, sealed] {
        group.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    group.extend_from_slice(&crc32c::crc32c(sealed).to_le_bytes());
    group.extend_from_slice(&sequence.0.to_le_bytes());
    group.extend_from_slice(&group_first.0.to_le_bytes());
    group.extend_from_slice(before);
    group.extend_from_slice(leaf);
    group.extend_from_slice(sealed);
    let stays_until = group.len() - sealed.len();
    if let Some(record) = group.get_mut(start..stays_until)
        && let Some((head, checked)) = record.split_at_mut_checked(CHECKED_FROM)
    {
        let checksum = crc32c::crc32c(checked).to_le_bytes();
        head.iter_mut()
            .skip(MAGIC.len())
            .zip(checksum)
            .for_each(|(to, from)| *to = from);
    }
    group.resize(padded(group.len()), 0);
}

/// Returns `bytes` rounded up to [`ALIGNMENT`].
pub(super) const fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}
