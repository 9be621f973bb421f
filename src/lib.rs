//! Avow turns Stripe Identity webhooks into an answer a company can act on and prove.
//!
//! A folder is a floor and uses only the floors beneath it; `docs/ARCHITECTURE.md` has the longer story.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unreachable
    )
)]

pub mod access;
pub mod audit;
pub mod cli;
pub mod client;
pub mod config;
pub mod doctor;
pub mod http;
pub mod log;
pub mod projections;
pub mod service;
pub mod stripe;
pub mod system;
pub mod tls;
pub mod transparency;
pub mod witness;
