//! What is seen of a service that works: for whoever watches it. Nothing here is needed for an answer.

use std::collections::BTreeMap;

use state_machine::time::ReceivedAt;

use super::Service;
use super::read::ReadError;
use crate::log::extent::bytes_on_disk;
use crate::projections::store::StoreError;

/// How far the projections are behind the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lag {
    /// How many entries are not folded.
    pub entries: u64,
    /// When the first of them came; `None` if there is none, or if it cannot be read.
    pub since: Option<ReceivedAt>,
}

impl Service {
    /// Returns how far the projections are behind the log.
    pub fn lag(&self) -> Result<Lag, StoreError> {
        let next = self.projections.view().cursor()?.next;
        let first = self.log.entry(next).unwrap_or_default();
        Ok(Lag {
            entries: self.log.size().saturating_sub(next.0),
            since: first.map(|entry| entry.leaf.received_at),
        })
    }

    /// Returns how many anomalies of each rule are known.
    pub fn anomalies_by_rule(&self) -> Result<BTreeMap<String, u64>, ReadError> {
        Ok(self.view()?.anomalies_by_rule()?)
    }

    /// Returns the bytes of disk that the projections take, those that are being built included.
    pub fn projections_bytes(&self) -> u64 {
        let store = self.projections.store();
        bytes_on_disk(store.path().parent().unwrap_or(store.path()))
    }
}
