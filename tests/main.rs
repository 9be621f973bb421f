//! Avow's promises, one file each, in one binary.

mod support;

mod architecture;
mod cli;
mod configuration;
mod disorder;
mod duplicates;
mod durability;
mod killed;
mod log_append;
mod log_damage;
mod log_format;
mod log_refusal;
mod log_secrecy;
mod log_tree;
mod official_clients;
mod overload;
mod paging;
mod privacy;
mod projections;
mod restart;
mod sessions;
mod shutdown;
mod simulation;
mod stripe_authentication;
mod stripe_decoding;
mod transparency_checkpoints;
mod transparency_notes;
mod transparency_policy;
mod transparency_receipts;
mod transparency_stored_tree;
mod transparency_tiles;
mod transparency_tree;
mod users;
mod webhook;
