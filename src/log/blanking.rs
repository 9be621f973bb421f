//! Blanking: writing over the sealed payloads of erased entries, where they lie in the journal.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::journal::{End, segments};
use super::record;
use super::segment::{self, SegmentReader};

/// Blanks the payloads of these entries, and makes that durable. A record that is blank already, or is not
/// there, is passed over. If we stop half-way, a payload is blank in part: the same is done again, with the same result.
pub(super) fn blank(directory: &Path, entries: &BTreeSet<u64>, end: End) -> io::Result<()> {
    let firsts = segments(directory)?;
    for (index, first) in firsts.iter().enumerate() {
        let next_first = firsts.get(index + 1).copied().unwrap_or(u64::MAX);
        let mut here = entries.range(*first..next_first).peekable();
        if here.peek().is_none() {
            continue;
        }
        let path = segment::path(directory, *first);
        let file = match File::options().read(true).write(true).open(path) {
            // sled has it durably, and the journal has let go of it since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let until = if end.segment_first == *first {
            end.offset
        } else {
            file.metadata()?.len()
        };
        for sequence in here {
            blank_record(&file, *sequence, until)?;
        }
        file.sync_data()?;
    }
    Ok(())
}

fn blank_record(file: &File, sequence: u64, until: u64) -> io::Result<()> {
    let mut reader = SegmentReader::of(file.try_clone()?);
    reader.seek(sequence, until)?;
    while let Some(record) = reader.next()? {
        if record.sequence < sequence {
            continue;
        }
        let (payload, bytes) = (record.payload_range(), record.bytes.len());
        let is_blank = record
            .bytes
            .get(payload.clone())
            .is_none_or(record::is_blank);
        if record.sequence == sequence && !is_blank {
            let blank = vec![record::BLANK; payload.len()];
            let start = reader.offset() - segment::as_u64(record::padded(bytes));
            file.write_all_at(&blank, start + segment::as_u64(payload.start))?;
        }
        break;
    }
    Ok(())
}
