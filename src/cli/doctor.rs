//! `avow doctor`: looks whether a data directory is as it should be.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{Verdict, output};
use crate::config::secrets::master_key_in;
use crate::log::residue::{Place, Remains, RemainsKind, Residue, search};

/// Check a data directory
///
/// `--residue` searches every file for what should be gone: the wrapped keys and the sealed payloads of erased sessions.
/// Changes nothing, and needs no server to be stopped. What lies in sled's own files is expected there as long as its key
/// is gone, and is counted. Exits with 1 if something is found, and with 2 if it cannot be told.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Search for remains of what was erased
    #[arg(long, required = true)]
    residue: bool,
    /// The service's data directory (setting `data_dir`)
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// The file that holds the master key
    #[arg(long, value_name = "FILE")]
    master_key_file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let Arguments {
        data_dir,
        master_key_file,
        ..
    } = arguments;
    let master_key = master_key_in("--master-key-file", master_key_file, data_dir)?;
    let bar = bar();
    let residue = search(data_dir, &master_key, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let residue = residue?;
    output::data(&if arguments.json {
        serde_json::to_string_pretty(&json(&residue))?
    } else {
        Report(&residue).to_string()
    })?;
    if residue.remains.is_empty() && !residue.unopened_keys.is_empty() {
        anyhow::bail!(
            "there are keys that do not open under this master key: nobody can tell whose they are"
        );
    }
    Ok(Verdict::good_if(residue.remains.is_empty()))
}

fn bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:32} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn word(kind: RemainsKind) -> &'static str {
    match kind {
        RemainsKind::WrappedKey => "wrapped_key",
        RemainsKind::SealedPayload => "sealed_payload",
    }
}

fn json(residue: &Residue) -> Value {
    let remains = |remains: &Remains| {
        json!({
            "file": remains.place.file,
            "offset": remains.place.offset,
            "key_slot": remains.key_slot.0,
            "kind": word(remains.what),
        })
    };
    let place = |place: &Place| json!({ "file": place.file, "offset": place.offset });
    json!({
        "object": "residue",
        "files": residue.files,
        "bytes": residue.bytes,
        "erased": residue.erased,
        "unfinished": residue.unfinished,
        "waiting": residue.waiting,
        "unreadable_payloads": residue.unreadable_payloads,
        "unopened_keys": residue.unopened_keys.iter().map(place).collect::<Vec<_>>(),
        "remains": residue.remains.iter().map(remains).collect::<Vec<_>>(),
    })
}

/// What is told to a person.
struct Report<'residue>(&'residue Residue);

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Residue {
            files,
            bytes,
            erased,
            unfinished,
            waiting,
            unreadable_payloads,
            unopened_keys,
            remains,
        } = self.0;
        writeln!(
            formatter,
            "searched {files} files, {bytes} bytes, for what was erased of {erased} subjects"
        )?;
        if *unfinished > 0 {
            writeln!(
                formatter,
                "{unfinished} of these are not finished: the next start of the service goes on"
            )?;
        }
        if *waiting > 0 {
            writeln!(formatter, "{waiting} more wait for a hold to be released")?;
        }
        writeln!(
            formatter,
            "{unreadable_payloads} sealed payloads lie in sled's files, and their keys nowhere: as expected"
        )?;
        for Place { file, offset } in unopened_keys {
            writeln!(
                formatter,
                "? {} at byte {offset}: a wrapped key that does not open",
                file.display()
            )?;
        }
        for Remains {
            place: Place { file, offset },
            key_slot,
            what,
        } in remains
        {
            let what = match what {
                RemainsKind::WrappedKey => "the wrapped key",
                RemainsKind::SealedPayload => "a sealed payload",
            };
            let (file, slot) = (file.display(), key_slot.0);
            writeln!(
                formatter,
                "✗ {file} at byte {offset}: {what} of key slot {slot}, which is erased"
            )?;
        }
        if remains.is_empty() && unopened_keys.is_empty() {
            writeln!(formatter, "✓ nothing is left of them")?;
        }
        Ok(())
    }
}
