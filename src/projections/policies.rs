//! The retry policies that the log has recorded: which one decided at an earlier time.

use state_machine::history::Arrival;
use state_machine::horizon::Horizon;
use state_machine::id::SequenceNumber;
use state_machine::retry::policy::Policy;
use state_machine::time::ReceivedAt;

use super::store::StoreError;
use super::stored::DamagedRecord;
use super::view::View;
use crate::log::configuration_fact::{policy_bytes, policy_of_bytes};

/// Keeps these rows apart from every listing.
const PREFIX: &[u8] = b"p";

/// A policy, and the entry that says that it decides from there on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedPolicy {
    /// The policy.
    pub policy: Policy,
    /// When it came into force.
    pub arrival: Arrival,
}

/// Returns the row of a policy.
pub(super) fn row(policy: &Policy, arrival: Arrival) -> (Vec<u8>, Vec<u8>) {
    let key = [PREFIX, &arrival.sequence.0.to_be_bytes()].concat();
    let received_at = arrival.received_at.0.to_be_bytes();
    (
        key,
        [received_at.as_slice(), &policy_bytes(policy)].concat(),
    )
}

impl View {
    /// Returns every policy that was recorded, in the order of the log.
    pub fn policies(&self) -> Result<Vec<RecordedPolicy>, StoreError> {
        let rows = self.rows(&self.projections.listings, PREFIX, None, None);
        rows.map(|row| {
            let (place, value) = row?;
            self.noting_damage(of_row(&place, &value))
        })
        .collect()
    }
}

fn of_row(place: &[u8], value: &[u8]) -> Result<RecordedPolicy, DamagedRecord> {
    let sequence = place.try_into().map_err(|_| DamagedRecord::Key)?;
    let (received_at, policy) = value.split_first_chunk().ok_or(DamagedRecord::Key)?;
    Ok(RecordedPolicy {
        policy: policy_of_bytes(policy)?,
        arrival: Arrival {
            sequence: SequenceNumber(u64::from_be_bytes(sequence)),
            received_at: ReceivedAt(i64::from_be_bytes(*received_at)),
        },
    })
}

/// Returns the policy that was in force within a horizon, if it was recorded.
pub fn in_force<'policy>(
    policies: &'policy [RecordedPolicy],
    horizon: &Horizon,
) -> Option<&'policy RecordedPolicy> {
    let mut latest_first = policies.iter().rev();
    latest_first.find(|recorded| horizon.admits_own(recorded.arrival))
}
