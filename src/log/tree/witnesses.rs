//! The witnesses, as whoever asks them for cosignatures has found them: for whoever watches. The log does not depend on
//! it.

use std::sync::PoisonError;

use crate::log::Log;

/// How a witness fares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessState {
    /// Its name.
    pub name: String,
    /// The size of the checkpoint that it cosigned last.
    pub size: u64,
    /// Why it did not cosign when it was last asked.
    pub trouble: Option<String>,
}

impl Log {
    /// Notes how the witnesses fare.
    pub fn note_witnesses(&self, states: Vec<WitnessState>) {
        let witnesses = self.shared.tree.witnesses.lock();
        *witnesses.unwrap_or_else(PoisonError::into_inner) = states;
    }

    /// Returns how the witnesses fared when they were asked last; nothing if nobody is asked.
    pub fn witnesses(&self) -> Vec<WitnessState> {
        let witnesses = self.shared.tree.witnesses.lock();
        witnesses.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
