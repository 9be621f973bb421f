//! Floor 2, what lets a stranger audit: RFC 6962 trees and the text formats of C2SP around them.
//!
//! Pure: no store, no clock, no chance. Hashes are read through closures, times and seeds are handed in.

pub mod add_checkpoint;
pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
mod decimal;
pub mod export;
pub mod frontier;
pub mod hash;
pub mod key;
pub mod note;
pub mod payload_bundle;
pub mod policy;
pub mod policy_file;
pub mod proof;
pub mod receipt;
pub mod signing_key;
pub mod subtree;
pub mod tile;
