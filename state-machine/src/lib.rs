//! The pure state machine of Stripe Identity: events in, projections and decisions out.
//!
//! [`event`] → [`history`] (sorted by [`order`]) → [`session`] (by the [`table`] and the count of [`attempt`]s) →
//! [`user`] → [`retry`]. Total and deterministic: a projection is a function of the *set* of events, never of the order
//! in which they arrived. Nothing here reads a clock, makes identifiers, fails, or knows Stripe's JSON.
#![no_std]
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

extern crate alloc;

pub mod anomaly;
pub mod attempt;
pub mod event;
pub mod history;
pub mod horizon;
pub mod id;
pub mod order;
pub mod overrides;
pub mod retry;
pub mod session;
pub mod table;
pub mod time;
pub mod transition;
pub mod user;
