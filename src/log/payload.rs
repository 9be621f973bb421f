//! Sealed payloads: the raw body and its signature header, compressed, padded, and encrypted under a key of
//! their own, which is derived from the key of their session.
//!
//! version 2: `2, nonce[24], XChaCha20-Poly1305(codec, frame length, frame, zeros up to a multiple of 64)`.

use std::cell::RefCell;
use std::io;
use std::sync::LazyLock;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::CParameter;

use super::binary::Fields;
use super::dedupe::Identification;
use super::entry::PayloadDigest;
use super::keys::PayloadKeys;

const VERSION: u8 = 2;
const NONCE_BYTES: usize = 24;
const PADDING: usize = 64;
/// With this dictionary, higher levels take longer and save no block of padding.
const COMPRESSION_LEVEL: i32 = 4;

/// The frame is the plaintext itself.
const CODEC_PLAIN: u8 = 0;
/// The frame is zstd, with the first dictionary. Another dictionary gets another number; this one stays for
/// good.
const CODEC_ZSTD_DICTIONARY_1: u8 = 1;
static DICTIONARY_1: &[u8] = include_bytes!("payload_dictionary_1.bin");

static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY_1, COMPRESSION_LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY_1));

thread_local! {
    /// A context is costlier to make than to use, so each thread keeps its own.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = RefCell::new(compressor().ok());
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_prepared_dictionary(&DECODER).ok());
}

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_prepared_dictionary(&ENCODER)?;
    // The codec names the dictionary.
    compressor.set_parameter(CParameter::DictIdFlag(false))?;
    Ok(compressor)
}

/// A payload in clear: personal data.
pub struct OpenedPayload {
    /// The raw body.
    pub body: Vec<u8>,
    /// The `Stripe-Signature` header.
    pub signature_header: String,
}

/// Why a payload could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It does not open under its key, or is not this entry's.
    #[error("the sealed payload does not open")]
    Sealed,
    /// It was erased, or recorded without one.
    #[error("there is no payload: it was erased, or never kept")]
    Erased,
    /// Its key could not be read.
    #[error("the key of the payload cannot be read")]
    KeyUnreadable,
    /// Its format is not known.
    #[error("sealed payload version {0} was written by another avow; this one reads version 2")]
    UnknownVersion(u8),
    /// What was sealed is not what the leaf commits to.
    #[error("the payload is not the one that the leaf commits to")]
    OtherPayload,
}

/// Seals a payload under the name by which its entry is known.
pub(super) fn seal(
    keys: &PayloadKeys,
    nonce: [u8; NONCE_BYTES],
    identification: &Identification,
    (signature_header, body): (&str, &[u8]),
) -> (Vec<u8>, PayloadDigest) {
    let plaintext = plaintext(signature_header, body);
    let plaintext_bytes = u32::try_from(plaintext.len()).unwrap_or(u32::MAX);
    let bound = associated_data(plaintext_bytes, identification);
    let payload = Payload {
        msg: &compressed_and_padded(&plaintext),
        aad: &bound,
    };
    // Sealing fails for 256 GiB and more only; an empty one would not open, and its commitment tells.
    let sealed = cipher(keys, &nonce)
        .encrypt(&XNonce::from(nonce), payload)
        .unwrap_or_default();
    let sealed = [&[VERSION], nonce.as_slice(), &sealed].concat();
    let sealed_sha256 = Sha256::digest(&sealed).into();
    (
        sealed,
        PayloadDigest {
            sealed_sha256,
            commitment: keys.commitment(&plaintext),
            plaintext_bytes,
        },
    )
}

/// Packs a payload as [`seal`] does, but leaves it open: what sealing costs is measured against this.
pub(super) fn pack((signature_header, body): (&str, &[u8])) -> (Vec<u8>, PayloadDigest) {
    let plaintext = plaintext(signature_header, body);
    let digest = PayloadDigest {
        sealed_sha256: [0; 32],
        commitment: [0; 32],
        plaintext_bytes: u32::try_from(plaintext.len()).unwrap_or(u32::MAX),
    };
    (compressed_and_padded(&plaintext), digest)
}

/// Opens a sealed payload and checks it against its leaf.
pub(super) fn open(
    keys: &PayloadKeys,
    sealed: &[u8],
    digest: &PayloadDigest,
    identification: &Identification,
) -> Result<OpenedPayload, PayloadError> {
    let mut fields = Fields::of(sealed);
    let version = fields.u8().ok_or(PayloadError::Sealed)?;
    if version != VERSION {
        return Err(PayloadError::UnknownVersion(version));
    }
    let nonce: [u8; NONCE_BYTES] = fields.array().ok_or(PayloadError::Sealed)?;
    let bound = associated_data(digest.plaintext_bytes, identification);
    let payload = Payload {
        msg: fields.rest(),
        aad: &bound,
    };
    let padded = cipher(keys, &nonce)
        .decrypt(&XNonce::from(nonce), payload)
        .map_err(|_| PayloadError::Sealed)?;
    let plaintext =
        decompressed(&padded, digest.plaintext_bytes).ok_or(PayloadError::OtherPayload)?;
    if keys.commitment(&plaintext) != digest.commitment {
        return Err(PayloadError::OtherPayload);
    }
    parts(&plaintext).ok_or(PayloadError::OtherPayload)
}

fn plaintext(signature_header: &str, body: &[u8]) -> Vec<u8> {
    let header_bytes = u32::try_from(signature_header.len()).unwrap_or(u32::MAX);
    [
        &header_bytes.to_le_bytes(),
        signature_header.as_bytes(),
        body,
    ]
    .concat()
}

fn parts(plaintext: &[u8]) -> Option<OpenedPayload> {
    let mut fields = Fields::of(plaintext);
    let header_bytes = usize::try_from(fields.u32()?).ok()?;
    let signature_header = String::from_utf8(fields.bytes(header_bytes)?.to_vec()).ok()?;
    Some(OpenedPayload {
        signature_header,
        body: fields.rest().to_vec(),
    })
}

/// Binds the sealed bytes to their entry and their length in clear, so that neither can be exchanged.
fn associated_data(plaintext_bytes: u32, identification: &Identification) -> Vec<u8> {
    [
        &[VERSION],
        plaintext_bytes.to_le_bytes().as_slice(),
        identification.as_bytes(),
    ]
    .concat()
}

fn cipher(keys: &PayloadKeys, nonce: &[u8; NONCE_BYTES]) -> XChaCha20Poly1305 {
    let key = keys.of_payload(nonce);
    XChaCha20Poly1305::new(&(*key).into())
}

fn compressed_and_padded(plaintext: &[u8]) -> Vec<u8> {
    let compressed =
        COMPRESSOR.with_borrow_mut(|compressor| compressor.as_mut()?.compress(plaintext).ok());
    let compressed = compressed.filter(|frame| frame.len() < plaintext.len());
    let (codec, frame) = match &compressed {
        Some(frame) => (CODEC_ZSTD_DICTIONARY_1, frame.as_slice()),
        None => (CODEC_PLAIN, plaintext),
    };
    let frame_bytes = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    let mut padded = [&[codec], frame_bytes.to_le_bytes().as_slice(), frame].concat();
    padded.resize(padded.len().next_multiple_of(PADDING), 0);
    padded
}

/// Never makes more bytes than the leaf says, whatever the frame claims.
fn decompressed(padded: &[u8], plaintext_bytes: u32) -> Option<Vec<u8>> {
    let mut fields = Fields::of(padded);
    let codec = fields.u8()?;
    let frame_bytes = usize::try_from(fields.u32()?).ok()?;
    let frame = fields.bytes(frame_bytes)?;
    let capacity = usize::try_from(plaintext_bytes).ok()?;
    let plaintext = match codec {
        CODEC_PLAIN => frame.to_vec(),
        CODEC_ZSTD_DICTIONARY_1 => DECOMPRESSOR.with_borrow_mut(|decompressor| {
            decompressor.as_mut()?.decompress(frame, capacity).ok()
        })?,
        _ => return None,
    };
    (plaintext.len() == capacity).then_some(plaintext)
}
