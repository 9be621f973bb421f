//! The bytes by which a key would be found anywhere, told apart from Avow's own code: slots are opened here with the test's
//! master key, by the formats that `src/log/keys.rs` and `src/log/vault/slot.rs` document.

use std::fs;
use std::io::BufRead;
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;

/// Where the first slot lies in a vault, and how long each is.
const SLOTS_FROM: usize = 8192;
const SLOT_BYTES: usize = 128;
/// The slot of the first session of a log.
pub(crate) const FIRST_SLOT: u64 = 2;

/// Something that must not be found, by name.
pub(crate) type Trace = (&'static str, Vec<u8>);

/// Returns the traces of the key in a slot of the vault in `data_dir`: in clear, spelt out, and as it lies wrapped there.
pub(crate) fn traces_of_key(data_dir: &Path, master_key: &str, slot: u64) -> Vec<Trace> {
    let vault = fs::read(data_dir.join("vault")).unwrap();
    let bytes = slot_of(&vault, slot);
    let key = opened(&vault, master_key, slot).expect("the slot holds a key");
    vec![
        ("the first half of the data key", key[..16].to_vec()),
        ("the second half of the data key", key[16..].to_vec()),
        (
            "the data key in hexadecimal",
            hex::encode(&key).into_bytes(),
        ),
        (
            "the data key in capitals",
            hex::encode_upper(&key).into_bytes(),
        ),
        ("the nonce of the wrapped key", bytes[8..32].to_vec()),
        ("the wrapped key", bytes[32..64].to_vec()),
        ("the tag of the wrapped key", bytes[64..80].to_vec()),
    ]
}

/// Returns the key that a slot of a vault holds under a master key, if it does.
pub(crate) fn opened(vault: &[u8], master_key: &str, slot: u64) -> Option<Vec<u8>> {
    // The header's first place: a checksum of four bytes, eight of magic, then the log.
    let log = &vault[12..28];
    let bytes = slot_of(vault, slot);
    let (magic, nonce, sealed) = (&bytes[..8], &bytes[8..32], &bytes[32..80]);
    let mut wrapping_key = [0; 32];
    Hkdf::<Sha256>::new(Some(b"avow"), &hex::decode(master_key).unwrap())
        .expand(b"vault", &mut wrapping_key)
        .unwrap();
    let payload = Payload {
        msg: sealed,
        aad: &[b"AVOWKEY1".as_slice(), log, &slot.to_le_bytes()].concat(),
    };
    let nonce: [u8; 24] = nonce.try_into().unwrap();
    let cipher = XChaCha20Poly1305::new(&wrapping_key.into());
    let key = cipher.decrypt(&XNonce::from(nonce), payload).ok()?;
    assert_eq!(magic, b"AVOWKEY1");
    Some(key)
}

/// Returns the bytes of a slot.
pub(crate) fn slot_of(vault: &[u8], slot: u64) -> &[u8] {
    let start = SLOTS_FROM + usize::try_from(slot).unwrap() * SLOT_BYTES;
    &vault[start..start + SLOT_BYTES]
}

/// Returns which traces lie in which files under a directory, or in a file.
pub(crate) fn found_in(path: &Path, traces: &[Trace]) -> Vec<String> {
    if path.is_dir() {
        let files = fs::read_dir(path).unwrap().map(|file| file.unwrap().path());
        return files.flat_map(|file| found_in(&file, traces)).collect();
    }
    let bytes = fs::read(path).unwrap();
    let found = traces.iter().filter(|(_, trace)| holds(&bytes, trace));
    found
        .map(|(name, _)| format!("{name} lies in {}", path.display()))
        .collect()
}

/// Tells whether bytes lie anywhere in others.
pub(crate) fn holds(bytes: &[u8], trace: &[u8]) -> bool {
    // Most of every file is preallocated: zeros begin nothing.
    let skipped = trace.iter().position(|byte| *byte != 0).unwrap();
    let mut from = skipped;
    while let Some(place) = position(bytes.get(from..).unwrap_or_default(), trace[skipped]) {
        from += place + 1;
        if bytes[from - 1 - skipped..].starts_with(trace) {
            return true;
        }
    }
    false
}

/// Finds a byte by the standard library's own search, which is fast in tests, too.
fn position(mut bytes: &[u8], byte: u8) -> Option<usize> {
    let whole = bytes;
    let passed = bytes.skip_until(byte).unwrap();
    passed.checked_sub(1).filter(|place| whole[*place] == byte)
}
