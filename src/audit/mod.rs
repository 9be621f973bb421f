//! The audit: whether a log is what it says, told by its files or its server, and by nothing that it derives from them.
//!
//! Read-only: no file of a source is changed, and sled is never opened. What a log holds is judged by the leaves alone.

pub mod access_record;
pub mod auditor;
pub mod backup;
mod bounds;
pub mod checkpoint_file;
mod custody_check;
pub mod data_directory;
pub mod difference;
pub mod difference_row;
pub mod export;
mod export_directory;
mod export_earlier;
mod export_entries;
pub mod export_source;
pub mod finding;
pub mod gathered;
pub mod heads;
mod identities;
pub mod import;
mod import_check;
pub mod import_custody;
pub mod manifest;
mod manifest_check;
pub mod payload_check;
mod projected;
pub mod replay;
pub mod replay_end;
mod replay_override;
pub mod replay_step;
mod replayed_session;
pub mod report;
mod sorted;
pub mod source;
mod stored_tree;
mod story;
pub mod temporary_fold;
pub mod tiles;
pub mod trust;
mod vault_check;
mod walk;
pub mod web;
pub mod what_if;
pub mod what_if_row;
