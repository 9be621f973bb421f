//! Floor 8, witnessing: the witness, which cosigns what a log never took back, and the submitter, which asks witnesses.
//!
//! A witness is run by someone who does not trust the log, on another machine; it needs nothing of a log but its key.

pub mod cosigner;
mod exchange;
mod peer;
pub mod server;
pub mod state;
pub mod submitter;
