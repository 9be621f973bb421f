//! The status of a service at one look: asked of a server, or read from the files of one that does not run.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use super::ask::{AskError, Server};
use super::projections;
use super::samples::Samples;
use super::server::ready;
use crate::audit::data_directory::DataDirectory;
use crate::client::Access;
use crate::log::disk_space::space;
use crate::log::extent::{bytes_on_disk, store_bytes};
use crate::log::inspection::{Inspection, JournalError};
use crate::system;
use crate::transparency::checkpoint::Checkpoint;

/// How many of the latest anomalies are told.
const ANOMALIES_TOLD: usize = 5;

/// What is known at one look. What could not be seen is left out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Status {
    /// Whether it takes deliveries and answers.
    pub ready: bool,
    /// Why not.
    pub obstacle: Option<String>,
    /// How many entries the log has.
    pub entries: Option<u64>,
    /// How many wait to be committed.
    pub queue: Option<u64>,
    /// How many are not folded.
    pub projections_behind_entries: Option<u64>,
    /// How long ago the first of these came.
    pub projections_behind_seconds: Option<f64>,
    /// The rebuild that runs, if one does.
    pub rebuild: Option<Rebuild>,
    /// How many entries the latest checkpoint covers.
    pub checkpoint_entries: Option<u64>,
    /// How long ago it was signed.
    pub checkpoint_age_seconds: Option<i64>,
    /// How many entries the latest cosigned checkpoint covers.
    pub cosigned_entries: Option<u64>,
    /// Each witness, and whether it cosigned when it was last asked.
    pub witnesses: BTreeMap<String, bool>,
    /// The bytes of disk that each part takes.
    pub store_bytes: BTreeMap<String, u64>,
    /// Free space of the disk.
    pub disk_free_bytes: Option<u64>,
    /// Writes wait below this.
    pub disk_free_bytes_min: Option<u64>,
    /// Erasures that are wanted and not done.
    pub erasures_waiting: Option<u64>,
    /// How many anomalies there are, by rule.
    pub anomalies: BTreeMap<String, u64>,
    /// The latest ones, of the world that is asked for by default.
    pub anomalies_lately: Vec<Anomaly>,
    /// What was not told, and why.
    pub not_told: Vec<String>,
}

/// How far a rebuild has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rebuild {
    /// How many entries it has folded.
    pub entries_done: u64,
    /// How many there are.
    pub entries: u64,
}

/// An anomaly, as it is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Anomaly {
    /// The rule that was broken.
    pub rule: String,
    /// The entry.
    pub sequence: u64,
    /// When, at Stripe.
    pub at: i64,
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The server gave none.
    #[error(transparent)]
    Server(#[from] AskError),
    /// The operating system refused.
    #[error("the data directory cannot be read")]
    Io(#[from] io::Error),
    /// The journal cannot be read.
    #[error("the journal cannot be read; `avow doctor` says more")]
    Journal(#[from] JournalError),
    /// There is nothing.
    #[error("there is no log in {0}")]
    NoLog(String),
}

/// Asks a server.
pub fn of_server(url: &str, access: &Access) -> Result<Status, StatusError> {
    let server = Server::new(url, access)?;
    let (ready, _) = ready(&server)?;
    let mut status = Status {
        ready: ready.obstacle.is_none(),
        obstacle: ready.obstacle,
        entries: Some(ready.entries),
        queue: Some(ready.queue),
        projections_behind_entries: ready.projected.map(|to| ready.entries.saturating_sub(to)),
        ..Status::default()
    };
    match server.read("metrics") {
        Ok(text) => status.take(&Samples::read(&String::from_utf8_lossy(&text))),
        // Without a token that is admitted, readiness is all that a server tells.
        Err(error) => status.not_told.push(error.to_string()),
    }
    match lately(&server) {
        Ok(anomalies) => status.anomalies_lately = anomalies,
        Err(error) => status.not_told.push(error.to_string()),
    }
    Ok(status)
}

fn lately(server: &Server) -> Result<Vec<Anomaly>, AskError> {
    #[derive(Deserialize)]
    struct List {
        data: Vec<Anomaly>,
    }
    let path = format!("v1/anomalies?limit={ANOMALIES_TOLD}");
    let list = serde_json::from_slice::<List>(&server.read(&path)?);
    Ok(list.map_err(|_| server.strange(&path))?.data)
}

impl Status {
    fn take(&mut self, samples: &Samples) {
        self.projections_behind_entries = samples.count("avow_projection_lag_entries");
        self.projections_behind_seconds = samples.value("avow_projection_lag_seconds");
        self.rebuild = rebuild(samples);
        self.checkpoint_entries = samples.count("avow_checkpoint_entries");
        let signed = samples.count("avow_checkpoint_timestamp_seconds");
        let signed = signed.and_then(|at| i64::try_from(at).ok());
        self.checkpoint_age_seconds = signed.map(age);
        self.cosigned_entries = samples.count("avow_cosigned_checkpoint_entries");
        let witnesses = samples.counts("avow_witness_up", "witness");
        self.witnesses = witnesses
            .into_iter()
            .map(|(name, up)| (name, up > 0))
            .collect();
        self.store_bytes = samples.counts("avow_store_bytes", "store");
        self.disk_free_bytes = samples.count("avow_disk_free_bytes");
        self.disk_free_bytes_min = samples.count("avow_disk_free_bytes_min");
        self.erasures_waiting = samples.count("avow_erasures_waiting");
        self.anomalies = samples.counts("avow_anomalies", "rule");
    }
}

fn rebuild(samples: &Samples) -> Option<Rebuild> {
    if samples.count("avow_rebuild_running") != Some(1) {
        return None;
    }
    Some(Rebuild {
        entries_done: samples.count("avow_rebuild_entries_done")?,
        entries: samples.count("avow_rebuild_entries")?,
    })
}

/// Reads the files of a service that does not run.
pub fn of_directory(data_dir: &Path, disk_free_bytes_min: u64) -> Result<Status, StatusError> {
    let log = data_dir.join("log");
    let files = Inspection::of(&log);
    if !log.join("journal").is_dir() {
        return Err(StatusError::NoLog(data_dir.display().to_string()));
    }
    let vouched = files.vouched()?.map_or(0, |vouched| vouched.entries);
    let entries = files.journal_end()?.entries.max(vouched);
    let folded = projections::cursor(&data_dir.join("projections"));
    let mut stores = store_bytes(&log);
    stores.push(("projections", bytes_on_disk(&data_dir.join("projections"))));
    let stores = stores.into_iter();
    let checkpoints = log.join("checkpoints");
    let checkpoint = DataDirectory::open(data_dir).ok();
    let checkpoint = checkpoint.as_ref().and_then(DataDirectory::checkpoint);
    let checkpoint = checkpoint.and_then(|note| note.text().parse::<Checkpoint>().ok());
    Ok(Status {
        obstacle: Some("no server runs on it".to_owned()),
        entries: Some(entries),
        projections_behind_entries: folded.map(|folded| entries.saturating_sub(folded)),
        checkpoint_entries: checkpoint.map(|checkpoint| checkpoint.tree().size),
        checkpoint_age_seconds: written_at(&checkpoints).map(age),
        store_bytes: stores
            .map(|(name, bytes)| (name.to_owned(), bytes))
            .collect(),
        disk_free_bytes: space(data_dir).ok().map(|space| space.free_bytes),
        disk_free_bytes_min: Some(disk_free_bytes_min),
        ..Status::default()
    })
}

fn written_at(path: &Path) -> Option<i64> {
    let modified = path.metadata().ok()?.modified().ok()?;
    let since_epoch = modified.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since_epoch.as_secs()).ok()
}

fn age(at: i64) -> i64 {
    system::now_seconds().0.saturating_sub(at).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_is_told_while_it_runs() {
        let scrape = |running: u8| {
            let text = format!(
                "avow_rebuild_running {running}\navow_rebuild_entries_done 420\navow_rebuild_entries 1770\n"
            );
            let mut status = Status::default();
            status.take(&Samples::read(&text));
            status.rebuild
        };
        let progress = Rebuild {
            entries_done: 420,
            entries: 1_770,
        };

        assert_eq!((scrape(0), scrape(1)), (None, Some(progress)));
    }
}
