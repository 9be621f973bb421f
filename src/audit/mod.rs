//! The audit: whether a log is what it says, told by its files or its server, and by nothing that it derives from them.
//!
//! Read-only: no file of a source is changed, and sled is never opened. What a log holds is judged by the leaves alone.

pub mod checkpoint_file;
pub mod data_directory;
pub mod export;
mod export_directory;
mod export_entries;
pub mod export_source;
pub mod import;
mod import_check;
pub mod manifest;
pub mod source;
pub mod tiles;
pub mod web;
