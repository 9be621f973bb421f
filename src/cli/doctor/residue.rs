//! `avow doctor --residue`: searches every file for what an erasure should have left nothing of.

use std::fmt;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::{Verdict, output};
use crate::log::keys::MasterKey;
use crate::log::residue::{Place, Remains, RemainsKind, Residue, search};

/// Searches a data directory, and tells what it found.
pub(super) fn run(
    data_dir: &Path,
    master_key: &MasterKey,
    is_json: bool,
) -> anyhow::Result<Verdict> {
    let bar = bar();
    let residue = search(data_dir, master_key, |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let residue = residue?;
    output::data(&if is_json {
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
