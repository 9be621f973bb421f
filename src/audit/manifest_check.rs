//! The manifest of an export: that the log signed it, and that every file is the one that it names.

use std::io;

use super::finding::{Class, Findings};
use super::manifest::{Manifest, ManifestError};
use super::source::Source;
use crate::transparency::checkpoint::Checkpoint;
use crate::transparency::key::VerifierKey;

/// Returns the manifest of an export and the key that signed it, and checks every file against it.
pub(super) fn manifest_of(
    source: &Source,
    findings: &mut Findings,
) -> Option<(Manifest, VerifierKey)> {
    let tiles = match source {
        Source::Export(tiles) => tiles,
        Source::DataDirectory(_) | Source::Url(_) => return None,
    };
    let directory = tiles.directory()?;
    let (manifest, key) = match Manifest::read(directory) {
        Ok(read) => read,
        Err(error) => {
            add(&error, findings);
            return None;
        }
    };
    if let Err(error) = manifest.check_files(directory, |_| {}) {
        add(&error, findings);
    }
    let tree = tiles.checkpoint().text().parse::<Checkpoint>();
    let is_of_checkpoint = tree.is_ok_and(|checkpoint| {
        let (tree, origin) = (checkpoint.tree(), checkpoint.origin());
        origin == manifest.origin
            && (tree.size, tree.root.to_string()) == (manifest.size, manifest.root.clone())
    });
    if !is_of_checkpoint {
        findings.add(
            Class::Tampered,
            "manifest.json and checkpoint are of different logs or sizes",
        );
    }
    Some((manifest, key))
}

/// Compares the key that a manifest names with the one that is trusted.
pub(super) fn check_key(
    named: &VerifierKey,
    trusted: Option<&VerifierKey>,
    findings: &mut Findings,
) {
    if trusted.is_some_and(|trusted| trusted != named) {
        let what = format!("manifest.json names another key than the trusted one: {named}");
        findings.add(Class::UntrustedKey, what);
    }
}

fn add(error: &ManifestError, findings: &mut Findings) {
    let class = match error {
        ManifestError::Io { source, .. } if source.kind() != io::ErrorKind::NotFound => {
            Class::CouldNotCheck
        }
        ManifestError::UnknownFormat(_) => Class::CouldNotCheck,
        ManifestError::Unfinished
        | ManifestError::Io { .. }
        | ManifestError::Malformed(_)
        | ManifestError::Key(_)
        | ManifestError::Note(_)
        | ManifestError::Unauthentic(_)
        | ManifestError::OtherFiles { .. }
        | ManifestError::Changed(_) => Class::Tampered,
    };
    findings.add(class, error.to_string());
}
