//! Whom a client trusts to say who a server is.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, RootCertStore};

use super::provider;

/// Whom a client trusts to say who a server is.
#[derive(Debug, Clone, Default)]
pub enum Trust {
    /// The authorities that this machine trusts. They are looked up when they are needed: its administrator keeps them,
    /// adds those of a company, and takes out those that fell from grace, which a list in the program could not.
    #[default]
    System,
    /// These authorities and no others.
    Only(RootCertStore),
}

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file cannot be read.
    #[error("the certificates of authorities in {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// The file holds no certificate.
    #[error("there is no certificate in {}: it is to hold those of authorities, as PEM", .0.display())]
    Empty(PathBuf),
    /// One of them is damaged.
    #[error("a certificate in {} is not one of an authority", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The machine trusts nobody.
    #[error(
        "this machine has no certificates of authorities (on Debian they are in the package ca-certificates); \
         name a file with the authority's"
    )]
    NoneHere(#[source] Option<io::Error>),
    /// There can be no TLS at all.
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

impl Trust {
    /// Reads a file of certificates of authorities, as PEM.
    pub fn read(path: &Path) -> Result<Self, TrustError> {
        let unreadable = |source| TrustError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let unusable = |source| TrustError::Unusable {
            path: path.to_owned(),
            source,
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            let certificate = certificate.map_err(unreadable)?;
            roots.add(certificate).map_err(unusable)?;
        }
        if roots.is_empty() {
            return Err(TrustError::Empty(path.to_owned()));
        }
        Ok(Self::Only(roots))
    }

    /// Returns how a client speaks TLS.
    pub fn client_config(&self) -> Result<ClientConfig, TrustError> {
        let roots = match self {
            Self::System => system_roots()?,
            Self::Only(roots) => roots.clone(),
        };
        Ok(config(roots)?)
    }
}

/// Returns how a client speaks TLS that never does, and needs no authorities for that.
pub fn no_one() -> Result<ClientConfig, TrustError> {
    Ok(config(RootCertStore::empty())?)
}

fn config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn system_roots() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // One that cannot be parsed is nobody's reason to trust the others less.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let first = found.errors.into_iter().next();
        return Err(TrustError::NoneHere(first.map(io::Error::other)));
    }
    Ok(roots)
}
