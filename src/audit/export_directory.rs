//! The directory that an export is written into: files of their own, each whole under its name, the signed manifest last.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::export::ExportError;
use super::manifest::{Hashing, MANIFEST, MANIFEST_NOTE, Manifest, hash};
use crate::transparency::export::ManifestHash;
use crate::transparency::note::Note;

/// An export that is being written.
pub(super) struct ExportDirectory {
    directory: PathBuf,
    /// An earlier export of the same log, whose files are linked where they are the same.
    earlier: Option<PathBuf>,
    hashes: BTreeMap<String, String>,
}

impl ExportDirectory {
    /// Begins an export in a directory that is empty, or not there.
    pub(super) fn begin(directory: &Path) -> Result<Self, ExportError> {
        let io = |source| ExportError::io(directory, source);
        fs::create_dir_all(directory).map_err(io)?;
        if fs::read_dir(directory).map_err(io)?.next().is_some() {
            return Err(ExportError::NotEmpty(directory.to_owned()));
        }
        Ok(Self {
            directory: directory.to_owned(),
            earlier: None,
            hashes: BTreeMap::new(),
        })
    }

    /// Shares the files of an earlier export that are the same. None of them is ever changed in place.
    pub(super) fn sharing(self, earlier: &Path) -> Self {
        let earlier = Some(earlier.to_owned());
        Self { earlier, ..self }
    }

    /// Reads a file that was written.
    pub(super) fn read(&self, path: &str) -> Result<Vec<u8>, ExportError> {
        let path = self.directory.join(path);
        fs::read(&path).map_err(|source| ExportError::io(&path, source))
    }

    /// Writes a file.
    pub(super) fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), ExportError> {
        if self.shares(path, bytes)? {
            let hash = hex::encode(Sha256::digest(bytes));
            self.hashes.insert(path.to_owned(), hash);
            return Ok(());
        }
        self.write_with(path, |file| {
            file.write_all(bytes)
                .map_err(|source| ExportError::io(path.as_ref(), source))
        })
    }

    /// Writes a file that is not in memory.
    pub(super) fn write_with(
        &mut self,
        path: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let mut hash = Sha256::new();
        self.write_whole(path, |file| {
            let mut tee = Tee(file, Hashing(&mut hash));
            write(&mut tee)
        })?;
        self.hashes
            .insert(path.to_owned(), hex::encode(hash.finalize()));
        Ok(())
    }

    /// Writes the manifest of what was written, and the note that stands for it.
    pub(super) fn finish(
        self,
        manifest: impl FnOnce(BTreeMap<String, String>) -> Manifest,
        sign: impl FnOnce(&ManifestHash) -> Result<Note, ExportError>,
    ) -> Result<(), ExportError> {
        let manifest = manifest(self.hashes.clone());
        let manifest = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from);
        let manifest = manifest.map_err(|source| ExportError::io(MANIFEST.as_ref(), source))?;
        let note = sign(&hash(&manifest))?.to_string();
        let write = |path, bytes: &[u8]| {
            self.write_whole(path, |file| {
                file.write_all(bytes)
                    .map_err(|source| ExportError::io(path.as_ref(), source))
            })
        };
        write(MANIFEST, &manifest)?;
        // Not before: a power cut must not leave a signed manifest of files that are not there.
        self.sync()?;
        write(MANIFEST_NOTE, note.as_bytes())?;
        self.sync()
    }

    /// Gives the file of the earlier export another name, if it holds these bytes. Where links cannot be had, it is
    /// written again.
    fn shares(&self, path: &str, bytes: &[u8]) -> Result<bool, ExportError> {
        let Some(earlier) = self.earlier.as_ref().map(|earlier| earlier.join(path)) else {
            return Ok(false);
        };
        if !fs::read(&earlier).is_ok_and(|there| there == bytes) {
            return Ok(false);
        }
        let path = self.directory.join(path);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .map_err(|source| ExportError::io(&path, source))?;
        Ok(fs::hard_link(&earlier, &path).is_ok())
    }

    /// Gives a file its name once it is whole.
    fn write_whole(
        &self,
        path: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let path = self.directory.join(path);
        let unfinished = path.with_added_extension("new");
        let io = |source| ExportError::io(&path, source);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .map_err(io)?;
        let mut file = BufWriter::new(File::create(&unfinished).map_err(io)?);
        write(&mut file)?;
        file.flush().map_err(io)?;
        fs::rename(&unfinished, &path).map_err(io)
    }

    /// Makes everything durable in one go: thousands of small files, one by one, take minutes.
    fn sync(&self) -> Result<(), ExportError> {
        let synced = File::open(&self.directory).and_then(|file| Ok(rustix::fs::syncfs(file)?));
        synced.map_err(|source| ExportError::io(&self.directory, source))
    }
}

/// Writes to both.
struct Tee<'a>(&'a mut dyn Write, Hashing<'a>);

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.write_all(bytes.get(..written).unwrap_or_default())?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
