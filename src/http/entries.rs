//! `/v1/log`: the log itself, its entries one by one, and their receipts.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use state_machine::id::SequenceNumber;

use super::Shared;
use super::answer::{found, found_bytes};
use super::error::Error;
use super::facts::{FactJson, kind};
use super::parameters::Parameters;
use super::tlog::{ASK_AGAIN, TEXT};
use crate::log::Words;
use crate::log::access::{Access, Accessed};
use crate::log::entry::PayloadDigest;
use crate::service::evidence::PublicEntry;
use crate::transparency::hash::leaf_hash;

/// `GET /v1/log`
pub(super) async fn head(
    request: HttpRequest,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let service = shared.service()?;
    let tree = service.checkpoint().tree();
    let head = LogJson {
        object: "log",
        origin: service.verifier_key().name().as_str(),
        vkey: service.verifier_key().to_string(),
        size: tree.size,
        root: tree.root.to_string(),
    };
    found(&request, &head)
}

/// `GET /v1/log/entries/{sequence}`
pub(super) async fn show(
    request: HttpRequest,
    sequence: Path<String>,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let sequence = number(&sequence)?;
    let entry = shared.service()?.public_entry(sequence)?;
    if entry.words.is_some() {
        let (first, count) = (sequence, 1);
        let on = Accessed::Entries { first, count };
        shared.record_read(&request, Access::Words, on).await?;
    }
    found(&request, &EntryJson::of(&entry))
}

/// `GET /v1/log/entries/{sequence}/proof`
pub(super) async fn proof(
    request: HttpRequest,
    sequence: Path<String>,
    shared: Data<Shared>,
) -> Result<HttpResponse, Error> {
    Parameters::of(&request)?.finish()?;
    let receipt = shared.service()?.receipt(number(&sequence)?)?.to_string();
    Ok(found_bytes(&request, TEXT, ASK_AGAIN, receipt.into_bytes()))
}

fn number(text: &str) -> Result<SequenceNumber, Error> {
    let number = text.parse().ok();
    number
        .filter(|number: &u64| number.to_string() == text)
        .map(SequenceNumber)
        .ok_or_else(|| Error::missing("sequence", "an entry is named by its number"))
}

#[derive(Serialize)]
struct LogJson<'a> {
    object: &'static str,
    origin: &'a str,
    vkey: String,
    size: u64,
    root: String,
}

#[derive(Serialize)]
struct EntryJson<'a> {
    object: &'static str,
    sequence: u64,
    kind: &'static str,
    received_at: i64,
    /// Which secret authenticated its delivery, if there was one.
    secret: Option<String>,
    key_slot: u64,
    fact: FactJson<'a>,
    payload: PayloadJson,
    words: Option<&'a Words>,
    leaf: String,
    leaf_hash: String,
}

impl<'a> EntryJson<'a> {
    fn of(PublicEntry { entry, words }: &'a PublicEntry) -> Self {
        let leaf = &entry.leaf;
        let bytes = leaf.encode();
        Self {
            object: "log_entry",
            sequence: leaf.sequence.0,
            kind: kind(&leaf.fact),
            received_at: leaf.received_at.0.div_euclid(1000),
            secret: leaf.secret.map(|secret| secret.to_string()),
            key_slot: leaf.key_slot.0,
            fact: FactJson::of(&leaf.fact),
            payload: PayloadJson::of(leaf.payload.as_ref(), !entry.sealed.is_empty()),
            words: words.as_ref(),
            leaf_hash: leaf_hash(&bytes).to_string(),
            leaf: STANDARD.encode(bytes),
        }
    }
}

#[derive(Serialize)]
struct PayloadJson {
    status: &'static str,
    plaintext_bytes: Option<u32>,
    sealed_sha256: Option<String>,
    commitment: Option<String>,
}

impl PayloadJson {
    fn of(digest: Option<&PayloadDigest>, is_there: bool) -> Self {
        Self {
            status: match (digest, is_there) {
                (None, _) => "never_kept",
                (Some(_), true) => "present",
                (Some(_), false) => "erased",
            },
            plaintext_bytes: digest.map(|digest| digest.plaintext_bytes),
            sealed_sha256: digest.map(|digest| hex::encode(digest.sealed_sha256)),
            commitment: digest.map(|digest| hex::encode(digest.commitment)),
        }
    }
}
