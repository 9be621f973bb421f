//! The certificate that a server shows. It can be replaced while connections stay: they go on with what they began with.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use super::provider;

/// The protocols that are offered: this one.
const PROTOCOL: &[u8] = b"http/1.1";

/// A certificate with its chain and its key, which is known to be its own.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

/// Why there is no certificate. No message repeats a key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("{} cannot be read as PEM", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// There is none in the file.
    #[error("there is no certificate in {}", .0.display())]
    NoCertificate(PathBuf),
    /// They cannot be used together.
    #[error("the certificate in {} and the key in {} cannot be used together", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

impl Identity {
    /// Reads a certificate with its chain, and its key, each from a file of PEM.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |source| IdentityError::Unreadable { path, source }
        };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(unreadable(certificate))?;
        if chain.is_empty() {
            return Err(IdentityError::NoCertificate(certificate.to_owned()));
        }
        let private = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
        let certified = CertifiedKey::from_der(chain, private, &provider());
        let certified = certified.map_err(|source| IdentityError::Unusable {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        })?;
        Ok(Self(Arc::new(certified)))
    }

    /// Returns the start of the SHA-256 of the certificate, by which it is named.
    pub fn fingerprint(&self) -> String {
        let own = self.0.cert.first();
        let digest = Sha256::digest(own.map(AsRef::as_ref).unwrap_or_default());
        hex::encode(digest.iter().take(8).copied().collect::<Vec<_>>())
    }
}

/// The certificate in force.
pub struct Certificate(RwLock<Identity>);

impl Certificate {
    /// Begins with one.
    pub fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self(RwLock::new(identity)))
    }

    /// Shows another one from here on. Returns its fingerprint, unless it is the one that was shown before.
    pub fn replace(&self, identity: Identity) -> Option<String> {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (before, after) = (current.fingerprint(), identity.fingerprint());
        *current = identity;
        (before != after).then_some(after)
    }

    /// Returns how a server speaks TLS with it: in version 1.2 or 1.3.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(config)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.0))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Certificate")
    }
}
