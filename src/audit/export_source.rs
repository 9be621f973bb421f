//! The two logs that can be exported: one that this process has opened, and one behind a server that goes on writing.

use std::io::Write;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::export::{ExportError, ExportSource};
use super::manifest::{CHECKPOINT, CHECKPOINTS, Projected};
use super::source::SourceError;
use super::web::Web;
use crate::log::tree::checkpoint_record;
use crate::projections::digest::ProjectionsDigest;
use crate::projections::store::REDUCER_VERSION;
use crate::service::Service;
use crate::transparency::export::ManifestHash;
use crate::transparency::key::VerifierKey;
use crate::transparency::note::Note;
use crate::transparency::payload_bundle;
use crate::transparency::tile::EntryBundle;

impl ExportSource for Service {
    fn verifier_key(&self) -> Result<VerifierKey, ExportError> {
        Ok(Self::verifier_key(self).clone())
    }

    fn projected(&self) -> Result<Projected, ExportError> {
        Ok(self.digest()?.into())
    }

    fn checkpoint(&self) -> Result<Note, ExportError> {
        Ok(self.published_checkpoint().as_ref().clone())
    }

    fn write_checkpoints(&self, through: u64, to: &mut dyn Write) -> Result<(), ExportError> {
        let io = |source| ExportError::io(CHECKPOINTS.as_ref(), source);
        for note in self.checkpoints_through(through).map_err(io)? {
            to.write_all(&checkpoint_record(&note.map_err(io)?))
                .map_err(io)?;
        }
        Ok(())
    }

    fn leaves(&self, bundle: EntryBundle) -> Result<Vec<u8>, ExportError> {
        Ok(self.entry_bundle(bundle)?)
    }

    fn payloads(&self, bundle: EntryBundle) -> Result<Vec<u8>, ExportError> {
        Ok(self.payload_bundle(bundle)?)
    }

    fn sign(&self, manifest: &ManifestHash) -> Result<Note, ExportError> {
        Ok(self.sign_export(manifest)?)
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
struct DigestAnswer {
    #[serde(flatten)]
    projected: Projected,
}

/// What a server has signed.
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
        const PATH: &str = "v1/log";
        let answer: LogAnswer = parsed(PATH, &self.get(PATH)?)?;
        answer.vkey.parse().map_err(|error| unusable(PATH, &error))
    }

    fn projected(&self) -> Result<Projected, ExportError> {
        const PATH: &str = "v1/digest";
        let answer: DigestAnswer = parsed(PATH, &self.get(PATH)?)?;
        Ok(answer.projected)
    }

    fn checkpoint(&self) -> Result<Note, ExportError> {
        Note::parse(&self.get(CHECKPOINT)?).map_err(|error| unusable(CHECKPOINT, &error))
    }

    fn write_checkpoints(&self, through: u64, to: &mut dyn Write) -> Result<(), ExportError> {
        let path = format!("v1/log/checkpoints?through={through}");
        Ok(self.0.get_into(&path, to).map_err(SourceError::from)?)
    }

    fn leaves(&self, bundle: EntryBundle) -> Result<Vec<u8>, ExportError> {
        self.get(&bundle.to_string())
    }

    fn payloads(&self, bundle: EntryBundle) -> Result<Vec<u8>, ExportError> {
        self.get(&format!("v1/log/{}", payload_bundle::path(bundle)))
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
