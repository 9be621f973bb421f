//! `avow backup`: what brings a service back, copied from one that goes on.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{ArgGroup, Args};

use super::progress::Bar;
use super::server_access::ServerAccess;
use super::sources::SourceArguments;
use super::{Verdict, opened, output};
use crate::audit::backup::{BackedUp, VaultCopy, back_up};
use crate::audit::export_source::Server;
use crate::audit::web::Web;
use crate::config::settings::Settings;
use crate::config::{Configuration, reference};
use crate::log::durable::create_whole;
use crate::log::vault::file_system::in_place_warning;

/// Back up the log, and its vault to another place
///
/// DIR gets what `avow export` writes, with sealed payloads, in a directory of its own: `backup-1` and so on. The next run
/// copies only what is new and takes out what was erased since; the one before is removed last, so that a run that is
/// killed leaves it whole. It holds no key. Through a server with `--server`, which goes on writing, or from a data
/// directory that no server holds, with the configuration of `avow serve`.
///
/// The keys lie in the vault. A backup without it cannot be read; a copy of it undoes every erasure that comes later. So
/// it is copied to FILE, outside DIR, over the copy that was there, which is overwritten with zeros: keep the two apart,
/// and no other copy of it. `avow restore` needs both, and the master key, which is in neither.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("keys").required(true).args(["vault_out", "without_vault"])))]
#[command(mut_arg("listen", |listen| listen.hide(true)))]
pub(super) struct Arguments {
    /// Back up into this directory, anew or after the backup that it holds
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Copy the vault of the data directory to this file, with the master key at hand; also while a server holds it
    #[arg(long, value_name = "FILE")]
    vault_out: Option<PathBuf>,
    /// Leave the vault to another run, on the machine where it lies
    #[arg(long)]
    without_vault: bool,
    /// Copy the log from the server at this URL, which holds the data, instead of opening them
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    access: ServerAccess,
    #[command(flatten)]
    sources: SourceArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let settings = arguments.sources.with(Settings::load)?;
    let data_dir = settings.server.data_dir.as_deref();
    let keys = arguments.vault_out.as_deref().map(|to| {
        let data_dir = data_dir.context("no data directory is set; give `--data-dir DIR`")?;
        let master_key = arguments
            .sources
            .with(|sources| settings.master_key(sources))?;
        anyhow::Ok((data_dir.join("vault"), to, master_key))
    });
    let keys = keys.transpose()?;
    let vault = keys.as_ref().map(|(from, to, master_key)| VaultCopy {
        from,
        to,
        master_key,
    });
    let bar = Bar::of("entries");
    let progress = |done, all| bar.set(done, all);
    let backed_up = if let Some(url) = &arguments.server {
        back_up(
            &Server(Web::new(url, Some(&arguments.access.read(url)?))?),
            &arguments.out,
            vault,
            progress,
        )?
    } else {
        let configuration = arguments.sources.with(Configuration::load)?;
        let service = opened::open(configuration, "back up from it with `--server URL`")?;
        back_up(&service, &arguments.out, vault, progress)?
    };
    bar.finish();
    if data_dir.is_some() {
        keep_configuration(arguments);
    }
    tell(&backed_up, arguments.vault_out.as_deref())
}

/// Keeps the settings beside the backup, which is good without them: that they are not kept is told, and fails nothing.
fn keep_configuration(arguments: &Arguments) {
    let path = arguments.out.join("configuration.toml");
    let keep = || {
        let text = arguments.sources.with(reference::effective)?;
        create_whole(&path, |mut file| file.write_all(text.as_bytes()))?;
        anyhow::Ok(())
    };
    if let Err(error) = keep() {
        output::talk(&format!(
            "{}: the configuration is not kept, and the backup is good without it: {error:#}",
            path.display()
        ));
    }
}

fn tell(backed_up: &BackedUp, vault: Option<&Path>) -> anyhow::Result<Verdict> {
    let BackedUp {
        exported,
        directory,
        entries_before,
    } = backed_up;
    let tree = &exported.tree;
    output::data(&format!(
        "root {} of {} entries\ndigest {} of the first {}",
        tree.root, tree.size, exported.projected.digest, exported.projected.sequence
    ))?;
    let more = tree.size - entries_before;
    output::talk(&format!(
        "{}: {more} entries more than before",
        directory.display()
    ));
    match vault {
        Some(path) => {
            output::talk(&format!(
                "{}: a copy of the vault; keep it elsewhere",
                path.display()
            ));
            let directory = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            let warning = in_place_warning(directory.unwrap_or(Path::new(".")))?;
            if let Some(warning) = warning {
                output::talk(&warning.to_string());
            }
        }
        None => output::talk(
            "without a copy of the vault nothing in it can be read: make one, to another place",
        ),
    }
    if exported.is_incomplete {
        output::talk(
            "payloads are missing that no entry says were erased; `avow audit verify` names them",
        );
    }
    Ok(Verdict::good_if(!exported.is_incomplete))
}
