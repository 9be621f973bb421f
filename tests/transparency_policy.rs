//! A policy is that of C2SP tlog-policy, and a checkpoint is believed exactly where it says so.

use std::collections::BTreeSet;

use avow::transparency::checkpoint::{SignedCheckpoint, UnauthenticCheckpoint};
use avow::transparency::hash::{EMPTY_ROOT, TreeHead};
use avow::transparency::key::{KeyName, VerifierKey, VerifierKeyError};
use avow::transparency::note::{Note, WrongSignature};
use avow::transparency::policy::{Policy, UntrustedCheckpoint};
use avow::transparency::policy_file::{POLICY_BYTES_MAX, PolicyError, PolicyLineError};
use avow::transparency::signing_key::{CosigningKey, SigningKey};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use state_machine::time::Timestamp;

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

fn log_key(seed: u8) -> SigningKey {
    SigningKey::new(name("log.example"), &[seed; 32])
}

fn log(seed: u8) -> VerifierKey {
    log_key(seed).verifier_key().clone()
}

fn witness_key(seed: u8) -> CosigningKey {
    CosigningKey::new(name("witness.example"), &[seed; 32])
}

fn witness(seed: u8) -> VerifierKey {
    witness_key(seed).verifier_key().clone()
}

fn parse(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text.as_bytes())
}

/// The example of the specification, with keys.
fn example() -> String {
    let [x1, x2, x3, y1, y2, y3] = [1, 2, 3, 4, 5, 6].map(witness);
    format!(
        "log {}\n\
        \n\
        witness X1 {x1}\n\
        witness X2 {x2}\n\
        witness X3 {x3}\n\
        group X-witnesses 2 X1 X2 X3\n\
        \n\
        witness Y1 {y1}\n\
        witness Y2 {y2}\n\
        witness Y3 {y3}\n\
        group Y-witnesses any Y1 Y2 Y3\n\
        \n\
        group X-and-Y all X-witnesses Y-witnesses\n\
        quorum X-and-Y\n",
        log(1)
    )
}

#[test]
fn every_set_of_cosigners_meets_the_policy_of_the_specification_as_it_says() {
    let policy = parse(&example()).unwrap();
    let names = ["X1", "X2", "X3", "Y1", "Y2", "Y3"];
    for set in 0..1_u32 << names.len() {
        let has = |index: usize| set >> index & 1 == 1;
        let cosigners: BTreeSet<&str> = (0..6)
            .filter(|index| has(*index))
            .map(|index| names[index])
            .collect();
        let of_x = (0..3).filter(|index| has(*index)).count();
        let of_y = (3..6).filter(|index| has(*index)).count();

        assert_eq!(
            policy.is_met_by(&cosigners),
            of_x >= 2 && of_y >= 1,
            "{cosigners:?}"
        );
    }
}

#[test]
fn the_name_of_a_group_is_no_cosigner() {
    let policy = parse(&example()).unwrap();

    assert!(!policy.is_met_by(&["X-witnesses", "Y-witnesses", "X-and-Y"].into()));
}

#[test]
fn a_policy_names_its_logs_and_witnesses() {
    let text = format!(
        "  # a comment\n\t\nlog\t{} \t https://log.example/ \n\
        witness käse {} https://witness.example/\nquorum käse\n#\n",
        log(1),
        witness(1),
    );

    let policy = parse(&text).unwrap();

    assert_eq!(policy.logs().len(), 1);
    assert_eq!(policy.logs()[0].key, log(1));
    assert_eq!(
        policy.logs()[0].url.as_deref(),
        Some("https://log.example/")
    );
    assert_eq!(policy.witnesses().len(), 1);
    assert_eq!(policy.witnesses()[0].name, "käse");
    assert_eq!(policy.witnesses()[0].key, witness(1));
    assert_eq!(
        policy.witnesses()[0].url.as_deref(),
        Some("https://witness.example/")
    );
}

fn at_line(line: usize, problem: PolicyLineError) -> PolicyError {
    PolicyError::Line { line, problem }
}

#[test]
fn a_line_that_is_not_understood_refuses_the_whole_policy() {
    use PolicyLineError as Line;
    let [log1, log2, w1, w2] = [log(1), log(2), witness(1), witness(2)];
    let renamed = SigningKey::new(name("other.example"), &[1; 32]);
    let renamed = renamed.verifier_key();
    let x1 = format!("witness x {w1}\n");
    let taken = |name: &str| Line::NameTaken(name.into());
    let unknown = |name: &str| Line::NameUnknown(name.into());
    #[rustfmt::skip]
    let rows = [
        (String::new(),                                            Err(PolicyError::QuorumMissing)),
        ("# only a comment\n".into(),                              Err(PolicyError::QuorumMissing)),
        (format!("log {log1}\n"),                                  Err(PolicyError::QuorumMissing)),
        ("quorum none".into(),                                     Err(PolicyError::Unfinished)),
        ("quorum none\n#".into(),                                  Err(PolicyError::Unfinished)),
        ("quorum none\n".into(),                                   Ok(())),
        ("quorum none\nquorum none\n".into(),                      Err(at_line(2, Line::QuorumTwice))),
        ("quorum\n".into(),                                        Err(at_line(1, Line::Unknown))),
        ("quorum none none\n".into(),                              Err(at_line(1, Line::Unknown))),
        ("quorum None\n".into(),                                   Err(at_line(1, unknown("None")))),
        ("Quorum none\n".into(),                                   Err(at_line(1, Line::Unknown))),
        ("quorum none # why\n".into(),                             Err(at_line(1, Line::Unknown))),
        ("quorum none\r\n".into(),                                 Err(at_line(1, Line::ControlCharacter))),
        ("quorum\u{7f}none\n".into(),                              Err(at_line(1, Line::ControlCharacter))),
        ("# \u{0}\nquorum none\n".into(),                          Err(at_line(1, Line::ControlCharacter))),
        ("quorum\u{a0}none\n".into(),                              Err(at_line(1, Line::Unknown))),
        ("quorum x\n".into(),                                      Err(at_line(1, unknown("x")))),
        (format!("quorum x\n{x1}"),                                Err(at_line(1, unknown("x")))),
        (format!("{x1}quorum x\n"),                                Ok(())),
        (format!("{x1}quorum none\n"),                             Ok(())),
        ("log\n".into(),                                           Err(at_line(1, Line::Unknown))),
        (format!("log {log1} url more\n"),                         Err(at_line(1, Line::Unknown))),
        ("log key\n".into(),                                       Err(at_line(1, Line::Key(VerifierKeyError::Malformed)))),
        (format!("log {w1}\n"),                                    Err(at_line(1, Line::WrongKeyType("checkpoints")))),
        (format!("log {log1}\nlog {log2}\nquorum none\n"),         Ok(())),
        (format!("log {log1}\nlog {log1} url\n"),                  Err(at_line(2, Line::KeyRepeated))),
        (format!("log {log1}\nlog {renamed}\n"),                   Err(at_line(2, Line::KeyRepeated))),
        ("witness x\n".into(),                                     Err(at_line(1, Line::Unknown))),
        (format!("witness {w1}\n"),                                Err(at_line(1, Line::Unknown))),
        (format!("witness x {w1} url more\n"),                     Err(at_line(1, Line::Unknown))),
        (format!("witness x {log1}\n"),                            Err(at_line(1, Line::WrongKeyType("cosignatures")))),
        (format!("witness none {w1}\n"),                           Err(at_line(1, taken("none")))),
        (format!("{x1}witness y {w1}\n"),                          Err(at_line(2, Line::KeyRepeated))),
        (format!("{x1}witness x {w2}\n"),                          Err(at_line(2, taken("x")))),
        (format!("{x1}log {log1}\nquorum x\n"),                    Ok(())),
        ("frobnicate\n".into(),                                    Err(at_line(1, Line::Unknown))),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(&text).map(|_| ()), expected, "{text:?}");
    }
}

#[test]
fn a_group_has_witnesses_and_earlier_groups_that_no_other_has() {
    use PolicyLineError as Line;
    let [w1, w2] = [witness(1), witness(2)];
    let x1 = format!("witness x {w1}\n");
    let xy = format!("{x1}witness y {w2}\n");
    let taken = |name: &str| Line::NameTaken(name.into());
    let unknown = |name: &str| Line::NameUnknown(name.into());
    let twice = |name: &str| Line::MemberTwice(name.into());
    #[rustfmt::skip]
    let rows = [
        ("group g all\n".into(),                                   Err(at_line(1, Line::Unknown))),
        ("group g\n".into(),                                       Err(at_line(1, Line::Unknown))),
        (format!("{x1}group g all x\nquorum g\n"),                 Ok(())),
        (format!("{x1}group g all g\n"),                           Err(at_line(2, unknown("g")))),
        (format!("{x1}group g all y\n"),                           Err(at_line(2, unknown("y")))),
        (format!("{x1}group g all none\n"),                        Err(at_line(2, unknown("none")))),
        (format!("{x1}group none all x\n"),                        Err(at_line(2, taken("none")))),
        (format!("{x1}group x all x\n"),                           Err(at_line(2, taken("x")))),
        (format!("{xy}group x all y\n"),                           Err(at_line(3, taken("x")))),
        (format!("{x1}group g all x x\n"),                         Err(at_line(2, twice("x")))),
        (format!("{x1}group g all x\ngroup h all x\n"),            Err(at_line(3, twice("x")))),
        (format!("{x1}group g all x\ngroup h all g x\n"),          Err(at_line(3, twice("x")))),
        (format!("{x1}group g all x\nquorum x\n"),                 Ok(())),
        (format!("{xy}group g 1 x y\nquorum g\n"),                 Ok(())),
        (format!("{xy}group g 2 x y\nquorum g\n"),                 Ok(())),
        (format!("{xy}group g 3 x y\n"),                           Err(at_line(3, Line::ThresholdInvalid))),
        (format!("{xy}group g 0 x y\n"),                           Err(at_line(3, Line::ThresholdInvalid))),
        (format!("{xy}group g 02 x y\n"),                          Err(at_line(3, Line::ThresholdInvalid))),
        (format!("{xy}group g +2 x y\n"),                          Err(at_line(3, Line::ThresholdInvalid))),
        (format!("{xy}group g most x y\n"),                        Err(at_line(3, Line::ThresholdInvalid))),
        (format!("{xy}group g 99999999999999999999 x y\n"),        Err(at_line(3, Line::ThresholdInvalid))),
        (format!("{xy}group all all x y\nquorum all\n"),           Ok(())),
    ];
    for (text, expected) in rows {
        assert_eq!(parse(&text).map(|_| ()), expected, "{text:?}");
    }
}

#[test]
fn only_comments_may_hold_what_is_not_utf_8() {
    let comment = [b"# k\xe4se\n".as_slice(), b"quorum none\n"].concat();
    let definition = b"quorum k\xe4se\n";

    assert!(Policy::parse(&comment).is_ok());
    assert_eq!(
        Policy::parse(definition),
        Err(PolicyError::Line {
            line: 1,
            problem: PolicyLineError::NotUtf8
        })
    );
}

#[test]
fn a_policy_may_be_as_large_as_the_specification_asks_for_and_not_without_bound() {
    let logs =
        (0..32).map(|seed| format!("log {} https://log.example/a-long-path/{seed}\n", log(seed)));
    let witnesses = (0..32).map(|seed| {
        format!(
            "witness w{seed} {} https://witness.example/{seed}\n",
            witness(seed)
        )
    });
    let groups = (0..32).map(|index| format!("group g{index} all w{index}\n"));
    let lines: String = logs.chain(witnesses).chain(groups).collect();
    let policy = parse(&format!("{lines}quorum g31\n")).unwrap();

    assert!(policy.is_met_by(&["w31"].into()) && !policy.is_met_by(&["w30"].into()));

    let too_long = "#\n".repeat(POLICY_BYTES_MAX / 2 + 1);
    assert_eq!(parse(&too_long), Err(PolicyError::TooLong));
}

fn checkpoint(cosigners: &[u8]) -> SignedCheckpoint {
    let tree = TreeHead {
        size: 0,
        root: EMPTY_ROOT,
    };
    let mut signed = SignedCheckpoint::sign(tree, &log_key(1));
    for seed in cosigners {
        let witness = witness_key(*seed);
        let line = signed.cosign(&witness, Timestamp((*seed).into())).unwrap();
        signed
            .add_cosignature(&format!("{line}\n"), witness.verifier_key())
            .unwrap();
    }
    signed
}

#[test]
fn a_checkpoint_is_believed_that_a_log_signed_and_a_quorum_cosigned() {
    let policy = parse(&example()).unwrap();
    let not_met = || Err(UntrustedCheckpoint::QuorumNotMet("X-and-Y".into()));
    #[rustfmt::skip]
    let rows: [(&[u8], _); 6] = [
        (&[],              not_met()),
        (&[1, 2],          not_met()),
        (&[1, 4, 5, 6],    not_met()),
        (&[7, 8, 9],       not_met()),
        (&[1, 2, 4],       Ok(())),
        (&[9, 3, 2, 1, 6], Ok(())),
    ];
    for (cosigners, expected) in rows {
        let checkpoint = checkpoint(cosigners);
        let authenticated = policy.authenticate(checkpoint.note());
        assert_eq!(
            authenticated,
            expected.map(|()| checkpoint),
            "{cosigners:?}"
        );
    }
}

#[test]
fn the_witnesses_that_cosigned_are_told_with_their_times() {
    let policy = parse(&example()).unwrap();
    let checkpoint = checkpoint(&[5, 2, 9]);

    let cosigners = policy.cosigners(checkpoint.note()).unwrap();

    let told: Vec<_> = cosigners
        .iter()
        .map(|cosigner| (cosigner.witness.name.as_str(), cosigner.cosigned_at))
        .collect();
    assert_eq!(told, [("X2", Timestamp(2)), ("Y2", Timestamp(5))]);
}

#[test]
fn a_wrong_cosignature_by_a_known_witness_refuses_the_checkpoint_even_with_a_quorum() {
    let policy = parse(&example()).unwrap();
    let checkpoint = checkpoint(&[1, 2, 4]).note().to_string();
    let tree = TreeHead {
        size: 1,
        root: EMPTY_ROOT,
    };
    let elsewhere = SignedCheckpoint::sign(tree, &log_key(1));
    let wrong = elsewhere.cosign(&witness_key(5), Timestamp(1)).unwrap();

    let note = Note::parse(format!("{checkpoint}{wrong}\n").as_bytes()).unwrap();

    let error = UntrustedCheckpoint::WrongCosignature(WrongSignature(name("witness.example")));
    assert_eq!(policy.authenticate(&note), Err(error));
}

#[test]
fn a_log_is_believed_that_the_policy_names_whichever_of_its_keys_signed() {
    let checkpoint = checkpoint(&[]);
    let unsigned = UnauthenticCheckpoint::Unsigned(name("log.example"));
    let other = SigningKey::new(name("other.example"), &[9; 32]);
    let other = other.verifier_key();
    let unknown = || Err(UntrustedCheckpoint::UnknownLog("log.example".into()));
    #[rustfmt::skip]
    let rows = [
        ("quorum none\n".into(),                                        unknown()),
        (format!("log {other}\nquorum none\n"),                         unknown()),
        (format!("log {}\nquorum none\n", log(1)),                      Ok(())),
        (format!("log {}\nlog {}\nquorum none\n", log(1), log(2)),      Ok(())),
        (format!("log {}\nlog {}\nquorum none\n", log(2), log(1)),      Ok(())),
        (format!("log {other}\nlog {}\nquorum none\n", log(1)),         Ok(())),
        (format!("log {}\nquorum none\n", log(2)),                      Err(UntrustedCheckpoint::Unauthentic(unsigned))),
    ];
    for (text, expected) in rows {
        let authenticated = parse(&text).unwrap().authenticate(checkpoint.note());
        assert_eq!(
            authenticated,
            expected.map(|()| checkpoint.clone()),
            "{text}"
        );
    }
}

#[test]
fn a_wrong_signature_of_one_key_of_a_log_refuses_a_checkpoint_that_another_signed() {
    let policy = parse(&format!("log {}\nlog {}\nquorum none\n", log(1), log(2))).unwrap();
    let right = checkpoint(&[]).note().to_string();
    let elsewhere = Note::sign("another text\n".into(), &log_key(2))
        .unwrap()
        .to_string();
    let wrong = elsewhere.split_once("\n\n").unwrap().1;

    let note = Note::parse(format!("{right}{wrong}").as_bytes()).unwrap();

    let error = UnauthenticCheckpoint::WrongSignature(WrongSignature(name("log.example")));
    assert_eq!(
        policy.authenticate(&note),
        Err(UntrustedCheckpoint::Unauthentic(error))
    );
}

#[test]
fn a_note_that_is_no_checkpoint_is_not_believed() {
    let note = Note::sign("log.example\n".into(), &log_key(1)).unwrap();

    let authenticated = Policy::of_log(log(1)).authenticate(&note);

    assert!(
        matches!(authenticated, Err(UntrustedCheckpoint::Malformed(_))),
        "{authenticated:?}"
    );
}

#[test]
fn the_policy_of_a_log_asks_for_no_witness_and_keeps_them_where_it_replaces_another() {
    let cosigned = checkpoint(&[1, 2, 4]);
    let with_witnesses = parse(&example().replace(&format!("log {}\n", log(1)), "")).unwrap();
    assert!(with_witnesses.authenticate(cosigned.note()).is_err());

    let with_log = with_witnesses.with_log(log(1));

    assert!(with_log.authenticate(cosigned.note()).is_ok());
    assert!(with_log.authenticate(checkpoint(&[]).note()).is_err());
    assert!(
        Policy::of_log(log(1))
            .authenticate(checkpoint(&[]).note())
            .is_ok()
    );
    assert!(Policy::of_log(log(1)).is_met_by(&BTreeSet::new()));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_024,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/transparency_policy.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_bytes_make_reading_a_policy_panic(
        lines in vec(prop_oneof![
            "(log|witness|group|quorum|#|none|all|any|x|[0-9]|\t| ){0,6}".prop_map(String::into_bytes).boxed(),
            vec(any::<u8>(), 0..20).boxed(),
        ], 0..8),
    ) {
        // Every policy has a quorum line, and a log or a witness needs a key that chance does not make.
        if let Ok(policy) = Policy::parse(&lines.join(&b'\n')) {
            prop_assert!(policy.logs().is_empty() && policy.is_met_by(&BTreeSet::new()));
        }
    }
}
