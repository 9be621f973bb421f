//! Rows: derived rows in their order, in a tree of tables without a journal.
//!
//! The latest rows lie in memory; when they are many, and at a clean close, they are written as one table, all of it or
//! nothing. A batch is in one of these or in none, so what a kill or a power cut leaves is a prefix of the batches. The
//! rest is had again from the log: whoever writes puts a cursor into each batch, and goes on from there.

pub mod batch;
pub mod database;
mod housekeeping;
pub mod ingestion;
pub mod keyspace;
mod memories;
pub mod snapshot;
