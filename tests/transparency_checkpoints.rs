//! Checkpoints and cosignatures are those of C2SP: what a log and its witnesses stated, and nothing else.

use avow::transparency::add_checkpoint::{AddCheckpoint, AddCheckpointError};
use avow::transparency::checkpoint::{
    AnswerError, Checkpoint, CheckpointError, SignedCheckpoint, UnauthenticCheckpoint,
};
use avow::transparency::cosignature::cosigned_at;
use avow::transparency::hash::{EMPTY_ROOT, TreeHead};
use avow::transparency::key::{KeyName, VerifierKey};
use avow::transparency::note::{Note, NoteError, WrongSignature};
use avow::transparency::signing_key::{BeforeEpoch, CosigningKey, SigningKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signer;
use state_machine::time::Timestamp;

/// A checkpoint of a public log, as a public witness cosigned it; the log's own signature is of an unsupported type.
const PUBLIC_CHECKPOINT: &str = "coachandhorses2026h1.staging.certificate.transparency.goog\n\
    185550722\n\
    YXAM0VmnrfvLaBCOOYSJhCaE5F10oGBOo+hkbDa1kng=\n\
    \n\
    — coachandhorses2026h1.staging.certificate.transparency.goog \
    MpXgsHy8ZwxXnO+WjtVrPxAzL49Rs1gWTkNVNeEa//5peAzaocRCB3qt3EaibjzY5GILLtGgBP7dBhgcSHy+JQh0OAc=\n\
    — witness.navigli.sunlight.geomys.org \
    o+AP4gAAAABqb7DzNrGFRJnQ9vrJ8xpnwZytnr/ZYczDIsvwvouiSjwOjn7a72ccxBk+lKnZ7dKqkYKER1s/KxLTaVwQD7lJZTC/CQ==\n";
const PUBLIC_WITNESS: &str =
    "witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G";

/// The example of tlog-checkpoint.
const EXAMPLE_TEXT: &str =
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

/// A log of three leaves signed with Go's `sumdb/note`, and cosigned with Go's `crypto/ed25519`.
const GO_LOG_SEED: [u8; 32] = [1; 32];
const GO_CHECKPOINT: &str = "log.example\n3\n1Pksj7uJcg6ztVZ3x9fvrd/rENEaGoSguo8aIzN/qpU=\n\n\
    — log.example HMdY+VgLk9bRaJS2+Q34FJLSDoqRICYi3TXOQrjm27JKaqh8TvpCKnTAa1+OIcFzKn1QFpP3BhLRFuOqlWZJngTCVgg=\n";
const GO_WITNESS_SEED: [u8; 32] = [2; 32];
const GO_WITNESS_KEY: &str =
    "witness.example+3176bd45+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU";
const GO_COSIGNED_AT: Timestamp = Timestamp(1_800_000_000);
const GO_COSIGNATURE: &str = "— witness.example \
    MXa9RQAAAABrSdIAayuHUW9Jzx3N+qr5B2BTpTnovKiivJ+r1OOmVFx08zoxlcH8asF1Br7ufo/uCJy4zMjVRvIr7bqbAU5Xv1+5BQ==\n";

fn log_key() -> SigningKey {
    SigningKey::new("log.example".parse().unwrap(), &GO_LOG_SEED)
}

fn witness_key(name: &str) -> CosigningKey {
    CosigningKey::new(name.parse().unwrap(), &GO_WITNESS_SEED)
}

fn tree() -> TreeHead {
    let root = "1Pksj7uJcg6ztVZ3x9fvrd/rENEaGoSguo8aIzN/qpU=";
    TreeHead {
        size: 3,
        root: root.parse().unwrap(),
    }
}

fn note(text: &str) -> Note {
    Note::parse(text.as_bytes()).unwrap()
}

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

#[test]
fn a_head_is_signed_as_go_signs_it() {
    let signed = SignedCheckpoint::sign(tree(), &log_key());

    assert_eq!(signed.note().to_string(), GO_CHECKPOINT);
    assert_eq!(
        (signed.checkpoint().origin(), signed.tree()),
        ("log.example", tree())
    );
}

#[test]
fn a_checkpoint_is_authenticated_by_the_key_of_its_log() {
    let key = log_key();

    let read = SignedCheckpoint::authenticate(note(GO_CHECKPOINT), key.verifier_key());

    assert_eq!(read, Ok(SignedCheckpoint::sign(tree(), &key)));
}

#[test]
fn a_checkpoint_is_read_and_written_in_its_one_spelling() {
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    let rows = [
        EXAMPLE_TEXT.to_owned(),
        format!("o\n0\n{root}\n"),
        format!("o\n18446744073709551615\n{root}\n"),
        format!("an origin with spaces + more\n1\n{root}\n"),
        format!("o\n1\n{root}\nextension\n another \n"),
    ];
    for text in rows {
        let checkpoint: Checkpoint = text.parse().unwrap();
        assert_eq!(checkpoint.to_string(), text);
    }

    let checkpoint: Checkpoint = format!("o\n0\n{root}\nextension\n").parse().unwrap();
    assert_eq!(
        checkpoint.tree(),
        TreeHead {
            size: 0,
            root: EMPTY_ROOT
        }
    );
    assert_eq!(checkpoint.extensions(), ["extension"]);
}

#[test]
fn what_is_not_a_checkpoint_in_its_one_spelling_is_refused() {
    use CheckpointError::{Malformed, RootInvalid, SizeInvalid};
    let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    #[rustfmt::skip]
    let rows = [
        (String::new(),                             Malformed),
        ("\n".into(),                               Malformed),
        ("o\n".into(),                              Malformed),
        ("o\n1\n".into(),                           Malformed),
        (format!("o\n1\n{root}"),                   Malformed),
        (format!("\n1\n{root}\n"),                  Malformed),
        (format!("o\n1\n{root}\n\n"),               Malformed),
        (format!("o\n1\n{root}\n\nextension\n"),    Malformed),
        (format!("o\n\n1\n{root}\n"),               Malformed),
        (format!("o\n01\n{root}\n"),                SizeInvalid),
        (format!("o\n00\n{root}\n"),                SizeInvalid),
        (format!("o\n+1\n{root}\n"),                SizeInvalid),
        (format!("o\n-1\n{root}\n"),                SizeInvalid),
        (format!("o\n 1\n{root}\n"),                SizeInvalid),
        (format!("o\n1 \n{root}\n"),                SizeInvalid),
        (format!("o\n1_0\n{root}\n"),               SizeInvalid),
        (format!("o\n0x1\n{root}\n"),               SizeInvalid),
        (format!("o\n１\n{root}\n"),                SizeInvalid),
        (format!("o\n18446744073709551616\n{root}\n"), SizeInvalid),
        (format!("o\n1\n{}\n", &root[..43]),        RootInvalid),
        (format!("o\n1\n {root}\n"),                RootInvalid),
        (format!("o\n1\n{root} \n"),                RootInvalid),
        (format!("o\n1\n{}\n", &root[4..]),         RootInvalid),
        (format!("o\n1\nAAAA{root}\n"),             RootInvalid),
        (format!("o\n1\n{}\n", root.replace('+', "-")), RootInvalid),
        (format!("o\n1\n{}\n", root.replace("FU=", "FV=")), RootInvalid),
    ];
    for (text, error) in rows {
        assert_eq!(text.parse::<Checkpoint>(), Err(error), "{text:?}");
    }
}

#[test]
fn a_checkpoint_of_another_log_or_by_another_key_is_refused() {
    let (key, other) = (log_key(), SigningKey::new(name("other.example"), &[3; 32]));
    let other_of_same_name = SigningKey::new(name("log.example"), &[3; 32]);
    let of_other = Note::sign(format!("log.example\n3\n{}\n", tree().root), &other).unwrap();

    let authenticate =
        |note, key: &SigningKey| SignedCheckpoint::authenticate(note, key.verifier_key());

    assert_eq!(
        authenticate(note(GO_CHECKPOINT), &other),
        Err(UnauthenticCheckpoint::OtherLog {
            found: "log.example".into(),
            expected: name("other.example"),
        })
    );
    let unsigned = Err(UnauthenticCheckpoint::Unsigned(name("log.example")));
    assert_eq!(
        authenticate(note(GO_CHECKPOINT), &other_of_same_name),
        unsigned
    );
    assert_eq!(authenticate(of_other, &key), unsigned);
    let grown = note(&GO_CHECKPOINT.replace("\n3\n", "\n4\n"));
    let wrong = WrongSignature(name("log.example")).into();
    assert_eq!(authenticate(grown, &key), Err(wrong));
    let no_checkpoint = Note::sign("log.example\n3\n".into(), &key).unwrap();
    let malformed = CheckpointError::Malformed.into();
    assert_eq!(authenticate(no_checkpoint, &key), Err(malformed));
}

#[test]
fn the_cosignature_of_a_public_witness_is_authenticated() {
    let witness: VerifierKey = PUBLIC_WITNESS.parse().unwrap();
    let checkpoint = note(PUBLIC_CHECKPOINT);

    assert_eq!(
        cosigned_at(&checkpoint, &witness),
        Ok(Some(Timestamp(1_785_704_691)))
    );
    assert_eq!(checkpoint.to_string(), PUBLIC_CHECKPOINT);
    let grown = note(&PUBLIC_CHECKPOINT.replace("185550722", "185550723"));
    assert_eq!(
        cosigned_at(&grown, &witness),
        Err(WrongSignature(witness.name().clone()))
    );
}

#[test]
fn a_checkpoint_is_cosigned_as_go_cosigns_it() {
    let witness = witness_key("witness.example");
    let signed = SignedCheckpoint::sign(tree(), &log_key());

    let cosignature = signed.cosign(&witness, GO_COSIGNED_AT).unwrap();

    assert_eq!(witness.verifier_key().to_string(), GO_WITNESS_KEY);
    assert_eq!(format!("{cosignature}\n"), GO_COSIGNATURE);
}

#[test]
fn a_witness_s_answer_is_added_to_the_checkpoint() {
    let mut signed = SignedCheckpoint::sign(tree(), &log_key());
    let witness = GO_WITNESS_KEY.parse().unwrap();

    let added = signed.add_cosignature(GO_COSIGNATURE, &witness);

    assert_eq!(added, Ok(GO_COSIGNED_AT));
    assert_eq!(
        signed.note().to_string(),
        format!("{GO_CHECKPOINT}{GO_COSIGNATURE}")
    );
    assert_eq!(
        cosigned_at(signed.note(), &witness),
        Ok(Some(GO_COSIGNED_AT))
    );

    assert_eq!(
        signed.add_cosignature(GO_COSIGNATURE, &witness),
        Ok(GO_COSIGNED_AT)
    );
    assert_eq!(signed.note().signatures().len(), 2);
}

#[test]
fn nothing_but_the_cosignature_of_the_witness_is_added_from_its_answer() {
    let signed = SignedCheckpoint::sign(tree(), &log_key());
    let elsewhere = SignedCheckpoint::sign(TreeHead { size: 4, ..tree() }, &log_key());
    let witness = witness_key("witness.example");
    let line = |signed: &SignedCheckpoint, name: &str| {
        format!(
            "{}\n",
            signed.cosign(&witness_key(name), GO_COSIGNED_AT).unwrap()
        )
    };
    let stranger = line(&signed, "stranger.example");
    let wrong = line(&elsewhere, "witness.example");
    let log_line = GO_CHECKPOINT.split_once("\n\n").unwrap().1;
    let wrong_signature = AnswerError::WrongSignature(WrongSignature(name("witness.example")));
    let not_cosigned = || Err(AnswerError::NotCosigned(name("witness.example")));
    #[rustfmt::skip]
    let rows = [
        (String::new(),                           Err(NoteError::Unsigned.into()),              1),
        ("garbage".into(),                        Err(NoteError::SignatureMalformed(1).into()), 1),
        (GO_COSIGNATURE.trim_end().into(),        Err(NoteError::SignatureMalformed(1).into()), 1),
        (format!("{GO_COSIGNATURE}\n"),           Err(NoteError::SignatureMalformed(2).into()), 1),
        (stranger.clone(),                        not_cosigned(),                               1),
        (log_line.into(),                         not_cosigned(),                               1),
        (wrong.clone(),                           Err(wrong_signature.clone()),                 1),
        (format!("{GO_COSIGNATURE}{wrong}"),      Err(wrong_signature),                         1),
        (format!("{stranger}{GO_COSIGNATURE}"),   Ok(GO_COSIGNED_AT),                           2),
    ];
    for (answer, expected, signatures) in rows {
        let mut signed = signed.clone();
        let added = signed.add_cosignature(&answer, witness.verifier_key());
        assert_eq!(added, expected, "{answer}");
        assert_eq!(signed.note().signatures().len(), signatures, "{answer}");
    }
}

#[test]
fn of_several_cosignatures_by_a_witness_the_latest_counts() {
    let mut signed = SignedCheckpoint::sign(tree(), &log_key());
    let witness = witness_key("witness.example");
    for time in [5, 9, 7] {
        let line = signed.cosign(&witness, Timestamp(time)).unwrap();
        signed
            .add_cosignature(&format!("{line}\n"), witness.verifier_key())
            .unwrap();
    }

    assert_eq!(
        cosigned_at(signed.note(), witness.verifier_key()),
        Ok(Some(Timestamp(9)))
    );
}

#[test]
fn an_answer_adds_one_cosignature_so_that_a_witness_leaves_room_for_the_others() {
    let mut signed = SignedCheckpoint::sign(tree(), &log_key());
    let witness = witness_key("witness.example");
    let cosign = |time| signed.cosign(&witness, Timestamp(time)).unwrap();
    let answer: String = [5, 9, 7].map(|time| format!("{}\n", cosign(time))).concat();

    let added = signed.add_cosignature(&answer, witness.verifier_key());

    assert_eq!(added, Ok(Timestamp(9)));
    assert_eq!(signed.note().signatures().len(), 2);
}

#[test]
fn a_cosignature_names_every_time_from_1970_on_and_none_before() {
    let signed = SignedCheckpoint::sign(tree(), &log_key());
    let witness = witness_key("witness.example");
    for time in [0, 1, i64::MAX].map(Timestamp) {
        let line = signed.cosign(&witness, time).unwrap();
        let cosigned = note(&format!("{GO_CHECKPOINT}{line}\n"));
        assert_eq!(
            cosigned_at(&cosigned, witness.verifier_key()),
            Ok(Some(time))
        );
    }
    for time in [-1, i64::MIN].map(Timestamp) {
        assert_eq!(signed.cosign(&witness, time), Err(BeforeEpoch));
    }
}

#[test]
fn a_cosignature_is_refused_whose_time_was_changed_or_is_none() {
    let witness: VerifierKey = GO_WITNESS_KEY.parse().unwrap();
    let base64 = GO_COSIGNATURE.trim_end().rsplit_once(' ').unwrap().1;
    let bytes = STANDARD.decode(base64).unwrap();
    let (_, signature) = bytes.split_at(12);
    let key = ed25519_dalek::SigningKey::from_bytes(&GO_WITNESS_SEED);
    let text = GO_CHECKPOINT.split_once("\n\n").unwrap().0;
    let time = 1_u64 << 63;
    let too_late = key.sign(format!("cosignature/v1\ntime {time}\n{text}\n").as_bytes());

    let cosigned = |time: u64, signature: &[u8]| {
        let bytes = [&witness.id().0, time.to_be_bytes().as_slice(), signature].concat();
        note(&format!(
            "{GO_CHECKPOINT}— witness.example {}\n",
            STANDARD.encode(bytes)
        ))
    };

    assert_eq!(
        cosigned_at(&cosigned(1_800_000_000, signature), &witness),
        Ok(Some(GO_COSIGNED_AT))
    );
    for wrong in [
        cosigned(1_800_000_001, signature),
        cosigned(time, &too_late.to_bytes()),
        cosigned(1_800_000_000, &signature[1..]),
        cosigned(1_800_000_000, &[signature, &[0]].concat()),
        cosigned(1_800_000_000, &[]),
    ] {
        assert_eq!(
            cosigned_at(&wrong, &witness),
            Err(WrongSignature(witness.name().clone()))
        );
    }
}

#[test]
fn a_log_s_signature_is_no_cosignature() {
    let key = log_key();

    assert_eq!(
        cosigned_at(&note(GO_CHECKPOINT), key.verifier_key()),
        Ok(None)
    );
}

/// The example of tlog-witness.
const EXAMPLE_REQUEST: &str = "old 20852014\n\
    PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n\
    jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n\
    5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n\
    /6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n\
    \n\
    example.com/behind-the-sofa\n\
    20852163\n\
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\
    \n\
    — example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
    — example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";

#[test]
fn the_request_of_the_specification_is_read_and_written() {
    let request = AddCheckpoint::parse(EXAMPLE_REQUEST.as_bytes()).unwrap();

    assert_eq!((request.old_size, request.proof.len()), (20_852_014, 4));
    assert_eq!(request.checkpoint.text(), EXAMPLE_TEXT);
    assert_eq!(request.to_string(), EXAMPLE_REQUEST);
}

#[test]
fn a_first_request_has_no_proof() {
    let text = format!("old 0\n\n{GO_CHECKPOINT}");

    let request = AddCheckpoint::parse(text.as_bytes()).unwrap();

    assert_eq!((request.old_size, request.proof.len()), (0, 0));
    assert_eq!(request.to_string(), text);
}

#[test]
fn what_is_not_a_request_in_its_one_spelling_is_refused() {
    use AddCheckpointError::{HashInvalid, Malformed, OldSizeInvalid, ProofTooLong};
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
    #[rustfmt::skip]
    let rows = [
        (String::new(),                                            Malformed),
        ("old 0\n".into(),                                         Malformed),
        (format!("\n\nold 0\n\n{GO_CHECKPOINT}"),                  OldSizeInvalid),
        (GO_CHECKPOINT.into(),                                     OldSizeInvalid),
        (format!("old \n\n{GO_CHECKPOINT}"),                       OldSizeInvalid),
        (format!("old 00\n\n{GO_CHECKPOINT}"),                     OldSizeInvalid),
        (format!("old 01\n\n{GO_CHECKPOINT}"),                     OldSizeInvalid),
        (format!("old  1\n\n{GO_CHECKPOINT}"),                     OldSizeInvalid),
        (format!("old 1 \n\n{GO_CHECKPOINT}"),                     OldSizeInvalid),
        (format!("old\t1\n\n{GO_CHECKPOINT}"),                     OldSizeInvalid),
        (format!("Old 1\n\n{GO_CHECKPOINT}"),                      OldSizeInvalid),
        (format!("old 1\r\n\n{GO_CHECKPOINT}"),                    OldSizeInvalid),
        (format!("old 18446744073709551616\n\n{GO_CHECKPOINT}"),   OldSizeInvalid),
        (format!("old 1\nAAAA\n\n{GO_CHECKPOINT}"),                HashInvalid),
        (format!("old 1\n {hash}\n{GO_CHECKPOINT}"),               HashInvalid),
        (format!("old 1\n{}\n{GO_CHECKPOINT}", hash.repeat(64)),   ProofTooLong),
        (format!("old 1\n{hash}\n"),                               NoteError::Unsigned.into()),
        (format!("old 1\n{hash}\n\n{GO_CHECKPOINT}\n"),            NoteError::Unsigned.into()),
    ];
    for (text, error) in rows {
        assert_eq!(
            AddCheckpoint::parse(text.as_bytes()),
            Err(error),
            "{text:?}"
        );
    }
    let longest = format!("old 1\n{}\n{GO_CHECKPOINT}", hash.repeat(63));
    assert_eq!(
        AddCheckpoint::parse(longest.as_bytes())
            .unwrap()
            .to_string(),
        longest
    );
    assert_eq!(AddCheckpoint::parse(b"old 1\n\xff\n\n"), Err(Malformed));
}
