//! TLS, by rustls with ring: the certificate that a server shows, and the authorities that a client trusts.

pub mod certificate;
pub mod trust;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// Returns the cryptography that every connection here uses.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Makes it the one of the whole process, for the libraries that ask for that. Where it was made so before, it stays.
pub fn install_provider() {
    drop(ring::default_provider().install_default());
}
