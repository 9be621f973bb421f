//! The stored form of what was decided about a session's payloads.

use serde::{Deserialize, Serialize};

use super::record::CustodyStep;
use super::stored::{DamagedRecord, StoredArrival};
use crate::log::CustodyChange;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredCustodyStep {
    change: u8,
    arrival: StoredArrival,
}

impl From<&CustodyStep> for StoredCustodyStep {
    fn from(step: &CustodyStep) -> Self {
        Self {
            change: match step.change {
                CustodyChange::Held => 1,
                CustodyChange::Released => 2,
                CustodyChange::ErasureWanted => 3,
                CustodyChange::ErasureDone => 4,
            },
            arrival: step.arrival.into(),
        }
    }
}

impl TryFrom<StoredCustodyStep> for CustodyStep {
    type Error = DamagedRecord;

    fn try_from(stored: StoredCustodyStep) -> Result<Self, DamagedRecord> {
        Ok(Self {
            change: match stored.change {
                1 => CustodyChange::Held,
                2 => CustodyChange::Released,
                3 => CustodyChange::ErasureWanted,
                4 => CustodyChange::ErasureDone,
                code => return Err(DamagedRecord::Code(code)),
            },
            arrival: stored.arrival.into(),
        })
    }
}
