//! What the promises are tested with: a real service on a real port, and deliveries that are really signed.

pub(crate) mod access;
pub(crate) mod audited;
pub(crate) mod command;
pub(crate) mod connection;
pub(crate) mod delivery;
pub(crate) mod disk;
pub(crate) mod extent;
pub(crate) mod facts;
pub(crate) mod ledger;
pub(crate) mod load;
pub(crate) mod log;
pub(crate) mod mirror;
pub(crate) mod operator;
pub(crate) mod process;
pub(crate) mod rows;
pub(crate) mod seed;
pub(crate) mod server;
pub(crate) mod stopped_clock;
pub(crate) mod strace;
pub(crate) mod tools;
pub(crate) mod traces;
pub(crate) mod witness;
