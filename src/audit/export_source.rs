//! The two logs that can be exported: one that this process has opened, and one behind a server that goes on writing.

use std::io::Write;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use state_machine::id::SequenceNumber;

use super::export::{ExportError, ExportSource};
use super::manifest::{CHECKPOINT, CHECKPOINTS, Projected};
use super::source::{SourceError, StoredEntry};
use super::web::Web;
use crate::log::Log;
use crate::log::tree::checkpoint_record;
use crate::projections::digest::ProjectionsDigest;
use crate::projections::store::{Projections, REDUCER_VERSION};
use crate::transparency::bundle::leaves;
use crate::transparency::export::ManifestHash;
use crate::transparency::key::VerifierKey;
use crate::transparency::note::Note;
use crate::transparency::payload_bundle::{self, payloads};
use crate::transparency::tile::EntryBundle;

/// A log that this process has opened, and its projections, which have caught up.
pub struct OpenLog<'log> {
    /// The log.
    pub log: &'log Log,
    /// Its projections.
    pub projections: &'log Projections,
}

impl ExportSource for OpenLog<'_> {
    fn verifier_key(&self) -> Result<VerifierKey, ExportError> {
        Ok(self.log.verifier_key().clone())
    }

    fn projected(&self) -> Result<Projected, ExportError> {
        Ok(self.projections.digest()?.into())
    }

    fn checkpoint(&self) -> Result<Note, ExportError> {
        Ok(self.log.published_checkpoint().as_ref().clone())
    }

    fn write_checkpoints(&self, through: u64, to: &mut dyn Write) -> Result<(), ExportError> {
        let io = |source| ExportError::io(CHECKPOINTS.as_ref(), source);
        for note in self.log.checkpoints_through(through).map_err(io)? {
            to.write_all(&checkpoint_record(&note)).map_err(io)?;
        }
        Ok(())
    }

    fn entries(
        &self,
        bundle: EntryBundle,
        with_payloads: bool,
    ) -> Result<Vec<StoredEntry>, ExportError> {
        let read = |sequence| {
            let entry = self.log.sealed_entry(SequenceNumber(sequence))?;
            Ok(entry.map(|entry| StoredEntry {
                leaf: entry.leaf.encode(),
                sealed: if with_payloads {
                    entry.sealed
                } else {
                    Vec::new()
                },
            }))
        };
        bundle
            .entries()
            .filter_map(|sequence| read(sequence).transpose())
            .collect()
    }

    fn sign(&self, manifest: &ManifestHash) -> Result<Note, ExportError> {
        Ok(self.log.sign_export(manifest)?)
    }
}

impl From<ProjectionsDigest> for Projected {
    fn from(digest: ProjectionsDigest) -> Self {
        Self {
            reducer_version: REDUCER_VERSION,
            sequence: digest.sequence.0,
            digest: digest.to_string(),
        }
    }
}

/// A log behind a server.
pub struct Server(pub Web);

/// What a server says of its log.
#[derive(Deserialize)]
struct LogAnswer {
    vkey: String,
}

/// What a server says of its projections.
#[derive(Deserialize)]
struct SignedAnswer {
    note: String,
}

impl Server {
    fn get(&self, path: &str) -> Result<Vec<u8>, ExportError> {
        let bytes = self.0.get(path).map_err(SourceError::from)?;
        Ok(bytes.ok_or_else(|| SourceError::Missing(path.to_owned()))?)
    }
}

impl ExportSource for Server {
    fn verifier_key(&self) -> Result<VerifierKey, ExportError> {
        let answer: LogAnswer = parsed("v1/log", &self.get("v1/log")?)?;
        answer
            .vkey
            .parse()
            .map_err(|error| unusable("v1/log", &error))
    }

    fn projected(&self) -> Result<Projected, ExportError> {
        parsed("v1/digest", &self.get("v1/digest")?)
    }

    fn checkpoint(&self) -> Result<Note, ExportError> {
        Note::parse(&self.get(CHECKPOINT)?).map_err(|error| unusable(CHECKPOINT, &error))
    }

    fn write_checkpoints(&self, through: u64, to: &mut dyn Write) -> Result<(), ExportError> {
        let path = format!("v1/log/checkpoints?through={through}");
        Ok(self.0.get_into(&path, to).map_err(SourceError::from)?)
    }

    fn entries(
        &self,
        bundle: EntryBundle,
        with_payloads: bool,
    ) -> Result<Vec<StoredEntry>, ExportError> {
        let path = bundle.to_string();
        let bytes = self.get(&path)?;
        let leaves = leaves(bundle, &bytes).map_err(|error| unusable(&path, &error))?;
        let mut entries: Vec<_> = leaves
            .into_iter()
            .map(|leaf| StoredEntry {
                leaf: leaf.to_vec(),
                sealed: Vec::new(),
            })
            .collect();
        if with_payloads {
            let path = format!("v1/log/{}", payload_bundle::path(bundle));
            let bytes = self.get(&path)?;
            let payloads = payloads(bundle, &bytes).map_err(|error| unusable(&path, &error))?;
            for (entry, sealed) in entries.iter_mut().zip(payloads) {
                entry.sealed = sealed.to_vec();
            }
        }
        Ok(entries)
    }

    fn sign(&self, manifest: &ManifestHash) -> Result<Note, ExportError> {
        const PATH: &str = "v1/log/exports";
        let body = json!({ "manifest_sha256": hex::encode(manifest) });
        let answer = self.0.post(PATH, &body).map_err(SourceError::from)?;
        let answer: SignedAnswer = parsed(PATH, &answer)?;
        Note::parse(answer.note.as_bytes()).map_err(|error| unusable(PATH, &error))
    }
}

fn parsed<T: DeserializeOwned>(path: &str, answer: &[u8]) -> Result<T, ExportError> {
    serde_json::from_slice(answer).map_err(|error| unusable(path, &error))
}

fn unusable(place: &str, problem: &dyn std::fmt::Display) -> ExportError {
    ExportError::Source(SourceError::Damaged {
        place: place.to_owned(),
        offset: 0,
        problem: problem.to_string(),
    })
}
