//! The file of the access tokens: read by the server, written by `avow tokens`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::access::register::{Register, RegisterError};
use crate::log::durable::sync_directory;

/// What it is called in the data directory.
pub const FILE: &str = "tokens.json";

/// Why the access tokens cannot be read or written. No message repeats a hash.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// The operating system refused.
    #[error("the access tokens in {} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("the access tokens in {} cannot be used: {source}; put back a copy, or delete the file and make new tokens", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: RegisterError,
    },
    /// A setting names a file that is not there.
    #[error("the file that `access.tokens_file` names is not there; `avow tokens create` makes it")]
    Missing,
}

impl TokensError {
    fn io(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Reads the file; `None` if it is not there.
pub fn read(path: &Path) -> Result<Option<Register>, TokensError> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(TokensError::io(path))?,
    };
    let malformed = |source| TokensError::Malformed {
        path: path.to_owned(),
        source,
    };
    Register::parse(&text).map(Some).map_err(malformed)
}

/// Changes what is in the file, or makes it. Two changes at once happen one after the other.
pub fn change<T, E: From<TokensError>>(
    path: &Path,
    change: impl FnOnce(&mut Register) -> Result<T, E>,
) -> Result<T, E> {
    let io = TokensError::io(path);
    // Not the file itself, which is replaced: whoever waited for its lock would then hold that of a file that is gone.
    let lock = File::create(path.with_added_extension("lock")).map_err(&io)?;
    give_to_owner_of(directory_of(path), &lock).map_err(&io)?;
    lock.lock().map_err(&io)?;
    let mut register = read(path)?.unwrap_or_default();
    let changed = change(&mut register)?;
    write(path, &register).map_err(&io)?;
    Ok(changed)
}

/// If we stop before the rename, the old file stands, and a leftover that the next change writes over.
fn write(path: &Path, register: &Register) -> io::Result<()> {
    let directory = directory_of(path);
    let unfinished = path.with_added_extension("new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    // A leftover keeps the mode that it had.
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    file.write_all(register.text()?.as_bytes())?;
    give_to_owner_of(directory, &file)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    sync_directory(directory)
}

fn directory_of(path: &Path) -> &Path {
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    directory.unwrap_or(Path::new("."))
}

/// What the superuser writes has to be readable by the server, to whom the directory belongs.
#[cfg(unix)]
fn give_to_owner_of(directory: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (owner, written) = (fs::metadata(directory)?, file.metadata()?);
    if (owner.uid(), owner.gid()) == (written.uid(), written.gid()) || written.uid() != 0 {
        return Ok(());
    }
    fchown(file, Some(owner.uid()), Some(owner.gid()))
}

#[cfg(not(unix))]
fn give_to_owner_of(_directory: &Path, _file: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    use super::*;

    #[test]
    fn what_is_written_is_its_owners_alone_and_a_leftover_changes_nothing_of_that() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let leftover = path.with_added_extension("new");
        fs::write(&leftover, "").unwrap();
        fs::set_permissions(&leftover, Permissions::from_mode(0o666)).unwrap();
        // Who is not the superuser can give nothing away, and needs not to.
        let is_root = chown(directory.path(), Some(1234), Some(1234)).is_ok();

        change(&path, |_register| Ok::<_, TokensError>(())).unwrap();

        let written = fs::metadata(&path).unwrap();
        assert_eq!(written.mode() & 0o777, 0o600);
        let owner = fs::metadata(directory.path()).unwrap().uid();
        assert_eq!(owner == 1234, is_root);
        let lock = fs::metadata(path.with_added_extension("lock")).unwrap();
        assert_eq!([written.uid(), lock.uid()], [owner, owner]);
    }
}
