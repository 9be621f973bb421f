//! The head file: what must be there when the log is opened. Written and synced behind the commits.
//!
//! Two slots take turns, so that a torn write spoils the newer one only, and the older one still holds.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::binary::{Fields, checked, with_checksum};
use super::durable::{read_up_to, sync_directory};
use super::record::{GENESIS, Link};

const MAGIC: [u8; 8] = *b"AVOWHED1";
/// A slot lies in a disk block of its own.
const SLOT_SPACING: u64 = 4096;
const SLOT_BYTES: usize = 8 + 8 + 8 + 32 + 8 + 8;

/// What was durable when the head was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// How many entries the journal held.
    pub(super) size: u64,
    /// The chain's link after the last of them.
    pub(super) root: Link,
    /// How many entries sled held.
    pub(super) store_size: u64,
    /// How long sled's file was.
    pub(super) store_file_bytes: u64,
}

impl Head {
    /// The head of a log without entries.
    pub(super) const EMPTY: Self = Self {
        size: 0,
        root: GENESIS,
        store_size: 0,
        store_file_bytes: 0,
    };
}

/// The open head file.
pub(super) struct HeadFile {
    file: File,
    writes: u64,
}

impl HeadFile {
    /// Opens or creates the file; returns the newest head that is whole, if any is.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Option<Head>)> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        path.parent().map_or(Ok(()), sync_directory)?;
        let slots = [read_slot(&file, 0)?, read_slot(&file, 1)?];
        let newest = slots
            .into_iter()
            .flatten()
            .max_by_key(|(writes, _)| *writes);
        let (writes, head) = newest.map_or((0, None), |(writes, head)| (writes, Some(head)));
        Ok((Self { file, writes }, head))
    }

    /// Returns the newest head that is whole, and changes nothing.
    pub(super) fn read(path: &Path) -> io::Result<Option<Head>> {
        let file = File::open(path)?;
        let slots = [read_slot(&file, 0)?, read_slot(&file, 1)?];
        let newest = slots.into_iter().flatten();
        let newest = newest.max_by_key(|(writes, _)| *writes);
        Ok(newest.map(|(_, head)| head))
    }

    /// Writes a head over the older slot and syncs it. If we stop half-way, the newer slot still stands.
    pub(super) fn write(&mut self, head: &Head) -> io::Result<()> {
        self.writes += 1;
        self.file
            .write_all_at(&slot_bytes(self.writes, head), slot_offset(self.writes))?;
        self.file.sync_data()
    }
}

fn slot_offset(writes: u64) -> u64 {
    writes % 2 * SLOT_SPACING
}

fn slot_bytes(writes: u64, head: &Head) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SLOT_BYTES);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&writes.to_le_bytes());
    bytes.extend_from_slice(&head.size.to_le_bytes());
    bytes.extend_from_slice(&head.root);
    bytes.extend_from_slice(&head.store_size.to_le_bytes());
    bytes.extend_from_slice(&head.store_file_bytes.to_le_bytes());
    with_checksum(&bytes)
}

fn read_slot(file: &File, slot: u64) -> io::Result<Option<(u64, Head)>> {
    let mut bytes = [0; SLOT_BYTES + 4];
    let count = read_up_to(file, &mut bytes, slot_offset(slot))?;
    Ok(bytes
        .get(..count)
        .and_then(|bytes| checked(bytes, SLOT_BYTES))
        .and_then(parse_slot))
}

fn parse_slot(bytes: &[u8]) -> Option<(u64, Head)> {
    let mut fields = Fields::of(bytes.strip_prefix(&MAGIC)?);
    let writes = fields.u64()?;
    let (size, root) = (fields.u64()?, fields.array()?);
    Some((
        writes,
        Head {
            size,
            root,
            store_size: fields.u64()?,
            store_file_bytes: fields.u64()?,
        },
    ))
}
