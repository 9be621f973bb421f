//! What a witness meets: logs that keep to their history, or do not; and the real witness in a process of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use avow::system::now_seconds;
use avow::transparency::add_checkpoint::AddCheckpoint;
use avow::transparency::checkpoint::SignedCheckpoint;
use avow::transparency::frontier::Frontier;
use avow::transparency::hash::{Hash, TreeHead, leaf_hash};
use avow::transparency::key::VerifierKey;
use avow::transparency::proof::consistency_proof;
use avow::transparency::signing_key::{CosigningKey, SigningKey};
use avow::transparency::subtree::head_at;
use avow::witness::cosigner::{OpenError, Witness};

use super::process::Process;

pub(crate) const WITNESS: &str = "witness.example/w1";
const SEED: &str = "c07a1be6945df2830e6b9d14a73f58c26d91f4083ab5e7721c4f60d98e2b35a9";

/// A log in memory.
pub(crate) struct History {
    pub(crate) key: SigningKey,
    levels: Vec<Vec<Hash>>,
}

impl History {
    /// Returns a log of 600 leaves.
    pub(crate) fn of(origin: &str) -> Self {
        Self::forked(origin, 600)
    }

    /// Returns that log with other leaves from one on.
    pub(crate) fn forked(origin: &str, from: u64) -> Self {
        let mut levels = vec![Vec::new(); 2];
        let mut frontier = Frontier::new();
        for number in 0..600_u64 {
            let leaf = format!("{number} {}", number >= from);
            frontier.push(leaf_hash(leaf.as_bytes()), |level, hash| {
                levels[usize::from(level)].push(hash);
            });
        }
        Self {
            key: SigningKey::new(origin.parse().unwrap(), &[7; 32]),
            levels,
        }
    }

    pub(crate) fn vkey(&self) -> &VerifierKey {
        self.key.verifier_key()
    }

    pub(crate) fn head(&self, size: u64) -> TreeHead {
        head_at(size, |level, range| self.hashes(level, range)).unwrap()
    }

    /// Returns a request to cosign the checkpoint of a size, for a witness that knows another size.
    pub(crate) fn request(&self, old_size: u64, size: u64) -> AddCheckpoint {
        AddCheckpoint {
            old_size,
            proof: consistency_proof(old_size.min(size), size, |level, range| {
                self.hashes(level, range)
            })
            .unwrap(),
            checkpoint: SignedCheckpoint::sign(self.head(size), &self.key)
                .note()
                .clone(),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "a reader of hashes may fail")]
    fn hashes(&self, level: u8, range: std::ops::Range<u64>) -> Result<Vec<Hash>, String> {
        let [start, end] = [range.start, range.end].map(|index| usize::try_from(index).unwrap());
        Ok(self.levels[usize::from(level)][start..end].to_vec())
    }
}

/// Where a witness keeps what, and which logs it watches.
pub(crate) struct Setting {
    pub(crate) directory: PathBuf,
    pub(crate) name: String,
    pub(crate) seed: String,
    pub(crate) logs: Vec<VerifierKey>,
    pub(crate) listen: String,
}

impl Setting {
    pub(crate) fn of(directory: &Path, logs: &[&VerifierKey]) -> Self {
        Self {
            directory: directory.to_owned(),
            name: WITNESS.to_owned(),
            seed: SEED.to_owned(),
            logs: logs.iter().copied().cloned().collect(),
            listen: "127.0.0.1:0".to_owned(),
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        let path = self.directory.join("key");
        fs::write(&path, &self.seed).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub(crate) fn key(&self) -> CosigningKey {
        let seed: [u8; 32] = hex::decode(&self.seed).unwrap().try_into().unwrap();
        CosigningKey::new(self.name.parse().unwrap(), &seed)
    }

    /// Returns `avow witness serve`.
    pub(crate) fn command(&self) -> Command {
        let mut command = avow();
        command
            .args(["witness", "serve", "--listen", &self.listen])
            .args(["--name", &self.name])
            .arg("--key-file")
            .arg(self.key_file())
            .arg("--state-dir")
            .arg(self.state())
            .args(self.logs.iter().map(|log| format!("--log={log}")));
        command
    }

    /// Opens the witness in this process.
    pub(crate) fn open(&self) -> Result<Witness, OpenError> {
        Witness::open(self.key(), self.logs.clone(), &self.state(), now_seconds)
    }

    /// Starts a witness that has to come up.
    pub(crate) fn start(&self) -> Process {
        Process::of(self.command()).expect("the witness serves")
    }
}

/// Returns the binary, with nothing in its environment.
pub(crate) fn avow() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_avow"));
    command.env_clear();
    command
}
