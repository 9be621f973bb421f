//! Floor 1, Stripe's side: bytes to facts. Knows no store and no server.

pub mod attribution;
pub mod decode;
mod json;
pub mod secret;
pub mod signature;
pub mod spelling;
pub mod user_reference;
mod wire;
