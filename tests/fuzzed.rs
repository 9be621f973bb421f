//! What is promised about any bytes holds for those of every file of `fuzz/corpus`: each goes through its target.

#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use targets::TARGETS;

/// More would be no corpus of few files any more.
const FILES_MAX: usize = 300;

fn corpora() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus"))
}

#[test]
fn every_file_of_the_corpora_passes_its_target() {
    for (name, target) in TARGETS {
        let files: Vec<_> = fs::read_dir(corpora().join(name)).unwrap().collect();
        assert!(
            (3..FILES_MAX).contains(&files.len()),
            "{name}: {} files",
            files.len()
        );
        for file in files {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();

            assert!(
                catch_unwind(|| target(&bytes)).is_ok(),
                "{}",
                path.display()
            );
        }
    }
}

#[test]
fn each_target_has_a_corpus_and_each_corpus_a_target() {
    let names = TARGETS.map(|(name, _)| name.to_owned());

    let folders = fs::read_dir(corpora()).unwrap();
    let folders = folders.map(|folder| folder.unwrap().file_name().into_string().unwrap());

    assert_eq!(folders.collect::<BTreeSet<_>>(), BTreeSet::from(names));
}
