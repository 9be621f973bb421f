//! Nothing can be changed in a log without the audit finding it: every byte of every file that is evidence, one by one.
//!
//! Evidence is the journal, the identity, the stored tree, the checkpoints and the vault; and every file of an export.
//! sled, the index, the head, the lock and the projections are derived, and no audit looks at them.

#![expect(clippy::print_stdout, reason = "how many ways there were is published")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use avow::audit::auditor::Request;
use avow::audit::export::export;
use avow::audit::finding::Class;
use avow::transparency::frontier::Frontier;
use avow::transparency::hash::leaf_hash;
use sha2::{Digest, Sha256};
use tempfile::{TempDir, tempdir};

use crate::support::audited::{
    Known, audit_path, known, told, with_keys, with_seen, write_small_log,
};
use crate::support::log::{Home, MASTER_KEY, append, copy, numbered_body};
use crate::support::server::open_service_of;

const WORKERS: usize = 2;

/// A log at rest, of several short segments.
struct Victim {
    home: Home,
    known: Known,
}

impl Victim {
    fn new(name: &str) -> Self {
        let mut home = Home::new();
        home.options.journal_segment_bytes = 2 * 1024;
        let known = write_small_log(&home, name);
        Self { home, known }
    }

    /// Returns a copy of the files that are evidence.
    fn evidence(&self) -> TempDir {
        let copied = tempdir().unwrap();
        for path in evidence_of(self.home.data_dir()) {
            let to = copied.path().join(&path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(self.home.data_dir().join(&path), to).unwrap();
        }
        copied
    }

    /// Returns an export with payloads.
    fn export(&self) -> TempDir {
        let directory = tempdir().unwrap();
        let service = open_service_of(self.home.data_dir(), MASTER_KEY);
        export(&service, directory.path(), true, |_, _| {}).unwrap();
        directory
    }
}

/// Returns the files of a data directory that are evidence.
fn evidence_of(data_dir: &Path) -> Vec<PathBuf> {
    let files = files_of(data_dir).into_iter();
    let is_evidence = |path: &PathBuf| {
        let path = path.to_str().unwrap();
        let evidence = [
            "vault",
            "log/journal/",
            "log/identity",
            "log/tree/",
            "log/checkpoints",
        ];
        evidence.iter().any(|evidence| path.starts_with(evidence))
    };
    files.filter(is_evidence).collect()
}

/// Returns every file below a directory, by its path from there.
fn files_of(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for file in fs::read_dir(directory).unwrap() {
        let (path, name) = (file.as_ref().unwrap().path(), file.unwrap().file_name());
        if path.is_dir() {
            files.extend(
                files_of(&path)
                    .into_iter()
                    .map(|file| Path::new(&name).join(file)),
            );
        } else {
            files.push(name.into());
        }
    }
    files.sort();
    files
}

/// Flips one bit of each of these bytes, audits each time, and returns the places where nothing was found.
fn flip_each(
    directory: &Path,
    places: &[(PathBuf, u64)],
    request: &(impl Fn(&Path) -> Option<Request> + Sync),
) -> Vec<(PathBuf, u64)> {
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let own = tempdir().unwrap();
                copy(directory, own.path());
                while let Some((path, offset)) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let file = File::options()
                        .read(true)
                        .write(true)
                        .open(own.path().join(path))
                        .unwrap();
                    let mut byte = [0];
                    file.read_exact_at(&mut byte, *offset).unwrap();
                    file.write_all_at(&[byte[0] ^ 1 << (offset % 8)], *offset)
                        .unwrap();
                    // A vault that does not open is refused before anything is read.
                    let request = request(own.path());
                    if request
                        .is_some_and(|request| audit_path(own.path(), request).gravest().is_none())
                    {
                        missed.lock().unwrap().push((path.clone(), *offset));
                    }
                    file.write_all_at(&byte, *offset).unwrap();
                }
            });
        }
    });
    missed.into_inner().unwrap()
}

/// Returns every byte of these files, or each `step`th.
fn bytes_of(directory: &Path, paths: &[PathBuf], step: usize) -> Vec<(PathBuf, u64)> {
    let bytes = |path: &PathBuf| fs::metadata(directory.join(path)).unwrap().len();
    let places = |path| {
        (0..bytes(path))
            .step_by(step)
            .map(|offset| (path.clone(), offset))
    };
    paths.iter().flat_map(places).collect()
}

/// Audits copies of a directory, each changed in one way, and asserts that something is found each time.
fn assert_found(directory: &Path, request: &impl Fn(&Path) -> Request, changes: &[Change<'_>]) {
    let missed: Vec<&str> = changes
        .iter()
        .filter(|change| {
            let own = tempdir().unwrap();
            copy(directory, own.path());
            (change.make)(own.path());
            audit_path(own.path(), request(own.path()))
                .gravest()
                .is_none()
        })
        .map(|change| change.name.as_str())
        .collect();
    assert_eq!(missed, Vec::<&str>::new());
}

struct Change<'test> {
    name: String,
    make: Box<dyn Fn(&Path) + 'test>,
}

impl<'test> Change<'test> {
    fn new(name: impl Into<String>, make: impl Fn(&Path) + 'test) -> Self {
        Self {
            name: name.into(),
            make: Box::new(make),
        }
    }
}

fn assert_flips_are_found(
    what: &str,
    directory: &Path,
    places: &[(PathBuf, u64)],
    request: &(impl Fn(&Path) -> Option<Request> + Sync),
) {
    let sound = audit_path(directory, request(directory).unwrap());
    assert_eq!(sound.gravest(), None, "{sound}");

    let missed = flip_each(directory, places, request);

    println!("{what}: {} bytes flipped one by one", places.len());
    let some: Vec<_> = missed.iter().take(8).collect();
    assert!(
        missed.is_empty(),
        "{} missed, among them {some:?}",
        missed.len()
    );
}

#[test]
fn every_flipped_byte_of_the_journal_the_tree_the_checkpoints_and_the_identity_is_found() {
    let victim = Victim::new("");
    let evidence = victim.evidence();
    let mut paths = evidence_of(evidence.path());
    paths.retain(|path| !path.starts_with("vault"));
    let places = bytes_of(evidence.path(), &paths, 1);

    assert_flips_are_found("log", evidence.path(), &places, &|_| {
        Some(told(&victim.known.key))
    });
}

#[test]
fn every_flipped_byte_of_the_vault_is_found_with_the_master_key() {
    let victim = Victim::new("");
    let evidence = victim.evidence();
    // Few of the slots that were minted ahead, each as good as any other.
    let vault = File::options()
        .write(true)
        .open(evidence.path().join("vault"))
        .unwrap();
    vault.set_len(2 * 4096 + 10 * 128).unwrap();
    let places = bytes_of(evidence.path(), &["vault".into()], 1);
    let request = |directory: &Path| {
        let request = with_keys(told(&victim.known.key), directory).ok()?;
        // Each slot is opened by itself; what is sealed with it need not be, each time.
        Some(Request {
            payloads: false,
            ..request
        })
    };

    assert_flips_are_found("vault", evidence.path(), &places, &request);
}

#[test]
fn every_flipped_byte_of_every_file_of_an_export_is_found() {
    let victim = Victim::new("");
    let export = victim.export();
    let places = bytes_of(export.path(), &files_of(export.path()), 1);

    // What makes a directory an export is that it has a manifest; one whose checkpoint is no note is refused at once.
    assert_flips_are_found("export", export.path(), &places, &|_| {
        Some(told(&victim.known.key))
    });
}

#[test]
fn entries_that_are_dropped_doubled_swapped_or_cut_off_are_found() {
    let victim = Victim::new("");
    let evidence = victim.evidence();
    let entries = victim.records().len();
    let victim = &victim;
    let mut changes = Vec::new();
    for entry in 0..entries {
        // As clumsy hands do it, and as those do who can compute every checksum, link and stored hash anew.
        for is_thorough in [false, true] {
            let mut change = |name: &str, change: fn(&mut Vec<Vec<u8>>, usize)| {
                changes.push(Change::new(
                    format!("{name} {entry} {is_thorough}"),
                    move |directory| {
                        let mut records = victim.records();
                        change(&mut records, entry);
                        rewrite(directory, &records, is_thorough);
                    },
                ));
            };
            change("drop", |records, entry| drop(records.remove(entry)));
            change("double", |records, entry| {
                records.insert(entry, records[entry].clone());
            });
            change("cut off from", Vec::truncate);
            if entry + 1 < entries {
                change("swap with the next", |records, entry| {
                    records.swap(entry, entry + 1);
                });
            }
        }
        changes.push(Change::new(format!("change {entry}"), move |directory| {
            let mut records = victim.records();
            let received_at = LEAF_AT + 1 + 1 + 8;
            records[entry][received_at] ^= 1;
            rewrite(directory, &records, true);
        }));
    }
    println!(
        "entries dropped, doubled, swapped, changed or cut off in {} ways",
        changes.len()
    );

    assert_found(evidence.path(), &|_| told(&victim.known.key), &changes);
}

#[test]
fn a_file_that_is_cut_is_missing_or_comes_from_another_log_is_found() {
    let (victim, other) = (Victim::new(""), Victim::new("other"));
    let (evidence, foreign) = (victim.evidence(), other.evidence());
    let (export, foreign_export) = (victim.export(), other.export());
    for (directory, foreign) in [(evidence, foreign), (export, foreign_export)] {
        let mut changes = Vec::new();
        for path in files_of(directory.path()) {
            let length = fs::metadata(directory.path().join(&path)).unwrap().len();
            let name = path.display().to_string();
            let from = foreign.path().join(&path);
            if length == 0 {
                continue; // a level of the tree that has no hash yet
            }
            if from.exists() {
                let path = path.clone();
                changes.push(Change::new(format!("crossed {name}"), move |directory| {
                    fs::copy(&from, directory.join(&path)).unwrap();
                }));
            }
            let missing = path.clone();
            changes.push(Change::new(format!("removed {name}"), move |directory| {
                fs::remove_file(directory.join(&missing)).unwrap();
            }));
            // The end of a segment is zeros, and of the vault keys that no entry names.
            let cut = if name.ends_with("segment") || name == "vault" {
                length / 9
            } else {
                length - 1
            };
            changes.push(Change::new(format!("cut {name}"), move |directory| {
                let file = File::options()
                    .write(true)
                    .open(directory.join(&path))
                    .unwrap();
                file.set_len(cut).unwrap();
            }));
        }
        println!("files cut, removed or crossed in {} ways", changes.len());

        assert_found(directory.path(), &|_| told(&victim.known.key), &changes);
    }
}

#[test]
fn a_log_that_was_put_back_or_told_two_histories_is_found_by_a_checkpoint_that_was_kept() {
    let home = Home::new();
    append(&home.open(), &numbered_body(0));
    let older = Home::copy_of(&home);
    let branch = Home::copy_of(&home);
    let log = home.open();
    append(&log, &numbered_body(1));
    let kept = known(&home, log);
    let log = branch.open();
    append(&log, &numbered_body(2));
    let branched = known(&branch, log);
    assert_eq!(kept.key, branched.key);

    for (directory, expected) in [
        (home.data_dir(), None),
        (older.data_dir(), Some(Class::ForkedOrRolledBack)),
        (branch.data_dir(), Some(Class::ForkedOrRolledBack)),
    ] {
        let report = audit_path(directory, with_seen(told(&kept.key), &kept.checkpoint));

        assert_eq!(report.gravest(), expected, "{report}");
    }
}

/// Where in a record its leaf begins.
const LEAF_AT: usize = 68;

impl Victim {
    /// Returns the journal's records, without padding.
    fn records(&self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for path in evidence_of(self.home.data_dir()) {
            if path
                .extension()
                .is_none_or(|extension| extension != "segment")
            {
                continue;
            }
            let bytes = fs::read(self.home.data_dir().join(path)).unwrap();
            let mut rest = &bytes[SEGMENT_HEADER_BYTES..];
            while rest.starts_with(b"AVW2") {
                let length = LEAF_AT + field(rest, 8) + field(rest, 12);
                records.push(rest[..length].to_vec());
                rest = &rest[length.next_multiple_of(8).min(rest.len())..];
            }
        }
        records
    }
}

const SEGMENT_HEADER_BYTES: usize = 128;

fn field(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
        .try_into()
        .unwrap()
}

/// Writes these records as the only segment of the journal; thoroughly: with links and checksums that fit, and with the
/// tree that they come to. Only the checkpoints cannot be made anew.
fn rewrite(data_dir: &Path, records: &[Vec<u8>], is_thorough: bool) {
    let mut segments = evidence_of(data_dir);
    segments.retain(|path| path.starts_with("log/journal"));
    let mut bytes = fs::read(data_dir.join(&segments[0])).unwrap()[..SEGMENT_HEADER_BYTES].to_vec();
    let (mut link, mut frontier, mut levels) = ([0; 32], Frontier::new(), BTreeMap::new());
    for (sequence, record) in (0_u64..).zip(records) {
        let mut record = record.clone();
        let leaf_end = LEAF_AT + field(&record, 8);
        if is_thorough {
            let places = [sequence.to_le_bytes(), sequence.to_le_bytes()].concat();
            record[20..36].copy_from_slice(&places);
            record[36..68].copy_from_slice(&link);
            record[LEAF_AT + 2..LEAF_AT + 10].copy_from_slice(&sequence.to_le_bytes());
            let checksum = crc32c::crc32c(&record[8..leaf_end]);
            record[4..8].copy_from_slice(&checksum.to_le_bytes());
        }
        let leaf = leaf_hash(&record[LEAF_AT..leaf_end]);
        link = Sha256::new()
            .chain_update(link)
            .chain_update(leaf.0)
            .finalize()
            .into();
        frontier.push(leaf, |level, hash| {
            levels.entry(level).or_insert_with(Vec::new).extend(hash.0);
        });
        bytes.extend(record);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
    }
    for segment in &segments[1..] {
        fs::remove_file(data_dir.join(segment)).unwrap();
    }
    fs::write(data_dir.join(&segments[0]), bytes).unwrap();
    if is_thorough {
        fs::write(
            data_dir.join("log/tree/0"),
            levels.remove(&0).unwrap_or_default(),
        )
        .unwrap();
    }
}
