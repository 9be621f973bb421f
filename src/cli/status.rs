//! `avow status`: how a service is, at one look.

use std::fmt::{self, Formatter};
use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::server_access::ServerAccess;
use super::sources::SourceArguments;
use super::{Verdict, output, signal};
use crate::config::error::ConfigurationError;
use crate::config::settings::Settings;
use crate::doctor::status::{Anomaly, Rebuild, Status, of_directory, of_server};
use crate::log::inspection::Inspection;
use crate::system;

/// Tell how a service is: whether it is ready, and how far each part has come
///
/// Asks the server at `--server`; without that flag, the one that holds the data directory, at the configured `listen`.
/// Of a data directory that no server holds, tells what its files say.
///
/// Exits with 0 if the service is ready, with 1 if it is not, and with 2 if that cannot be told.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    sources: SourceArguments,
    /// Ask this server
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    access: ServerAccess,
    /// Tell it again and again, after so many seconds, until interrupted
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let Some(seconds) = arguments.watch else {
        return told(arguments);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let stop = {
        let _entered = runtime.enter();
        signal::stop()?
    };
    let mut stop = std::pin::pin!(stop);
    loop {
        if io::stdout().is_terminal() {
            output::data("\x1b[2J\x1b[H")?;
        }
        // A server that does not answer now may be starting: that is what is watched.
        let verdict = told(arguments).unwrap_or_else(|error| {
            output::talk(&format!("avow: {error:#}"));
            Verdict::CouldNotCheck
        });
        let pause = Duration::from_secs(seconds);
        let stopped = async { tokio::time::timeout(pause, &mut stop).await };
        if runtime.block_on(stopped).is_ok() {
            return Ok(verdict);
        }
    }
}

fn told(arguments: &Arguments) -> anyhow::Result<Verdict> {
    let status = status(arguments)?;
    output::data(&if arguments.json {
        serde_json::to_string_pretty(&status)?
    } else {
        Report(&status).to_string()
    })?;
    Ok(Verdict::good_if(status.ready))
}

fn status(arguments: &Arguments) -> anyhow::Result<Status> {
    if let Some(url) = &arguments.server {
        return Ok(of_server(url, &arguments.access.read(url)?)?);
    }
    let settings = arguments.sources.with(Settings::load)?;
    let data_dir = settings.server.data_dir.clone();
    let data_dir = data_dir.ok_or(ConfigurationError::DataDirMissing)?;
    if Inspection::of(&data_dir.join("log")).is_in_use()? {
        let scheme = match &settings.tls.certificate_file {
            Some(_) => "https",
            None => "http",
        };
        let url = format!("{scheme}://{}", settings.server.listen);
        return of_server(&url, &arguments.access.read(&url)?).context(
            "a server holds the data directory; say where it listens with `--server URL`",
        );
    }
    Ok(of_directory(&data_dir, settings.log.disk_free_bytes_min)?)
}

/// What is told to a person.
struct Report<'status>(&'status Status);

impl fmt::Display for Report<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let status = self.0;
        match &status.obstacle {
            None => line(formatter, "ready", "yes")?,
            Some(obstacle) => line(formatter, "ready", &format!("no: {obstacle}"))?,
        }
        self.log(formatter)?;
        self.rebuild(formatter)?;
        self.checkpoints(formatter)?;
        if let Some(free) = status.disk_free_bytes {
            let min = status.disk_free_bytes_min.map_or_else(String::new, |min| {
                format!("; writes wait below {}", bytes(min))
            });
            line(formatter, "disk", &format!("{} free{min}", bytes(free)))?;
        }
        if let Some(waiting) = status.erasures_waiting {
            line(formatter, "erasures", &format!("{waiting} wait"))?;
        }
        self.anomalies(formatter)?;
        for why in &status.not_told {
            line(formatter, "not told", why)?;
        }
        Ok(())
    }
}

impl Report<'_> {
    fn log(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let status = self.0;
        if let Some(entries) = status.entries {
            let stores = &status.store_bytes;
            let stores = stores.iter().filter(|(_, size)| **size > 0);
            let stores: Vec<String> = stores
                .map(|(name, size)| format!("{name} {}", bytes(*size)))
                .collect();
            let stores = match stores.as_slice() {
                [] => String::new(),
                stores => format!(" ({})", stores.join(", ")),
            };
            line(formatter, "log", &format!("{entries} entries{stores}"))?;
        }
        if let Some(queue) = status.queue {
            line(formatter, "queue", &format!("{queue} entries"))?;
        }
        match (
            status.projections_behind_entries,
            status.projections_behind_seconds,
        ) {
            (Some(0), _) => line(formatter, "projections", "up to date"),
            (Some(behind), Some(seconds)) => {
                let what = format!("{behind} entries behind, {seconds:.1} s");
                line(formatter, "projections", &what)
            }
            (Some(behind), None) => line(
                formatter,
                "projections",
                &format!("{behind} entries behind"),
            ),
            (None, _) => Ok(()),
        }
    }

    fn rebuild(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Some(rebuild) = &self.0.rebuild else {
            return Ok(());
        };
        let Rebuild {
            entries_done,
            entries,
        } = rebuild;
        let what = format!("{entries_done} of {entries} entries");
        line(formatter, "rebuild", &what)
    }

    fn checkpoints(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let status = self.0;
        if let Some(size) = status.checkpoint_entries {
            let age = status.checkpoint_age_seconds;
            let age = age.map(|age| format!(", signed {} ago", duration(age)));
            let cosigned = status.cosigned_entries;
            let cosigned = cosigned.map(|size| format!("; cosigned: {size} entries"));
            let [age, cosigned] = [age, cosigned].map(Option::unwrap_or_default);
            line(
                formatter,
                "checkpoint",
                &format!("{size} entries{age}{cosigned}"),
            )?;
        }
        for (name, is_up) in &status.witnesses {
            let what = if *is_up { "cosigns" } else { "does not cosign" };
            line(formatter, "witness", &format!("{name} {what}"))?;
        }
        Ok(())
    }

    fn anomalies(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        for (rule, count) in &self.0.anomalies {
            line(formatter, "anomalies", &format!("{count} {rule}"))?;
        }
        for Anomaly { rule, sequence, at } in &self.0.anomalies_lately {
            let age = duration(system::now_seconds().0.saturating_sub(*at));
            let what = format!("{rule}, entry {sequence}, {age} ago");
            line(formatter, "lately", &what)?;
        }
        Ok(())
    }
}

fn line(formatter: &mut Formatter<'_>, name: &str, what: &str) -> fmt::Result {
    writeln!(formatter, "{name:<12} {what}")
}

/// Returns a number of bytes as a person says it.
fn bytes(count: u64) -> String {
    const UNITS: [(u32, &str); 4] = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = UNITS.into_iter().find(|(shift, _)| count >> shift > 0);
    match unit {
        Some((shift, name)) => format!("{} {name}", count >> shift),
        None => format!("{count} B"),
    }
}

/// Returns a number of seconds as a person says it.
fn duration(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800.. => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_of_a_rebuild_while_it_runs() {
        let told = |rebuild| {
            let status = Status {
                rebuild,
                ..Status::default()
            };
            Report(&status).to_string()
        };
        let rebuild = Rebuild {
            entries_done: 420,
            entries: 1_770,
        };

        let line = "rebuild      420 of 1770 entries\n";
        assert!(told(Some(rebuild)).contains(line));
        assert!(!told(None).contains("rebuild"));
    }
}
