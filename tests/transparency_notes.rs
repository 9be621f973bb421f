//! Signed notes and their keys are those of C2SP signed-note: one spelling each, and no signature is taken for
//! another.

use avow::transparency::key::{KeyName, SignatureType, VerifierKey, VerifierKeyError};
use avow::transparency::note::{NOTE_BYTES_MAX, Note, NoteError, SIGNATURES_MAX, WrongSignature};
use avow::transparency::signing_key::{CosigningKey, SigningKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// The example of the specification.
const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE: &str = "This is an example message.\n\n— example.com/foo \
    Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

/// The note that the documentation of Go's `sumdb/note` signs, with both its keys.
const GO_SEED: &str = "gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=";
const GO_KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_SECOND_KEY: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
const GO_TEXT: &str = "If you think cryptography is the answer to your problem,\n\
    then you don't know what your problem is.\n";
const GO_SIGNATURE: &str = "— PeterNeumann \
    x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
const GO_SECOND_SIGNATURE: &str = "— EnochRoot \
    rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

fn key(text: &str) -> VerifierKey {
    text.parse().unwrap()
}

fn signing_key(name: &str, byte: u8) -> SigningKey {
    SigningKey::new(name.parse().unwrap(), &[byte; 32])
}

fn note(text: &str) -> Note {
    Note::parse(text.as_bytes()).unwrap()
}

#[test]
fn the_example_of_the_specification_is_authenticated() {
    let note = note(EXAMPLE);

    assert_eq!(note.text(), "This is an example message.\n");
    assert!(note.signature_by(&key(EXAMPLE_KEY)).unwrap().is_some());
    assert_eq!(note.to_string(), EXAMPLE);
}

#[test]
fn a_note_is_signed_as_go_signs_it() {
    let seed = STANDARD.decode(GO_SEED).unwrap().try_into().unwrap();
    let signing_key = SigningKey::new("PeterNeumann".parse().unwrap(), &seed);

    let note = Note::sign(GO_TEXT.to_owned(), &signing_key).unwrap();

    assert_eq!(signing_key.verifier_key().to_string(), GO_KEY);
    assert_eq!(note.to_string(), format!("{GO_TEXT}\n{GO_SIGNATURE}"));
}

#[test]
fn signatures_by_several_known_keys_are_all_found() {
    let note = note(&format!("{GO_TEXT}\n{GO_SIGNATURE}{GO_SECOND_SIGNATURE}"));

    assert_eq!(note.signatures().len(), 2);
    assert!(note.signature_by(&key(GO_KEY)).unwrap().is_some());
    assert!(note.signature_by(&key(GO_SECOND_KEY)).unwrap().is_some());
    assert_eq!(note.signature_by(&key(EXAMPLE_KEY)), Ok(None));
}

#[test]
fn a_verifier_key_is_read_and_written_in_its_one_spelling() {
    #[rustfmt::skip]
    let rows = [
        (EXAMPLE_KEY,                                                                              SignatureType::Ed25519),
        (GO_KEY,                                                                                   SignatureType::Ed25519),
        // The base64 holds a plus sign.
        ("TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6",                             SignatureType::Ed25519),
        ("remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",                   SignatureType::Cosignature),
        ("witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G", SignatureType::Cosignature),
    ];
    for (text, signature_type) in rows {
        let key = key(text);
        assert_eq!(key.to_string(), text);
        assert_eq!(key.signature_type(), signature_type, "{text}");
        assert!(text.starts_with(&format!("{}+{}+", key.name(), key.id())));
    }
}

#[test]
fn what_is_not_the_spelling_of_a_sound_key_is_refused() {
    use VerifierKeyError::{Malformed, NotAKey, UnsupportedType, WrongId};
    let base64 = |type_byte: u8, key: &[u8]| STANDARD.encode([&[type_byte], key].concat());
    let good = &STANDARD
        .decode("AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
        .unwrap()[1..];
    let mut identity = [0; 32];
    identity[0] = 1;
    let with = |key: String| format!("example.com/foo+530d903a+{key}");
    #[rustfmt::skip]
    let rows = [
        (String::new(),                                   Malformed),
        ("example.com/foo".into(),                        Malformed),
        ("example.com/foo+530d903a".into(),               Malformed),
        (EXAMPLE_KEY["example.com/foo".len()..].into(),   Malformed),
        (EXAMPLE_KEY.replace("com/", "com "),             Malformed),
        (EXAMPLE_KEY.replace("com/", "com\u{a0}"),        Malformed),
        (EXAMPLE_KEY.replace("com/", "com\u{0}"),         Malformed),
        (EXAMPLE_KEY.replace("530d903a", "530D903A"),     Malformed),
        (EXAMPLE_KEY.replace("530d903a", "530d903"),      Malformed),
        (EXAMPLE_KEY.replace("530d903a", "530d903g"),     Malformed),
        (EXAMPLE_KEY.replace("530d903a", "530d903b"),     WrongId),
        (EXAMPLE_KEY.replace("/foo", "/fop"),             WrongId),
        (EXAMPLE_KEY.replace("Aeky", "A-ky"),             Malformed),
        (format!("{EXAMPLE_KEY} "),                       Malformed),
        (format!("{EXAMPLE_KEY}="),                       Malformed),
        (format!("{EXAMPLE_KEY}\n"),                      Malformed),
        (with(String::new()),                             Malformed),
        (with(base64(2, good)),                           UnsupportedType(2)),
        (with(base64(6, good)),                           UnsupportedType(6)),
        (with(base64(4, good)),                           WrongId),
        (with(base64(1, &[])),                            NotAKey),
        (with(base64(1, &good[1..])),                     NotAKey),
        (with(base64(1, &[good, &[0]].concat())),         NotAKey),
        // Not on the curve, and two points that anyone can sign for.
        (with(base64(1, &[2; 32])),                       NotAKey),
        (with(base64(1, &[0; 32])),                       NotAKey),
        (with(base64(1, &identity)),                      NotAKey),
    ];
    for (text, error) in rows {
        assert_eq!(text.parse::<VerifierKey>(), Err(error), "{text:?}");
    }
}

#[test]
fn what_is_not_a_text_and_signatures_is_refused() {
    use NoteError::{ControlCharacter, NotUtf8, SignatureMalformed, Unsigned};
    const SIGNATURE: &str = "— n AAAAAAE=\n";
    #[rustfmt::skip]
    let rows = [
        ("nothing",                             String::new(),                       Unsigned),
        ("only a text",                         "text\n".into(),                     Unsigned),
        ("no empty line",                       format!("text\n{SIGNATURE}"),        Unsigned),
        ("no text",                             format!("\n{SIGNATURE}"),            Unsigned),
        ("no signature",                        "text\n\n".into(),                   Unsigned),
        ("an empty line behind the signatures", format!("text\n\n{SIGNATURE}\n"),    Unsigned),
        ("a carriage return",                   format!("text\r\n\n{SIGNATURE}"),    ControlCharacter),
        ("a tab",                               format!("te\txt\n\n{SIGNATURE}"),    ControlCharacter),
        ("a zero byte",                         format!("te\0xt\n\n{SIGNATURE}"),    ControlCharacter),
        ("an unfinished signature",             "text\n\n— n AAAAAAE=".into(),       SignatureMalformed(1)),
        ("a bad second line",                   format!("text\n\n{SIGNATURE}— n\n"), SignatureMalformed(2)),
    ];
    for (name, text, error) in rows {
        assert_eq!(Note::parse(text.as_bytes()), Err(error), "{name}");
    }
    assert_eq!(
        Note::parse(&[b"te\xffxt\n\n", SIGNATURE.as_bytes()].concat()),
        Err(NotUtf8)
    );
    assert_eq!(note(&format!("text\n\n{SIGNATURE}")).text(), "text\n");
}

#[test]
fn a_signature_line_has_one_spelling() {
    #[rustfmt::skip]
    let rows = [
        ("a hyphen",                    "- n AAAAAAE="),
        ("an en dash",                  "– n AAAAAAE="),
        ("no space behind the dash",    "—n AAAAAAE="),
        ("a space before",              " — n AAAAAAE="),
        ("a second space",              "— n  AAAAAAE="),
        ("a space behind",              "— n AAAAAAE= "),
        ("a tab behind",                "— n AAAAAAE=\t"),
        ("no name",                     "—  AAAAAAE="),
        ("a plus sign in the name",     "— n+m AAAAAAE="),
        ("a Unicode space in the name", "— n\u{2003}m AAAAAAE="),
        ("no base64",                   "— n"),
        ("no padding",                  "— n AAAAAAE"),
        ("stray bits in the base64",    "— n AAAAAAF="),
        ("the alphabet of URLs",        "— n _AAAAAE="),
        ("only a key id",               "— n AAAAAA=="),
    ];
    for (name, line) in rows {
        let note = Note::parse(format!("text\n\n{line}\n").as_bytes());
        assert_eq!(note, Err(NoteError::SignatureMalformed(1)), "{name}");
    }
}

#[test]
fn the_last_empty_line_divides_the_text_from_the_signatures() {
    let text = "Ognuno sta solo sul cuor della terra\n\n\ned è subito sera.\n\n";
    let key = signing_key("quasimodo.example", 1);
    let signed = Note::sign(text.to_owned(), &key).unwrap();

    let read = note(&signed.to_string());

    assert_eq!(read.text(), text);
    assert!(read.signature_by(key.verifier_key()).unwrap().is_some());
}

#[test]
fn only_a_text_that_a_note_can_hold_is_signed() {
    let key = signing_key("a", 1);
    #[rustfmt::skip]
    let rows = [
        ("",        Err(NoteError::TextUnfinished)),
        ("text",    Err(NoteError::TextUnfinished)),
        ("te\txt\n", Err(NoteError::ControlCharacter)),
        ("text\n",  Ok("text\n".to_owned())),
        ("\n",      Ok("\n".to_owned())),
    ];
    for (text, expected) in rows {
        let signed = Note::sign(text.to_owned(), &key);
        assert_eq!(
            signed.map(|note| note.text().to_owned()),
            expected,
            "{text:?}"
        );
    }
    let too_long = format!("{}\n", "a".repeat(NOTE_BYTES_MAX - 50));
    assert_eq!(Note::sign(too_long, &key), Err(NoteError::TooLong));
}

#[test]
fn as_many_signatures_as_the_limit_are_read_and_no_more() {
    let line = format!("— n {}\n", STANDARD.encode([0; 2_500]));
    let with = |count: usize| format!("text\n\n{}", line.repeat(count));

    assert_eq!(
        note(&with(SIGNATURES_MAX)).signatures().len(),
        SIGNATURES_MAX
    );

    let too_many = Note::parse(with(SIGNATURES_MAX + 1).as_bytes());
    assert_eq!(too_many, Err(NoteError::SignaturesTooMany));
    let too_long = vec![b'a'; NOTE_BYTES_MAX + 1];
    assert_eq!(Note::parse(&too_long), Err(NoteError::TooLong));
}

#[test]
fn sixteen_signatures_as_long_as_post_quantum_ones_are_read() {
    let line = format!("— n {}\n", STANDARD.encode([0; 5_000]));

    assert_eq!(
        note(&format!("text\n\n{}", line.repeat(16)))
            .signatures()
            .len(),
        16
    );
}

#[test]
fn a_signature_that_shares_only_the_name_or_only_the_id_of_a_key_is_ignored() {
    let [known, other] = [1, 2].map(|byte| signing_key("same.example", byte));
    let signed = Note::sign("text\n".to_owned(), &other).unwrap();

    assert_eq!(signed.signature_by(known.verifier_key()), Ok(None));

    let renamed = signed.to_string().replace("same.example", "other.example");
    assert_eq!(note(&renamed).signature_by(other.verifier_key()), Ok(None));
}

#[test]
fn a_wrong_signature_under_the_name_and_id_of_a_key_refuses_the_whole_note() {
    let key = signing_key("log.example", 1);
    let right = Note::sign("text\n".to_owned(), &key).unwrap().to_string();
    let elsewhere = Note::sign("another text\n".to_owned(), &key)
        .unwrap()
        .to_string();
    let (_, wrong_line) = elsewhere.split_once("\n\n").unwrap();
    let short_line = format!(
        "— log.example {}\n",
        STANDARD.encode([&key.verifier_key().id().0, &[0; 63][..]].concat())
    );
    let error = Err(WrongSignature("log.example".parse().unwrap()));

    for note in [
        format!("text\n\n{wrong_line}"),
        format!("{right}{wrong_line}"),
        format!("{right}{short_line}"),
        right.replace("text\n", "text \n"),
    ] {
        let note = Note::parse(note.as_bytes()).unwrap();
        assert_eq!(note.signature_by(key.verifier_key()), error, "{note}");
    }
}

#[test]
fn every_bit_of_a_note_that_is_flipped_is_noticed() {
    let key = signing_key("log.example", 1);
    let bytes = Note::sign("log.example\n1\n".to_owned(), &key)
        .unwrap()
        .to_string()
        .into_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);

        let is_signed = Note::parse(&flipped)
            .is_ok_and(|note| matches!(note.signature_by(key.verifier_key()), Ok(Some(_))));
        assert!(!is_signed, "bit {bit}");
    }
}

/// Adding the order of the group to a signature gives another that lax implementations accept.
#[test]
fn a_signature_in_another_form_is_refused() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let key = signing_key("log.example", 1);
    let signed = Note::sign("text\n".to_owned(), &key).unwrap().to_string();
    let (start, base64) = signed.trim_end().rsplit_once(' ').unwrap();
    let mut bytes = STANDARD.decode(base64).unwrap();

    let mut carry = 0;
    for (byte, order) in bytes[36..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        [*byte, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }

    let other = note(&format!("{start} {}\n", STANDARD.encode(bytes)));
    assert!(other.signature_by(key.verifier_key()).is_err());
}

#[test]
fn the_two_types_of_a_key_are_two_keys() {
    let seed = [1; 32];
    let name = || "same.example".parse().unwrap();
    let (signing, cosigning) = (
        SigningKey::new(name(), &seed),
        CosigningKey::new(name(), &seed),
    );
    let signed = Note::sign("text\n".to_owned(), &signing).unwrap();

    let (signing, cosigning) = (signing.verifier_key(), cosigning.verifier_key());
    assert_eq!(signing.public_key(), cosigning.public_key());
    assert_ne!(signing.id(), cosigning.id());
    assert_eq!(signed.signature_by(cosigning), Ok(None));
}

#[test]
fn a_private_key_is_not_shown() {
    let seed = [0x5a; 32];
    let signing = SigningKey::new("log.example".parse().unwrap(), &seed);
    let cosigning = CosigningKey::new("witness.example".parse().unwrap(), &seed);

    let shown = format!("{signing:?} {cosigning:#?}");

    assert!(shown.contains(&signing.verifier_key().to_string()));
    for secret in [
        hex::encode(seed),
        STANDARD.encode(seed),
        format!("{:?}", &seed[..8]),
    ] {
        assert!(!shown.contains(secret.trim_matches(['[', ']'])), "{shown}");
    }
}

#[test]
fn a_name_is_refused_that_no_signature_line_can_hold() {
    for name in [
        "",
        " ",
        "a b",
        "a+b",
        "a\nb",
        "a\tb",
        "a\u{0}",
        "a\u{a0}b",
        "a\u{2003}",
        "\u{3000}",
        "a\u{1f}",
    ] {
        assert!(name.parse::<KeyName>().is_err(), "{name:?}");
    }
    for name in [
        "a",
        "example.com/log42",
        "oid/1.3.6.1",
        "käse.example",
        "-",
        "—",
    ] {
        assert_eq!(name.parse::<KeyName>().unwrap().as_str(), name);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_024,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/transparency_notes.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_note_is_read_back_as_it_was_written(
        text in "([^\\p{Cc}]{0,20}\n){1,6}",
        signatures in vec(("[^\\p{Cc}\\s+]{1,12}", vec(any::<u8>(), 5..90)), 1..5),
    ) {
        let lines = signatures.iter().map(|(name, bytes)| format!("— {name} {}\n", STANDARD.encode(bytes)));
        let written = format!("{text}\n{}", lines.collect::<String>());

        let read = Note::parse(written.as_bytes()).unwrap();

        prop_assert_eq!(read.text(), text);
        prop_assert_eq!(read.signatures().len(), signatures.len());
        prop_assert_eq!(read.to_string(), written);
    }

    #[test]
    fn no_bytes_make_reading_a_note_panic_and_what_is_read_is_written_as_it_was(
        bytes in prop_oneof![
            vec(any::<u8>(), 0..200).boxed(),
            "[a— +\n=A]{0,60}".prop_map(String::into_bytes).boxed(),
            "(a{0,2}\n){1,3}(— [a+]{1,2} [AB]{3}[AB=]{5}\n?){0,3}".prop_map(String::into_bytes).boxed(),
        ],
    ) {
        if let Ok(note) = Note::parse(&bytes) {
            prop_assert_eq!(note.to_string().into_bytes(), bytes);
        }
    }

    #[test]
    fn no_text_makes_reading_a_key_panic_and_what_is_read_is_written_as_it_was(text in "[a+]{0,3}\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]{44}") {
        if let Ok(key) = text.parse::<VerifierKey>() {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn every_seed_makes_a_key_whose_text_is_read_back(seed in any::<[u8; 32]>(), name in "[^\\p{Cc}\\s+]{1,20}") {
        let key = SigningKey::new(name.parse().unwrap(), &seed);
        let signed = Note::sign("text\n".to_owned(), &key).unwrap();

        let read: VerifierKey = key.verifier_key().to_string().parse().unwrap();

        prop_assert_eq!(&read, key.verifier_key());
        prop_assert!(signed.signature_by(&read).unwrap().is_some());
    }
}
