//! The flags by which a user is named to a command that reads a log: by reference, or by tag.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use state_machine::id::UserTag;

use crate::config::secrets::master_key_in;
use crate::log::unsealer::Unsealer;
use crate::log::vault::reader::VaultReader;
use crate::stripe::user_reference::UserReference;

/// What opens a user's name.
#[derive(Debug, Args)]
pub(super) struct KeyArguments {
    /// The log's vault, or a copy of it [default: the file `vault` of a data directory]
    #[arg(long, value_name = "FILE", requires = "master_key_file")]
    vault: Option<PathBuf>,
    /// The file that holds the vault's master key
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,
}

impl KeyArguments {
    /// Returns the tag under which the log in `source` names a user.
    pub(super) fn tag_of(&self, source: &str, reference: &str) -> anyhow::Result<UserTag> {
        let Some(key_file) = &self.master_key_file else {
            bail!(
                "`--user` needs `--master-key-file` (and `--vault`, but for a data directory): the log knows tags alone"
            );
        };
        let reference = UserReference::new(reference).context("`--user` is no user reference")?;
        let key = master_key_in("--master-key-file", key_file, source.as_ref())?;
        let beside = Path::new(source).join("vault");
        let vault = self.vault.as_deref().unwrap_or(&beside);
        let unsealer = Unsealer::new(VaultReader::open(vault)?, &key)?;
        Ok(unsealer.user_tag(&reference))
    }
}

/// Returns the tag that a text spells.
pub(super) fn parse_tag(text: &str) -> anyhow::Result<UserTag> {
    let mut tag = [0; 16];
    let digits = text
        .strip_prefix("tag_")
        .context("`--tag` is `tag_` and 32 hexadecimal digits")?;
    hex::decode_to_slice(digits, &mut tag)
        .context("`--tag` is `tag_` and 32 hexadecimal digits")?;
    Ok(UserTag(tag))
}
