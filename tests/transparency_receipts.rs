//! A receipt is a C2SP tlog-proof, and shows that a leaf lies in a trusted log only where it does.

use avow::transparency::checkpoint::SignedCheckpoint;
use avow::transparency::hash::leaf_hash;
use avow::transparency::key::VerifierKey;
use avow::transparency::note::{Note, NoteError};
use avow::transparency::policy::{Policy, UntrustedCheckpoint};
use avow::transparency::proof::ProofError;
use avow::transparency::receipt::{PROOF_HASHES_MAX, Receipt, ReceiptError, ReceiptRefused};
use avow::transparency::signing_key::SigningKey;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use crate::transparency_stored_tree::{StoredTree, leaves};

/// Go's `sumdb/tlog` proved and `sumdb/note` signed that `leaf 1` is the second of three.
const GO_RECEIPT: &str = "c2sp.org/tlog-proof@v1\n\
    index 1\n\
    G7l9zCFjXUfiZj79/QoXRobZjdcBNS3SzQbotD/T0wU=\n\
    qze6NNHf4pAV3nF6bVdkqPsCnDp6D1tkuTtUNRiFv3w=\n\
    \n\
    log.example\n\
    3\n\
    1Pksj7uJcg6ztVZ3x9fvrd/rENEaGoSguo8aIzN/qpU=\n\
    \n\
    — log.example HMdY+VgLk9bRaJS2+Q34FJLSDoqRICYi3TXOQrjm27JKaqh8TvpCKnTAa1+OIcFzKn1QFpP3BhLRFuOqlWZJngTCVgg=\n\
    — witness.example \
    MXa9RQAAAABrSdIAayuHUW9Jzx3N+qr5B2BTpTnovKiivJ+r1OOmVFx08zoxlcH8asF1Br7ufo/uCJy4zMjVRvIr7bqbAU5Xv1+5BQ==\n";
const GO_LOG_KEY: &str = "log.example+1cc758f9+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
const GO_WITNESS_KEY: &str =
    "witness.example+3176bd45+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU";
const GO_LEAF: &[u8] = b"leaf 1";

fn go_receipt() -> Receipt {
    Receipt::parse(GO_RECEIPT.as_bytes()).unwrap()
}

fn policy(quorum: &str) -> Policy {
    let text = format!("log {GO_LOG_KEY}\nwitness w {GO_WITNESS_KEY}\nquorum {quorum}\n");
    Policy::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_receipt_made_in_go_shows_its_leaf() {
    let receipt = go_receipt();

    assert_eq!(receipt.index, 1);
    assert_eq!(receipt.to_string(), GO_RECEIPT);
    let log: VerifierKey = GO_LOG_KEY.parse().unwrap();
    for policy in [Policy::of_log(log), policy("none"), policy("w")] {
        let checkpoint = receipt.check(&leaf_hash(GO_LEAF), &policy).unwrap();
        assert_eq!(checkpoint.tree().size, 3);
    }
}

#[test]
fn a_receipt_shows_no_other_leaf_and_no_other_place() {
    let receipt = go_receipt();
    let moved = Receipt {
        index: 0,
        ..go_receipt()
    };
    let outside = Receipt {
        index: 3,
        ..go_receipt()
    };

    let refused =
        |receipt: &Receipt, leaf: &[u8]| receipt.check(&leaf_hash(leaf), &policy("w")).unwrap_err();

    assert_eq!(refused(&receipt, b"leaf 2"), ProofError::RootDiffers.into());
    assert_eq!(refused(&moved, GO_LEAF), ProofError::RootDiffers.into());
    assert_eq!(
        refused(&outside, GO_LEAF),
        ProofError::OutsideTree { index: 3, size: 3 }.into()
    );
}

#[test]
fn a_receipt_of_an_untrusted_log_or_without_the_quorum_shows_nothing() {
    let other = SigningKey::new("log.example".parse().unwrap(), &[9; 32]);
    let (uncosigned, _) = GO_RECEIPT.split_once("— witness").unwrap();
    let uncosigned = Receipt::parse(uncosigned.as_bytes()).unwrap();
    let leaf = leaf_hash(GO_LEAF);

    let by_other_key = go_receipt().check(&leaf, &Policy::of_log(other.verifier_key().clone()));
    assert!(
        matches!(
            by_other_key,
            Err(ReceiptRefused::Untrusted(UntrustedCheckpoint::Unauthentic(
                _
            )))
        ),
        "{by_other_key:?}"
    );
    let not_met = UntrustedCheckpoint::QuorumNotMet("w".into());
    assert_eq!(uncosigned.check(&leaf, &policy("w")), Err(not_met.into()));
    assert!(uncosigned.check(&leaf, &policy("none")).is_ok());
}

#[test]
fn every_leaf_of_a_log_has_a_receipt_that_shows_it() {
    let tree = StoredTree::of(leaves(20));
    let key = SigningKey::new("log.example".parse().unwrap(), &[1; 32]);
    let policy = Policy::of_log(key.verifier_key().clone());
    for size in 1..=20 {
        let checkpoint = SignedCheckpoint::sign(tree.head_at(size), &key)
            .note()
            .clone();
        for (index, leaf) in (0..size).zip(leaves(size)) {
            let receipt = Receipt {
                extra: None,
                index,
                proof: tree.inclusion(index, size),
                checkpoint: checkpoint.clone(),
            };

            let read = Receipt::parse(receipt.to_string().as_bytes()).unwrap();

            assert_eq!(read, receipt);
            assert!(
                read.check(&leaf_hash(&leaf), &policy).is_ok(),
                "{index} of {size}"
            );
        }
    }
}

#[test]
fn every_bit_of_a_receipt_that_is_flipped_is_noticed() {
    let (policy, leaf) = (policy("w"), leaf_hash(GO_LEAF));
    for bit in 0..GO_RECEIPT.len() * 8 {
        let mut flipped = GO_RECEIPT.as_bytes().to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);

        let shows =
            Receipt::parse(&flipped).is_ok_and(|receipt| receipt.check(&leaf, &policy).is_ok());
        assert!(!shows, "bit {bit}");
    }
}

#[test]
fn extra_data_is_kept_as_it_came() {
    let text = GO_RECEIPT.replace("\nindex", "\nextra YWdlLXYxLjIuMS1kYXJ3aW4=\nindex");

    let receipt = Receipt::parse(text.as_bytes()).unwrap();

    assert_eq!(
        receipt.extra.as_deref(),
        Some(b"age-v1.2.1-darwin".as_slice())
    );
    assert_eq!(receipt.to_string(), text);
}

#[test]
fn a_receipt_is_made_for_the_only_leaf_of_a_tree() {
    let tree = StoredTree::of([GO_LEAF.to_vec()]);
    let key = SigningKey::new("log.example".parse().unwrap(), &[1; 32]);
    let receipt = Receipt {
        extra: None,
        index: 0,
        proof: tree.inclusion(0, 1),
        checkpoint: SignedCheckpoint::sign(tree.head_at(1), &key).note().clone(),
    };

    assert!(
        receipt
            .to_string()
            .starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example\n1\n")
    );
    let read = Receipt::parse(receipt.to_string().as_bytes()).unwrap();
    assert!(
        read.check(
            &leaf_hash(GO_LEAF),
            &Policy::of_log(key.verifier_key().clone())
        )
        .is_ok()
    );
}

#[test]
fn what_is_not_a_receipt_in_its_one_spelling_is_refused() {
    use ReceiptError::{
        ExtraInvalid, HashInvalid, IndexInvalid, Malformed, OtherFormat, ProofTooLong,
    };
    let start = "c2sp.org/tlog-proof@v1\n";
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    let end = "o\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— n AAAAAAE=\n";
    #[rustfmt::skip]
    let rows = [
        (String::new(),                                             OtherFormat),
        (start.trim_end().into(),                                   OtherFormat),
        (format!("c2sp.org/tlog-proof@v2\nindex 0\n\n{end}"),       OtherFormat),
        (format!("c2sp.org/tlog-proof@v1\r\nindex 0\n\n{end}"),     OtherFormat),
        (format!("\n{start}index 0\n\n{end}"),                      OtherFormat),
        (start.into(),                                              Malformed),
        (format!("{start}index 0\n"),                               Malformed),
        (format!("{start}\n{end}"),                                 IndexInvalid),
        (format!("{start}index\n\n{end}"),                          IndexInvalid),
        (format!("{start}index \n\n{end}"),                         IndexInvalid),
        (format!("{start}index 00\n\n{end}"),                       IndexInvalid),
        (format!("{start}index 01\n\n{end}"),                       IndexInvalid),
        (format!("{start}index -1\n\n{end}"),                       IndexInvalid),
        (format!("{start}index  1\n\n{end}"),                       IndexInvalid),
        (format!("{start}Index 1\n\n{end}"),                        IndexInvalid),
        (format!("{start}index 18446744073709551616\n\n{end}"),     IndexInvalid),
        (format!("{start}{hash}index 1\n\n{end}"),                  IndexInvalid),
        (format!("{start}extra\nindex 1\n\n{end}"),                 IndexInvalid),
        (format!("{start}extra YQ==\nextra YQ==\nindex 1\n\n{end}"), IndexInvalid),
        (format!("{start}extra \nindex 1\n\n{end}"),                ExtraInvalid),
        (format!("{start}extra YQ\nindex 1\n\n{end}"),              ExtraInvalid),
        (format!("{start}extra  YQ==\nindex 1\n\n{end}"),           ExtraInvalid),
        (format!("{start}index 1\nextra YQ==\n\n{end}"),            HashInvalid),
        (format!("{start}index 1\nindex 1\n\n{end}"),               HashInvalid),
        (format!("{start}index 1\n{hash} \n\n{end}"),               HashInvalid),
        (format!("{start}index 1\nAAAA\n\n{end}"),                  HashInvalid),
        (format!("{start}index 1\n{}\n{end}", hash.repeat(PROOF_HASHES_MAX + 1)), ProofTooLong),
        (format!("{start}index 1\n{hash}\n{}", end.trim_end()),     NoteError::SignatureMalformed(1).into()),
        (format!("{start}index 1\n{hash}\no\n"),                    NoteError::Unsigned.into()),
    ];
    for (text, error) in rows {
        assert_eq!(Receipt::parse(text.as_bytes()), Err(error), "{text:?}");
    }
    let longest = format!("{start}index 1\n{}\n{end}", hash.repeat(PROOF_HASHES_MAX));
    assert_eq!(
        Receipt::parse(longest.as_bytes()).unwrap().to_string(),
        longest
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/transparency_receipts.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_receipt_is_read_back_as_it_was_written(
        extra in prop::option::of(vec(any::<u8>(), 1..100)),
        index in any::<u64>(),
        hashes in vec(any::<[u8; 32]>(), 0..=PROOF_HASHES_MAX),
    ) {
        let checkpoint = Note::parse("text\n\n— n AAAAAAE=\n".as_bytes()).unwrap();
        let proof = hashes.into_iter().map(avow::transparency::hash::Hash).collect();
        let receipt = Receipt { extra, index, proof, checkpoint };

        prop_assert_eq!(Receipt::parse(receipt.to_string().as_bytes()), Ok(receipt));
    }

    #[test]
    fn no_bytes_make_reading_a_receipt_panic_and_what_is_read_is_written_as_it_was(
        rest in "(extra [AQg=]{0,4}\n)?(index [0-9+]{1,2}\n)?([A=\n]{0,45}\n)?\n?text\n\n— n AAAAAAE=\n",
    ) {
        let text = format!("c2sp.org/tlog-proof@v1\n{rest}");
        if let Ok(receipt) = Receipt::parse(text.as_bytes()) {
            prop_assert_eq!(receipt.to_string(), text);
        }
    }
}
