//! Who may ask for what: scopes, tokens, and the rule by which a request passes a gate.
//!
//! Pure: the file of the tokens is read and written elsewhere, and the time is an argument. The text of a token is in
//! nobody's hands here but its holder's: what is kept is a hash.

pub mod address;
pub mod admission;
pub mod gate;
pub mod limit;
pub mod register;
pub mod scope;
pub mod token;
