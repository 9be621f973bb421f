//! What stands when it is asked for: sizes, ages, what waits, what is well.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeGaugeValue, EncodeLabelSet};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use state_machine::time::ReceivedAt;

use super::process;
use crate::projections::store::REDUCER_VERSION;
use crate::service::Service;
use crate::service::rebuilds::Rebuild;

/// Returns what stands now.
pub(super) fn registry(service: &Service, now: ReceivedAt) -> Registry {
    let mut gauges = Gauges(Registry::default());
    gauges.build();
    gauges.health(service);
    gauges.sizes(service);
    gauges.projections(service, now);
    gauges.rebuild(&service.rebuilds());
    gauges.evidence(service);
    gauges.process();
    gauges.0
}

struct Gauges(Registry);

type Counts = Family<[(&'static str, String); 1], Gauge<u64, AtomicU64>>;

impl Gauges {
    fn add(
        &mut self,
        name: &str,
        help: &str,
        value: impl EncodeGaugeValue + std::fmt::Debug + Send + Sync + 'static,
    ) {
        self.0.register(name, help, ConstGauge::new(value));
    }

    fn add_by(
        &mut self,
        (name, label): (&str, &'static str),
        help: &str,
        values: impl IntoIterator<Item = (String, u64)>,
    ) {
        let counts = Counts::default();
        for (of, value) in values {
            counts.get_or_create(&[(label, of)]).set(value);
        }
        self.0.register(name, help, counts);
    }

    fn build(&mut self) {
        #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct Build {
            version: &'static str,
            reducer_version: u32,
        }
        let build = Build {
            version: env!("CARGO_PKG_VERSION"),
            reducer_version: REDUCER_VERSION,
        };
        let builds = Family::<Build, Gauge>::default();
        builds.get_or_create(&build).set(1);
        let help = "Which version this is, and the version of its fold";
        self.0.register("avow_build_info", help, builds);
    }

    fn health(&mut self, service: &Service) {
        let health = service.health();
        let log = &health.log;
        let flags = [
            (
                "avow_ready",
                "Whether /readyz says that the service is ready",
                health.obstacle().is_none(),
            ),
            (
                "avow_writes_stopped",
                "Whether a failed write or sync has stopped all writing until a restart",
                log.stopped.is_some(),
            ),
            (
                "avow_disk_full",
                "Whether writes wait for space on the disk",
                log.disk_full,
            ),
            (
                "avow_projections_failing",
                "Whether the last try to fold failed",
                health.projections.is_failing,
            ),
        ];
        for (name, help, flag) in flags {
            self.add(name, help, u32::from(flag));
        }
        self.add(
            "avow_queue_entries",
            "Entries that wait to be committed",
            log.queue_entries,
        );
        self.add(
            "avow_log_entries",
            "Entries of the log that are durable",
            health.log_size,
        );
        self.add(
            "avow_store_behind_entries",
            "Durable entries that sled does not have yet",
            log.store_behind_entries,
        );
        self.0.register(
            "avow_repaired_reads",
            "Reads that the journal answered because sled could not",
            ConstCounter::new(log.repaired_reads),
        );
    }

    fn sizes(&mut self, service: &Service) {
        let extent = service.log().extent();
        let projections = ("projections", service.projections_bytes());
        let stores = extent.store_bytes.into_iter().chain([projections]);
        self.add_by(
            ("avow_store_bytes", "store"),
            "Bytes of disk that each part of the data directory takes",
            stores.map(|(store, bytes)| (store.to_owned(), bytes)),
        );
        self.add(
            "avow_queue_entries_max",
            "Entries that may wait to be committed",
            extent.queue_entries_max,
        );
        self.add(
            "avow_disk_free_bytes_min",
            "Writes wait while less than this is free on the disk",
            extent.disk_free_bytes_min,
        );
        if let Some(space) = extent.space {
            self.add(
                "avow_disk_free_bytes",
                "Free space of the disk",
                space.free_bytes,
            );
            self.add("avow_disk_bytes", "Space of the disk", space.bytes);
        }
        self.add(
            "avow_erasures_waiting",
            "Erasures that are wanted and not done; a hold lets one wait",
            extent.erasures_waiting,
        );
    }

    fn projections(&mut self, service: &Service, now: ReceivedAt) {
        // What cannot be read is left out; health tells of it.
        if let Ok(lag) = service.lag() {
            let since = lag
                .since
                .map_or(0, |since| now.0.saturating_sub(since.0).max(0));
            self.add(
                "avow_projection_lag_entries",
                "Durable entries that are not folded",
                lag.entries,
            );
            self.add(
                "avow_projection_lag_seconds",
                "How long ago the first of them came",
                seconds(since),
            );
        }
        if let Ok(anomalies) = service.anomalies_by_rule() {
            self.add_by(
                ("avow_anomalies", "rule"),
                "Anomalies that are known, by the rule that was broken",
                anomalies,
            );
        }
    }

    /// There is one at a time; while there is none, nothing is folded of nothing.
    fn rebuild(&mut self, rebuilds: &[Rebuild]) {
        let running = rebuilds.iter().find(|rebuild| rebuild.state.is_running());
        let (done, entries) = running.map_or((0, 0), |rebuild| rebuild.progress);
        self.add(
            "avow_rebuild_running",
            "Whether the log is being folded anew",
            u32::from(running.is_some()),
        );
        self.add(
            "avow_rebuild_entries_done",
            "Entries that the rebuild which runs has folded",
            done,
        );
        self.add(
            "avow_rebuild_entries",
            "Entries that the rebuild which runs folds in all",
            entries,
        );
    }

    fn evidence(&mut self, service: &Service) {
        let log = service.log();
        self.add(
            "avow_checkpoint_entries",
            "Entries that the latest checkpoint covers",
            log.checkpoint().tree().size,
        );
        self.add(
            "avow_checkpoint_timestamp_seconds",
            "When the latest checkpoint was signed",
            seconds(log.checkpoint_signed_at().0),
        );
        if let Some(size) = log.cosigned_size() {
            self.add(
                "avow_cosigned_checkpoint_entries",
                "Entries that the latest checkpoint covers which enough witnesses cosigned",
                size,
            );
        }
        let witnesses = log.witnesses();
        let named = |value: fn(&crate::log::tree::witnesses::WitnessState) -> u64| {
            let states = witnesses.iter();
            states.map(move |state| (state.name.clone(), value(state)))
        };
        self.add_by(
            ("avow_witness_up", "witness"),
            "Whether a witness cosigned when it was last asked",
            named(|state| u64::from(state.trouble.is_none())),
        );
        self.add_by(
            ("avow_witness_entries", "witness"),
            "Entries that the last checkpoint covers which a witness cosigned",
            named(|state| state.size),
        );
    }

    fn process(&mut self) {
        let Some(process) = process::read() else {
            return;
        };
        self.add(
            "process_resident_memory_bytes",
            "Memory of the process that is resident",
            process.resident_bytes,
        );
        self.add(
            "process_open_fds",
            "Open file descriptors",
            process.open_files,
        );
        self.add(
            "process_max_fds",
            "File descriptors that the process may open",
            process.open_files_max,
        );
        self.0.register(
            "process_cpu_seconds",
            "Time that the process has spent on processors",
            ConstCounter::new(process.cpu_seconds),
        );
    }
}

/// Returns milliseconds in seconds.
fn seconds(milliseconds: i64) -> f64 {
    let milliseconds = u64::try_from(milliseconds).unwrap_or(0);
    std::time::Duration::from_millis(milliseconds).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode_registry;

    use super::*;
    use crate::service::rebuilds::{State, Wanted};

    fn rebuild(state: State, progress: (u64, u64)) -> Rebuild {
        Rebuild {
            id: "rebuild_1".to_owned(),
            wanted: Wanted {
                part: None,
                dry_run: false,
            },
            is_resumed: false,
            began_at: ReceivedAt(1_760_000_000_000),
            ended_at: None,
            state,
            progress,
        }
    }

    #[test]
    fn the_rebuild_that_runs_is_told_and_none_that_has_ended() {
        let ended = || rebuild(State::Cancelled, (7, 9));
        #[rustfmt::skip]
        let rows = [
            (vec![],                                                    [0, 0, 0]),
            (vec![ended()],                                             [0, 0, 0]),
            (vec![rebuild(State::Folding, (420, 1_770)), ended()],      [1, 420, 1_770]),
            (vec![rebuild(State::Comparing, (1_770, 1_770)), ended()],  [1, 1_770, 1_770]),
        ];
        for (rebuilds, [running, done, entries]) in rows {
            let mut gauges = Gauges(Registry::default());
            gauges.rebuild(&rebuilds);

            let mut text = String::new();
            encode_registry(&mut text, &gauges.0).unwrap();
            let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
            let told = [
                format!("avow_rebuild_running {running}"),
                format!("avow_rebuild_entries_done {done}"),
                format!("avow_rebuild_entries {entries}"),
            ];
            assert_eq!(samples, told);
        }
    }
}
