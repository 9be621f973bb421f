//! An export whose log has signed any manifest at all is read or refused, and no file is opened but those that are due.
//!
//! The bytes: a manifest, which is signed by the key `avow/log`.

use avow::audit::manifest::Manifest;
use avow::transparency::export;
use avow::transparency::signing_key::SigningKey;
use ring::digest::{SHA256, digest};

/// Reads the bytes as the manifest of an export.
pub(crate) fn holds(bytes: &[u8]) {
    let key = SigningKey::new("avow/log".parse().unwrap(), &[7; 32]);
    let hash = digest(&SHA256, bytes).as_ref().try_into().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let write =
        |name: &str, bytes: &[u8]| std::fs::write(directory.path().join(name), bytes).unwrap();
    write("manifest.json", bytes);
    write(
        "manifest.note",
        export::sign(&hash, &key).to_string().as_bytes(),
    );
    write("checkpoint", b"a checkpoint");
    write("checkpoints", b"");

    if let Ok((manifest, log)) = Manifest::read(directory.path()) {
        assert_eq!(log, *key.verifier_key());
        let checked = manifest.check_files(directory.path(), |_| {});
        // An export of no entries has the two files that lie here; any other names some that do not.
        assert!(checked.is_err() || (manifest.size == 0 && manifest.files.len() == 2));
    }
}
