//! `avow export`: a log in a directory of its own, signed by the log.

use std::path::PathBuf;

use clap::Args;

use super::progress::Bar;
use super::server_access::ServerAccess;
use super::sources::SourceArguments;
use super::{Verdict, opened, output};
use crate::audit::export::{Exported, export};
use crate::audit::export_source::Server;
use crate::audit::web::Web;
use crate::config::Configuration;
use crate::log::access::{Access, Accessed};

/// Export the log: entries, tree, checkpoints and sealed payloads in one signed directory
///
/// Whatever `avow audit verify` finds in it holds for the log, and `avow import` makes a data directory of it again. It
/// holds no key. Laid out as C2SP's tlog-tiles, so that any web server can publish it. Works on a data directory that no
/// server holds, with the configuration of `avow serve`, or through a server with `--server`, which goes on writing. The
/// signed manifest is written last: without it, an export was broken off. Exits with 1 if payloads are missing that no
/// entry says were erased.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Write into this directory, which is empty or not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Leave the sealed payloads out; what is left can be audited, and not imported
    #[arg(long)]
    without_payloads: bool,
    /// Export from the server at this URL, which holds the data, instead of opening them
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "data_dir", "listen", "set"])]
    server: Option<String>,
    #[command(flatten)]
    access: ServerAccess,
    #[command(flatten)]
    sources: SourceArguments,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let bar = Bar::of("entries");
    let progress = |done, all| bar.set(done, all);
    let (out, with_payloads) = (&arguments.out, !arguments.without_payloads);
    let exported = if let Some(url) = &arguments.server {
        export(
            &Server(Web::new(url, Some(&arguments.access.read(url)?))?),
            out,
            with_payloads,
            progress,
        )?
    } else {
        let configuration = arguments.sources.with(Configuration::load)?;
        let service = opened::open(configuration, "export from it with `--server URL`")?;
        let (access, on) = (Access::Export, Accessed::Everything);
        opened::record(&service, access, on, "avow export")?;
        export(&service, out, with_payloads, progress)?
    };
    bar.finish();
    tell(&exported)
}

fn tell(exported: &Exported) -> anyhow::Result<Verdict> {
    let Exported {
        tree,
        projected,
        is_incomplete,
    } = exported;
    output::data(&format!(
        "root {} of {} entries\ndigest {} of the first {}",
        tree.root, tree.size, projected.digest, projected.sequence
    ))?;
    if *is_incomplete {
        output::talk(
            "payloads are missing that no entry says were erased; `avow audit verify` names them",
        );
    }
    Ok(Verdict::good_if(!is_incomplete))
}
