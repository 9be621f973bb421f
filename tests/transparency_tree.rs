//! The tree is RFC 6962's: roots and proofs of every small size against the definition and an independent
//! implementation, and no proof that was touched is accepted.

use std::collections::HashSet;
use std::ops::Range;

use avow::transparency::frontier::Frontier;
use avow::transparency::hash::{EMPTY_ROOT, Hash, TreeHead, leaf_hash, node_hash};
use avow::transparency::proof::{
    OutsideTree, ProofError, ProveError, check_consistency, check_inclusion, consistency_path,
    consistency_proof, inclusion_path, inclusion_proof,
};
use avow::transparency::subtree::{ReadError, Subtree, head_at};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use sha2::Sha256;

use crate::transparency_stored_tree::{Definition, StoredTree, leaves};

/// Two full tiles, a part of a third, and a part of one above them.
const SIZE_MAX: u64 = 600;

/// Where the last tile is full, and on both sides of that.
const SIZES_AT_A_BORDER: [u64; 8] = [254, 255, 256, 257, 511, 512, 513, SIZE_MAX];

type Independent = MemoryBackedTree<Sha256, Vec<u8>>;

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    let (hashes, rest) = bytes.as_chunks();
    assert_eq!(rest, [0; 0]);
    hashes.iter().copied().map(Hash).collect()
}

#[test]
fn every_small_tree_has_the_root_that_rfc_6962_defines() {
    let tree = StoredTree::of(leaves(SIZE_MAX));
    let mut definition = Definition::default();
    let mut grown = Frontier::new();
    let mut independent = Independent::new();
    for size in 0..=SIZE_MAX {
        let root = definition.mth(0..size);
        assert_eq!(tree.head_at(size), TreeHead { size, root });
        assert_eq!(grown.head(), TreeHead { size, root });
        assert_eq!(independent.root().as_bytes().as_slice(), root.0);

        let read = Frontier::read(size, tree.reader());
        assert_eq!(read, Ok(grown.clone()));

        let leaf = size.to_be_bytes().to_vec();
        grown.push(leaf_hash(&leaf), |_, _| {});
        independent.push(leaf);
    }
}

/// The nodes between two tile levels are hashed again for each proof, which for all proofs of all trees would take
/// minutes. So each of their subtrees is hashed here once, and each proof is put together from the roots below.
#[test]
fn every_subtree_that_a_small_proof_names_has_the_root_that_rfc_6962_defines() {
    let tree = StoredTree::of(leaves(SIZE_MAX));
    let mut definition = Definition::default();
    let mut seen = HashSet::new();
    for size in 1..=SIZE_MAX {
        for inner in 0..size {
            seen.extend(inclusion_path(inner, size).unwrap());
            seen.extend(consistency_path(inner, size).unwrap());
        }
    }

    assert!(seen.len() > 2_500, "only {} subtrees", seen.len());
    for subtree in seen {
        let defined = definition.mth(subtree.leaves().clone());
        assert_eq!(tree.root(&subtree), defined, "{subtree:?}");
    }
}

#[test]
fn every_leaf_of_every_small_tree_has_the_inclusion_proof_that_rfc_6962_defines() {
    let mut definition = Definition::default();
    let mut independent = Independent::new();
    for (size, leaf) in (1..).zip(leaves(SIZE_MAX)) {
        independent.push(leaf);
        let root = definition.mth(0..size);
        for (index, leaf) in (0..).zip(leaves(size)) {
            let path = inclusion_path(index, size).unwrap();
            let proof: Vec<Hash> = roots(&path, &mut definition);

            assert_eq!(proof, definition.path(index, 0..size), "{index} of {size}");
            let other = independent.prove_inclusion(index.try_into().unwrap());
            assert_eq!(proof, hashes(other.as_bytes()), "{index} of {size}");
            let tree = TreeHead { size, root };
            let checked = check_inclusion(&leaf_hash(&leaf), index, &tree, &proof);
            assert_eq!(checked, Ok(()), "{index} of {size}");
        }
    }
}

#[test]
fn every_two_small_trees_have_the_consistency_proof_that_rfc_6962_defines() {
    let mut definition = Definition::default();
    let mut independent = Independent::new();
    let heads: Vec<TreeHead> = (0..=SIZE_MAX)
        .map(|size| TreeHead {
            size,
            root: definition.mth(0..size),
        })
        .collect();
    for (new, leaf) in heads[1..].iter().zip(leaves(SIZE_MAX)) {
        independent.push(leaf);
        for old in &heads[1..] {
            if old.size > new.size {
                break;
            }
            let path = consistency_path(old.size, new.size).unwrap();
            let proof: Vec<Hash> = roots(&path, &mut definition);

            let defined = definition.subproof(old.size, 0..new.size, true);
            assert_eq!(proof, defined, "{} to {}", old.size, new.size);
            let added = usize::try_from(new.size - old.size).unwrap();
            let other = independent.prove_consistency(added);
            assert_eq!(
                proof,
                hashes(other.as_bytes()),
                "{} to {}",
                old.size,
                new.size
            );
            assert_eq!(check_consistency(old, new, &proof), Ok(()));
        }
    }
}

fn roots(path: &[Subtree], definition: &mut Definition) -> Vec<Hash> {
    path.iter()
        .map(|subtree| definition.mth(subtree.leaves().clone()))
        .collect()
}

#[test]
fn the_proofs_of_a_stored_tree_are_made_of_the_roots_of_their_subtrees() {
    let tree = StoredTree::of(leaves(SIZE_MAX));
    for size in (1..=70).chain(SIZES_AT_A_BORDER) {
        for inner in (0..size).step_by(if size > 70 { 37 } else { 1 }) {
            let inclusion = inclusion_path(inner, size).unwrap();
            let roots: Vec<Hash> = inclusion.iter().map(|subtree| tree.root(subtree)).collect();
            assert_eq!(tree.inclusion(inner, size), roots);

            let consistency = consistency_path(inner, size).unwrap();
            let roots: Vec<Hash> = consistency
                .iter()
                .map(|subtree| tree.root(subtree))
                .collect();
            assert_eq!(tree.consistency(inner, size), roots);
        }
    }
}

#[test]
fn a_tree_that_reaches_a_third_level_keeps_and_proves_it() {
    let size = 70_000;
    let tree = StoredTree::of(leaves(size));

    let lengths: Vec<usize> = (0..4).map(|level| tree.level(level).len()).collect();
    assert_eq!(lengths, [70_000, 273, 1, 0]);
    for (index, root) in (0..).zip(tree.level(1)) {
        assert_eq!(*root, folded(&tree.level(0)[index * 256..][..256]));
    }
    assert_eq!(tree.level(2), [folded(&tree.level(1)[..256])]);

    let head = tree.head_at(size);
    assert_eq!(head, tree.frontier().head());
    for index in [0_u64, 1, 255, 256, 65_535, 65_536, 69_887, 69_888, 69_999] {
        let leaf = leaf_hash(&index.to_be_bytes());
        let proof = tree.inclusion(index, size);
        assert_eq!(
            check_inclusion(&leaf, index, &head, &proof),
            Ok(()),
            "{index}"
        );
        let old = tree.head_at(index);
        let proof = tree.consistency(index, size);
        assert_eq!(check_consistency(&old, &head, &proof), Ok(()), "{index}");
    }
}

/// Returns the root of a complete tree with these leaf hashes.
fn folded(row: &[Hash]) -> Hash {
    match row {
        [root] => *root,
        row => folded(
            &row.chunks(2)
                .map(|pair| node_hash(&pair[0], &pair[1]))
                .collect::<Vec<_>>(),
        ),
    }
}

/// The eight leaves of the reference implementation of Certificate Transparency, with its roots and proofs.
const KNOWN_LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];

#[test]
fn the_known_tree_has_the_known_roots() {
    let tree = known_tree();
    let rows = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (size, root) in (0..).zip(rows) {
        assert_eq!(hex::encode(tree.head_at(size).root.0), root, "{size}");
    }
    assert_eq!(tree.head_at(0).root, EMPTY_ROOT);
}

#[test]
fn the_known_tree_has_the_known_inclusion_proofs() {
    let tree = known_tree();
    #[rustfmt::skip]
    let rows: [(u64, u64, &[&str]); 7] = [
        (0, 1, &[]),
        (0, 2, &["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"]),
        (1, 2, &["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"]),
        (2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (1, 5, &["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                 "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                 "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
        (0, 8, &["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                 "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                 "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
        (5, 8, &["bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                 "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                 "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    ];
    for (index, size, proof) in rows {
        let made = tree.inclusion(index, size);
        assert_eq!(
            made.iter()
                .map(|hash| hex::encode(hash.0))
                .collect::<Vec<_>>(),
            proof
        );
    }
}

#[test]
fn the_known_tree_has_the_known_consistency_proofs() {
    let tree = known_tree();
    #[rustfmt::skip]
    let rows: [(u64, u64, &[&str]); 5] = [
        (0, 8, &[]),
        (1, 1, &[]),
        (1, 8, &["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                 "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                 "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"]),
        (2, 5, &["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                 "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"]),
        (6, 8, &["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                 "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                 "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"]),
    ];
    for (old, new, proof) in rows {
        let made = tree.consistency(old, new);
        assert_eq!(
            made.iter()
                .map(|hash| hex::encode(hash.0))
                .collect::<Vec<_>>(),
            proof
        );
    }
}

fn known_tree() -> StoredTree {
    StoredTree::of(KNOWN_LEAVES.map(|leaf| hex::decode(leaf).unwrap()))
}

#[test]
fn an_inclusion_proof_that_was_touched_anywhere_is_refused() {
    let tree = StoredTree::of(leaves(17));
    for size in 1..=17 {
        let head = tree.head_at(size);
        for index in 0..size {
            let leaf = leaf_hash(&index.to_be_bytes());
            let proof = tree.inclusion(index, size);
            let is_refused = |leaf: &Hash, index, head: &TreeHead, proof: &[Hash]| {
                check_inclusion(leaf, index, head, proof).is_err()
            };

            for touched in touched(&proof) {
                assert!(
                    is_refused(&leaf, index, &head, &touched),
                    "{index} of {size}: {touched:?}"
                );
            }
            for leaf in with_a_bit_flipped(leaf) {
                assert!(is_refused(&leaf, index, &head, &proof));
            }
            for root in with_a_bit_flipped(head.root) {
                assert!(is_refused(&leaf, index, &TreeHead { size, root }, &proof));
            }
            for other in (0..20).filter(|other| *other != index) {
                assert!(
                    is_refused(&leaf, other, &head, &proof),
                    "{index} as {other} of {size}"
                );
            }
        }
    }
}

#[test]
fn a_consistency_proof_that_was_touched_anywhere_is_refused() {
    let tree = StoredTree::of(leaves(17));
    for new_size in 1..=17 {
        let new = tree.head_at(new_size);
        for old_size in 0..=new_size {
            let old = tree.head_at(old_size);
            let proof = tree.consistency(old_size, new_size);
            assert_eq!(check_consistency(&old, &new, &proof), Ok(()));

            for touched in touched(&proof) {
                let checked = check_consistency(&old, &new, &touched);
                assert!(checked.is_err(), "{old_size} to {new_size}: {touched:?}");
            }
            for root in with_a_bit_flipped(old.root) {
                assert!(check_consistency(&TreeHead { root, ..old }, &new, &proof).is_err());
            }
            // Of the empty tree nothing is said but that it is empty.
            if old_size > 0 {
                for root in with_a_bit_flipped(new.root) {
                    assert!(check_consistency(&old, &TreeHead { root, ..new }, &proof).is_err());
                }
            }
            for size in (0..=17).filter(|size| *size != old_size) {
                let checked = check_consistency(&TreeHead { size, ..old }, &new, &proof);
                assert!(checked.is_err(), "{old_size} as {size} to {new_size}");
            }
        }
    }
}

/// Returns the proof with each bit flipped, and with each hash left out, doubled, moved and added.
fn touched(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = vec![
        [proof, &[EMPTY_ROOT]].concat(),
        [&[EMPTY_ROOT], proof].concat(),
    ];
    for (at, hash) in proof.iter().enumerate() {
        all.extend(with_a_bit_flipped(*hash).map(|flipped| {
            let mut proof = proof.to_vec();
            proof[at] = flipped;
            proof
        }));
        let (before, rest) = proof.split_at(at);
        all.push([before, &rest[1..]].concat());
        all.push([before, &[*hash], rest].concat());
        all.extend((0..at).map(|other| {
            let mut proof = proof.to_vec();
            proof.swap(at, other);
            proof
        }));
    }
    all
}

fn with_a_bit_flipped(hash: Hash) -> impl Iterator<Item = Hash> {
    (0..256).map(move |bit| {
        let mut hash = hash;
        hash.0[bit / 8] ^= 1 << (bit % 8);
        hash
    })
}

#[test]
fn a_node_cannot_pass_for_a_leaf() {
    let tree = StoredTree::of(leaves(2));
    let [left, right] = tree.inclusion(1, 2)[..1]
        .iter()
        .chain(&tree.inclusion(0, 2))
        .map(|hash| hash.0)
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();

    let leaf = leaf_hash(&[left, right].concat());

    assert_eq!(node_hash(&Hash(left), &Hash(right)), tree.head_at(2).root);
    let head = TreeHead {
        size: 1,
        root: tree.head_at(2).root,
    };
    assert_eq!(
        check_inclusion(&leaf, 0, &head, &[]),
        Err(ProofError::RootDiffers)
    );
}

#[test]
fn a_tree_has_no_leaf_behind_its_end_and_no_older_tree_that_is_larger() {
    let tree = StoredTree::of(leaves(5));
    let read = tree.reader();
    let head = tree.head_at(5);
    for (index, size) in [(0, 0), (5, 5), (6, 5), (u64::MAX, 5), (u64::MAX, u64::MAX)] {
        let outside = OutsideTree { inner: index, size };
        assert_eq!(inclusion_proof(index, size, read), Err(outside.into()));
        let tree = TreeHead { size, ..head };
        let checked = check_inclusion(&EMPTY_ROOT, index, &tree, &[]);
        assert_eq!(checked, Err(ProofError::OutsideTree { index, size }));
    }
    for (old, new) in [(1, 0), (6, 5), (u64::MAX, 5), (u64::MAX, u64::MAX - 1)] {
        let outside = OutsideTree {
            inner: old,
            size: new,
        };
        assert_eq!(consistency_proof(old, new, read), Err(outside.into()));
        let [older, newer] = [old, new].map(|size| TreeHead { size, ..head });
        let checked = check_consistency(&older, &newer, &[]);
        assert_eq!(checked, Err(ProofError::Shrunk { old, new }));
    }
}

#[test]
fn the_empty_tree_begins_every_tree_and_every_tree_itself() {
    let stored = StoredTree::of(leaves(3));
    let (empty, three) = (stored.head_at(0), stored.head_at(3));
    let (false_empty, false_three) = (TreeHead { size: 0, ..three }, TreeHead { size: 3, ..empty });
    let long = ProofError::WrongLength {
        found: 1,
        expected: 0,
    };
    let one = [EMPTY_ROOT].as_slice();
    #[rustfmt::skip]
    let rows = [
        (empty,       empty,       [].as_slice(), Ok(())),
        (empty,       three,       &[],           Ok(())),
        (three,       three,       &[],           Ok(())),
        (empty,       empty,       one,           Err(long)),
        (empty,       three,       one,           Err(long)),
        (three,       three,       one,           Err(long)),
        (false_empty, three,       &[],           Err(ProofError::OldRootDiffers)),
        (false_empty, false_empty, &[],           Err(ProofError::OldRootDiffers)),
        (empty,       false_empty, &[],           Err(ProofError::RootDiffers)),
        (three,       false_three, &[],           Err(ProofError::RootDiffers)),
    ];
    for (old, new, proof, expected) in rows {
        assert_eq!(
            check_consistency(&old, &new, proof),
            expected,
            "{old:?} {new:?}"
        );
    }
}

#[test]
fn a_reader_that_gives_other_hashes_than_it_was_asked_for_is_found_out() {
    for given in [0, 1, 3, 4] {
        let read = |_: u8, _: Range<u64>| Ok::<_, ReadFailed>(vec![EMPTY_ROOT; given]);
        let error = ReadError::Missing {
            level: 0,
            hashes: 0..2,
        };
        assert_eq!(head_at(3, read), Err(error.clone()), "{given}");
        assert_eq!(Frontier::read(3, read), Err(error.clone()));
        assert_eq!(inclusion_proof(2, 3, read), Err(ProveError::Read(error)));
    }
    let read = |_: u8, _: Range<u64>| Err(ReadFailed);
    assert_eq!(head_at(3, read), Err(ReadError::Reader(ReadFailed)));
}

#[derive(Debug, Clone, PartialEq)]
struct ReadFailed;

#[test]
fn a_proof_asks_for_at_most_128_hashes_at_once() {
    let mut asked = Vec::new();
    let read = |_: u8, hashes: Range<u64>| {
        let count = usize::try_from(hashes.end - hashes.start).unwrap();
        asked.push(count);
        Ok::<_, ReadFailed>(vec![EMPTY_ROOT; count])
    };

    inclusion_proof(1 << 40, u64::MAX, read).unwrap();

    assert_eq!(asked.iter().max(), Some(&128));
    assert!(asked.len() < 2 * 64, "{} reads", asked.len());
}

fn any_size() -> impl Strategy<Value = u64> {
    prop_oneof![0..20_u64, any::<u64>(), (u64::MAX - 20)..=u64::MAX]
}

fn any_hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_024,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/transparency_tree.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_size_and_no_proof_make_checking_panic(
        inner in any_size(), size in any_size(), proof in vec(any_hash(), 0..130), root in any_hash(),
    ) {
        let trees = [inner, size].map(|size| TreeHead { size, root });

        prop_assert!(check_inclusion(&root, inner, &trees[1], &proof).is_err());
        let nothing_to_prove = inner == size && inner != 0 && proof.is_empty();
        prop_assert_eq!(check_consistency(&trees[0], &trees[1], &proof).is_ok(), nothing_to_prove);
    }

    #[test]
    fn proofs_of_trees_of_every_size_have_the_length_that_checking_asks_for(inner in any_size(), size in any_size()) {
        let has_another_length = |checked| matches!(checked, Err(ProofError::WrongLength { .. }));
        let root = EMPTY_ROOT;
        let trees = [inner, size].map(|size| TreeHead { size, root });

        if let Ok(path) = inclusion_path(inner, size) {
            let proof = vec![root; path.len()];
            prop_assert!(!has_another_length(check_inclusion(&root, inner, &trees[1], &proof)));
        }
        if let Ok(path) = consistency_path(inner, size) {
            let proof = vec![root; path.len()];
            prop_assert!(!has_another_length(check_consistency(&trees[0], &trees[1], &proof)));
        }
    }

    #[test]
    fn a_hash_is_read_back_from_its_base64(hash in any_hash()) {
        prop_assert_eq!(hash.to_string().parse(), Ok(hash));
        prop_assert!(hash.to_string().trim_end_matches('=').parse::<Hash>().is_err());
    }
}
