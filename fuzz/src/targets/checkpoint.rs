//! A checkpoint is believed exactly if the log's key has signed its text, as another implementation of Ed25519 sees it.
//!
//! The bytes: a note. Where one of its lines is `@`, the signature of the log's key stands in its place.

use avow::transparency::checkpoint::{Checkpoint, SignedCheckpoint};
use avow::transparency::note::{Note, NoteSignature};
use avow::transparency::signing_key::SigningKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};

/// Reads the bytes as a checkpoint that the log has signed, or not.
pub(crate) fn holds(bytes: &[u8]) {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(checkpoint) = text.parse::<Checkpoint>()
    {
        assert_eq!(checkpoint.to_string(), text);
    }
    let key = SigningKey::new("avow/log".parse().unwrap(), &[7; 32]);
    let log = key.verifier_key();
    let Ok(note) = Note::parse(&signed(bytes, &key)) else {
        return;
    };
    let own = note.signatures().iter();
    let own: Vec<_> = own
        .filter(|signature| signature.name() == log.name() && signature.key_id() == log.id())
        .collect();
    let public = UnparsedPublicKey::new(&ED25519, log.public_key());
    let is_right = |signature: &NoteSignature| {
        let line = signature.to_string();
        let bytes = STANDARD.decode(line.rsplit(' ').next().unwrap()).unwrap();
        // Behind the four bytes of the key's id.
        public.verify(note.text().as_bytes(), &bytes[4..]).is_ok()
    };

    let is_expected = !own.is_empty()
        && own.iter().all(|signature| is_right(signature))
        && note
            .text()
            .parse::<Checkpoint>()
            .is_ok_and(|checkpoint| checkpoint.origin() == "avow/log");
    let text = note.text().to_owned();
    let authentic = SignedCheckpoint::authenticate(note, log);

    assert_eq!(authentic.is_ok(), is_expected, "{authentic:?}");
    if let Ok(checkpoint) = authentic {
        assert_eq!(checkpoint.checkpoint().to_string(), text);
    }
}

fn signed(bytes: &[u8], key: &SigningKey) -> Vec<u8> {
    let Ok(note) = str::from_utf8(bytes) else {
        return bytes.to_vec();
    };
    let Some((text, _)) = note.rsplit_once("\n\n") else {
        return bytes.to_vec();
    };
    match Note::sign(format!("{text}\n"), key) {
        Ok(signed) => {
            let line = signed.signatures()[0].to_string();
            note.replace("\n@\n", &format!("\n{}\n", line.trim_end()))
                .into()
        }
        Err(_) => bytes.to_vec(),
    }
}
