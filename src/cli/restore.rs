//! `avow restore`: a data directory again, from a backup.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::import::{ImportArguments, tell};
use super::{Verdict, output};
use crate::audit::backup::latest;
use crate::audit::import::ImportError;

/// Restore a data directory from a backup, once all of it is checked
///
/// Nothing is written before every signature, file, entry and checkpoint is what the log signed, and every payload opens
/// with its key from the vault or an entry says that it was erased. Then the log is written, opened, folded and compared:
/// prints root and digest, which are those that `avow backup` printed.
///
/// What came after the backup is not in it. Erasures that were carried out since have to be carried out again: where the
/// copy of the vault is newer than the log, it names them. Whoever has a later checkpoint can prove that entries are gone:
/// give it with `--seen`, and a backup that ends before it is refused.
///
/// Exit codes: 3 the backup ends before a checkpoint that was seen, or lies on another log; 1 restored, and something is
/// left to do, which is told; 2 not restored; 0 restored.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The directory that `avow backup` wrote into
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// Hold the backup against this checkpoint, which you kept; give it for each
    #[arg(long, value_name = "FILE")]
    seen: Vec<PathBuf>,
    /// Restore although a checkpoint was seen that covers more entries
    #[arg(long)]
    accept_loss: bool,
    #[command(flatten)]
    import: ImportArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let backup = latest(&arguments.backup).with_context(|| shown(&arguments.backup))?;
    let backup = backup
        .with_context(|| format!("there is no whole backup in {}", shown(&arguments.backup)))?;
    let seen = arguments.seen.iter().map(|path| super::audit::seen(path));
    let seen = seen.collect::<anyhow::Result<Vec<_>>>()?;
    let restored = arguments
        .import
        .import(&backup, &seen, arguments.accept_loss);
    match restored.map_err(anyhow::Error::downcast) {
        Ok(imported) => tell(&imported),
        Err(Ok(error @ (ImportError::Behind { .. } | ImportError::Forked { .. }))) => {
            output::talk(&format!("avow: {error}"));
            Ok(Verdict::ForkedOrRolledBack)
        }
        Err(Ok(error)) => Err(error.into()),
        Err(Err(error)) => Err(error),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
