//! Files and directories that survive a power cut: whole or not there at all.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

/// Makes a file's name durable: syncing a file does not sync the directory that names it.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Creates a file under its final name only once `write` has filled it and it is durable. If we stop before
/// the rename, a leftover `.new` file remains, which the next call overwrites. If `write` fails, none does: on a full
/// disk it would hold the last of the space.
pub(crate) fn create_whole<T>(
    path: &Path,
    write: impl FnOnce(&File) -> io::Result<T>,
) -> io::Result<T> {
    let unfinished = path.with_added_extension("new");
    let file = File::create(&unfinished)?;
    let written = write(&file).inspect_err(|_| drop(fs::remove_file(&unfinished)))?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), sync_directory)?;
    Ok(written)
}

/// Overwrites a file's bytes with zeros where they lie, and removes it; nothing happens if it is not there. If we
/// stop before the end, the file is still there under its name, and the next call begins again.
pub(super) fn overwrite_and_remove(path: &Path) -> io::Result<()> {
    let mut file = match File::options().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let bytes = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(bytes), &mut file)?;
    file.sync_all()?;
    // Not before the sync: the blocks of a removed file keep their old bytes, and nothing leads to them any more.
    fs::remove_file(path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Fills bytes of a file with zeros, which are not durable yet: a later sync of what is written over them has nothing but
/// that to write.
pub(super) fn fill_with_zeros(file: &File, bytes: Range<u64>) -> io::Result<()> {
    const PIECE_BYTES: u64 = 1024 * 1024;
    let mut from = bytes.start;
    while from < bytes.end {
        let count = PIECE_BYTES.min(bytes.end - from);
        let zeros = vec![0; usize::try_from(count).unwrap_or(0)];
        file.write_all_at(&zeros, from)?;
        from += count;
    }
    Ok(())
}

/// Gives a file its disk space ahead of its bytes, so that a later sync has little more than those to write.
pub(super) fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Err(Errno::OPNOTSUPP) => file.set_len(bytes),
        other => Ok(other?),
    }
}

/// Reads as many bytes as there are, up to the length of `buffer`.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], mut offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset) {
            Ok(0) => break,
            Ok(count) => {
                filled += count;
                offset += u64::try_from(count).unwrap_or(u64::MAX);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
