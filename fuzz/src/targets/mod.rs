//! What reads bytes of others, one file a concept: each target takes any bytes, and panics where a promise does not hold.
//! `cargo test` runs them over every file of the corpora.

mod add_checkpoint;
mod address;
mod bundle;
mod checkpoint;
mod decoding;
mod leaf;
mod manifest;
mod moment;
mod note;
mod policy;
mod proof;
mod receipt;
mod register;
mod settings;
mod signature;
mod tile;
mod token;
mod vault;
mod verifier_key;

/// A promise about any bytes.
pub(crate) type Target = fn(&[u8]);

/// Every target by its name, which is that of its corpus, too.
pub(crate) const TARGETS: [(&str, Target); 19] = [
    ("add_checkpoint", add_checkpoint::holds),
    ("address", address::holds),
    ("bundle", bundle::holds),
    ("checkpoint", checkpoint::holds),
    ("decoding", decoding::holds),
    ("leaf", leaf::holds),
    ("manifest", manifest::holds),
    ("moment", moment::holds),
    ("note", note::holds),
    ("policy", policy::holds),
    ("proof", proof::holds),
    ("receipt", receipt::holds),
    ("register", register::holds),
    ("settings", settings::holds),
    ("signature", signature::holds),
    ("tile", tile::holds),
    ("token", token::holds),
    ("vault", vault::holds),
    ("verifier_key", verifier_key::holds),
];
