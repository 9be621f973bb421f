//! `avow man` and `avow completions`: what the help texts say, for a manual and for a shell.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Verdict, output};

/// Write the man page of each command
///
/// One page for each command, made of the same definitions as its help text: `avow.1`, `avow-serve.1` and so on.
/// `man -l DIR/avow-serve.1` shows one; put them where `manpath` looks, below `man1`.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write them into this directory, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Print what completes commands and flags in a shell
///
/// For bash: `avow completions bash > ~/.local/share/bash-completion/completions/avow`. For zsh: into a file `_avow` in a
/// directory of `$fpath`. For fish: `avow completions fish > ~/.config/fish/completions/avow.fish`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// For which shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

pub(super) fn man(arguments: &Man) -> anyhow::Result<Verdict> {
    let Man { out } = arguments;
    fs::create_dir_all(out)
        .and_then(|()| clap_mangen::generate_to(super::Arguments::command(), out))
        .with_context(|| format!("the pages cannot be written to {}", out.display()))?;
    output::talk(&format!("wrote the man pages to {}", out.display()));
    Ok(Verdict::Good)
}

pub(super) fn completions(arguments: &Completions) -> anyhow::Result<Verdict> {
    let mut command = super::Arguments::command();
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, "avow", &mut script);
    output::data(&String::from_utf8(script)?)?;
    Ok(Verdict::Good)
}
