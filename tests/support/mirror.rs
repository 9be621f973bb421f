//! A stranger's copy of a log: all that its published checkpoint covers, under the paths at which it is served.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use avow::transparency::bundle;
use avow::transparency::checkpoint::{Checkpoint, SignedCheckpoint};
use avow::transparency::hash::{Hash, TreeHead};
use avow::transparency::key::VerifierKey;
use avow::transparency::note::Note;
use avow::transparency::tile::{entry_bundles, tiles};
use reqwest::blocking::Response;

/// How long a checkpoint may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// What was fetched, and the key that was known before.
pub(crate) struct Mirror {
    pub(crate) vkey: VerifierKey,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Mirror {
    /// Fetches everything, and asserts that it is there.
    pub(crate) fn of(get: impl Fn(&str) -> Response) -> Self {
        let vkey = vkey(&get);
        let mut files = BTreeMap::new();
        let mut fetch = |path: String| {
            let bytes = found(&get, &format!("/{path}"));
            files.entry(path).or_insert(bytes).clone()
        };
        let checkpoint = fetch("checkpoint".to_owned());
        let size = authenticated(&checkpoint, &vkey).size;
        for tile in tiles(size) {
            fetch(tile.to_string());
        }
        for bundle in entry_bundles(size) {
            let path = bundle.to_string();
            fetch(path.replace("tile/entries", "v1/log/payloads"));
            fetch(path);
        }
        for sequence in 0..size {
            fetch(receipt_path(sequence));
        }
        Self { vkey, files }
    }

    /// Returns the head that the log has signed.
    pub(crate) fn head(&self) -> TreeHead {
        authenticated(&self.files["checkpoint"], &self.vkey)
    }

    /// Returns the leaves that its bundles hold.
    pub(crate) fn leaves(&self) -> Vec<Vec<u8>> {
        let bundles = entry_bundles(self.head().size);
        bundles
            .flat_map(|bundle| {
                let bytes = &self.files[&bundle.to_string()];
                let leaves = bundle::leaves(bundle, bytes).unwrap();
                leaves.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>()
            })
            .collect()
    }

    /// Returns the hashes that its tiles of a level hold.
    pub(crate) fn level(&self, level: u8) -> Vec<Hash> {
        tiles(self.head().size)
            .filter(|tile| tile.level() == level)
            .flat_map(|tile| hashes(&self.files[&tile.to_string()]))
            .collect()
    }

    /// Writes the files.
    pub(crate) fn write(&self, directory: &Path) {
        for (path, bytes) in &self.files {
            let path = directory.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

/// Returns the path of an entry's receipt.
pub(crate) fn receipt_path(sequence: u64) -> String {
    format!("v1/log/entries/{sequence}/proof")
}

/// Waits until the published checkpoint covers so many entries, and returns it.
pub(crate) fn checkpoint_of(get: impl Fn(&str) -> Response, size: u64) -> String {
    let since = Instant::now();
    loop {
        let note = get("/checkpoint").text().unwrap();
        let text = Note::parse(note.as_bytes()).unwrap();
        let checkpoint: Checkpoint = text.text().parse().unwrap();
        if checkpoint.tree().size >= size {
            return note;
        }
        assert!(since.elapsed() < PATIENCE, "no checkpoint covers {size}");
        std::thread::yield_now();
    }
}

/// Returns the key of a log, as it says itself: a stranger has it from elsewhere.
pub(crate) fn vkey(get: impl Fn(&str) -> Response) -> VerifierKey {
    let log: serde_json::Value = get("/v1/log").json().unwrap();
    log["vkey"].as_str().unwrap().parse().unwrap()
}

/// Returns the head in a checkpoint of the log with this key.
pub(crate) fn authenticated(note: &[u8], vkey: &VerifierKey) -> TreeHead {
    let note = Note::parse(note).unwrap();
    SignedCheckpoint::authenticate(note, vkey).unwrap().tree()
}

/// Asks for bytes that have to be there.
pub(crate) fn found(get: impl Fn(&str) -> Response, path: &str) -> Vec<u8> {
    let response = get(path);
    assert_eq!(response.status(), 200, "{path}");
    response.bytes().unwrap().to_vec()
}

fn hashes(tile: &[u8]) -> Vec<Hash> {
    let (hashes, rest) = tile.as_chunks();
    assert!(rest.is_empty());
    hashes.iter().copied().map(Hash).collect()
}
