//! The stored bytes: held by golden files, read back as they were, and refused where a newer version wrote
//! them.

use std::fs;
use std::path::Path;

use avow::access::token::TokenId;
use avow::log::access::{Access, AccessFact, Accessed, Accessor};
use avow::log::entry::{
    ErasureCause, ErasureDoneFact, ErasureFact, Fact, Leaf, OverrideFact, PayloadDigest,
    RequestTag, SessionFact, Subject, SubjectName, UnreadableFact,
};
use avow::log::leaf::LeafError;
use avow::log::vault::KeySlot;
use avow::stripe::decode::{EventForm, Unreadable, UnreadableReason};
use avow::stripe::secret::SecretFingerprint;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;
use state_machine::event::{Event, EventType, LastError, RedactionStatus, Status};
use state_machine::id::{
    AccountId, ErrorCode, EventId, OverrideId, ReportId, SequenceNumber, SessionId, UserTag, World,
};
use state_machine::overrides::Action;
use state_machine::retry::policy::{ErrorClass, Policy};
use state_machine::time::{ReceivedAt, Timestamp};

use crate::support::log::{Home, assert_holds_events, copy};

fn full_fact() -> SessionFact {
    SessionFact {
        world: World {
            livemode: true,
            account: Some(AccountId::parse("acct_1").unwrap()),
        },
        session: SessionId::parse("vs_1").unwrap(),
        form: EventForm::Snapshot,
        event: Event {
            id: EventId::parse("evt_1").unwrap(),
            event_type: EventType::RequiresInput,
            created: Timestamp(1_760_000_075),
            session_created: Some(Timestamp(1_760_000_000)),
            status: Some(Status::Other("paused".into())),
            last_error: Some(LastError {
                code: Some(ErrorCode::parse("document_expired").unwrap()),
            }),
            report: Some(ReportId::parse("vr_1").unwrap()),
            redaction: Some(RedactionStatus::Processing),
            user: Some(UserTag([0xaa; 16])),
        },
        api_version: Some("2026-10-28.endive".to_owned()),
    }
}

fn empty_fact() -> SessionFact {
    let event = Event {
        session_created: None,
        status: None,
        last_error: None,
        report: None,
        redaction: None,
        user: None,
        event_type: EventType::Canceled,
        ..full_fact().event
    };
    let world = World {
        livemode: false,
        account: None,
    };
    SessionFact {
        world,
        form: EventForm::Thin,
        event,
        api_version: None,
        ..full_fact()
    }
}

fn leaf(fact: Fact) -> Leaf {
    Leaf {
        sequence: SequenceNumber(0x0102_0304),
        received_at: ReceivedAt(1_760_000_076_123),
        secret: Some(SecretFingerprint([1, 2, 3, 4, 5, 6, 7, 8])),
        key_slot: KeySlot(0x0506),
        fact,
        payload: Some(PayloadDigest {
            sealed_sha256: [0x11; 32],
            commitment: [0x22; 32],
            plaintext_bytes: 1_614,
        }),
    }
}

/// What nobody delivered has no secret; it is shown here without words either.
fn own_leaf(fact: Fact) -> Leaf {
    Leaf {
        secret: None,
        key_slot: KeySlot::LOG,
        payload: None,
        ..leaf(fact)
    }
}

fn subject(name: SubjectName) -> Subject {
    Subject {
        key_slot: KeySlot(0x0506),
        name,
    }
}

fn leaves() -> Vec<(&'static str, Leaf)> {
    let unreadable = |event: Option<&str>| {
        let event = event.map(|id| EventId::parse(id).unwrap());
        let unreadable = Unreadable {
            reason: UnreadableReason::NotJson,
            event,
        };
        Fact::Unreadable(UnreadableFact {
            unreadable,
            body_tag: [0xbb; 16],
        })
    };
    vec![
        ("event_full", leaf(Fact::Event(full_fact()))),
        ("event_empty", leaf(Fact::Event(empty_fact()))),
        ("conflict", leaf(Fact::Conflict(full_fact()))),
        ("unreadable", leaf(unreadable(None))),
        ("unreadable_with_id", leaf(unreadable(Some("evt_2")))),
        (
            "late",
            Leaf {
                payload: None,
                ..leaf(Fact::Event(full_fact()))
            },
        ),
        (
            "erasure",
            own_leaf(erasure(ErasureCause::Redacted(SequenceNumber(7)))),
        ),
        ("erasure_by_operator", leaf(erasure(ErasureCause::Operator))),
        ("erasure_done", own_leaf(done())),
        ("hold", own_leaf(Fact::Hold(subject(session())))),
        (
            "release_of_entry",
            own_leaf(Fact::Release(subject(SubjectName::Entry(SequenceNumber(
                9,
            ))))),
        ),
        ("override_grant", leaf(Fact::Override(grant()))),
        ("override_block", own_leaf(Fact::Override(block()))),
        ("configuration", own_leaf(Fact::Configuration(policy()))),
        ("access_by_token", leaf(Fact::Access(read()))),
        ("access_by_local", own_leaf(Fact::Access(export()))),
    ]
}

fn policy() -> Policy {
    let classes = [
        ("abandoned", ErrorClass::Uncounted),
        ("consent_declined", ErrorClass::Alternative),
        ("document_expired", ErrorClass::Counted),
        ("under_supported_age", ErrorClass::Final),
    ];
    let classes = classes.map(|(code, class)| (ErrorCode::parse(code).unwrap(), class));
    Policy {
        attempts_max: 3,
        window_seconds: 86_400,
        cooldown_seconds: 60,
        cooldown_factor: 2,
        cooldown_max_seconds: 3_600,
        classes: classes.into(),
    }
}

fn any_policy() -> impl Strategy<Value = Policy> {
    let class = select(vec![
        ErrorClass::Final,
        ErrorClass::Alternative,
        ErrorClass::Uncounted,
        ErrorClass::Counted,
    ]);
    let code = identifier().prop_map(|code| ErrorCode::parse(&code).unwrap());
    let classes = proptest::collection::btree_map(code, class, 0..5);
    (any::<[u32; 5]>(), classes).prop_map(|(numbers, classes)| {
        let [
            attempts_max,
            window_seconds,
            cooldown_seconds,
            cooldown_factor,
            cooldown_max_seconds,
        ] = numbers;
        Policy {
            attempts_max,
            window_seconds,
            cooldown_seconds,
            cooldown_factor,
            cooldown_max_seconds,
            classes,
        }
    })
}

fn grant() -> OverrideFact {
    OverrideFact {
        world: full_fact().world,
        user: UserTag([0xaa; 16]),
        id: OverrideId::parse("ovr_1").unwrap(),
        action: Action::Grant { attempts: 3 },
        expires: Some(Timestamp(1_760_086_400)),
        request: Some(RequestTag {
            key: [0xcc; 16],
            content: [0xdd; 16],
        }),
    }
}

fn block() -> OverrideFact {
    OverrideFact {
        world: empty_fact().world,
        action: Action::Block,
        expires: None,
        request: None,
        ..grant()
    }
}

fn read() -> AccessFact {
    AccessFact {
        by: Accessor::Token(TokenId::parse("tok_0123456789abcdef").unwrap()),
        access: Access::Users,
        on: Accessed::User(full_fact().world, UserTag([0xaa; 16])),
    }
}

fn export() -> AccessFact {
    AccessFact {
        by: Accessor::Local,
        access: Access::Export,
        on: Accessed::Everything,
    }
}

fn session() -> SubjectName {
    let fact = full_fact();
    SubjectName::Session(fact.world, fact.session)
}

fn erasure(cause: ErasureCause) -> Fact {
    Fact::Erasure(ErasureFact {
        subject: subject(session()),
        cause,
    })
}

fn done() -> Fact {
    Fact::ErasureDone(ErasureDoneFact {
        subject: subject(session()),
        erasure: SequenceNumber(8),
        payloads: 5,
    })
}

#[test]
fn a_leaf_has_the_bytes_that_it_always_had() {
    for (name, leaf) in leaves() {
        let golden = fs::read_to_string(format!(
            "{}/tests/fixtures/log/{name}.hex",
            env!("CARGO_MANIFEST_DIR")
        ));

        assert_eq!(lines(&leaf.encode()), golden.unwrap_or_default(), "{name}");
    }
}

/// A vault, a journal and an identity that version 0.1.0 wrote: everything else is derived from them.
#[test]
fn a_log_that_was_written_before_opens() {
    let home = Home::new();
    copy(
        Path::new(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/fixtures/log/version_2"
        )),
        home.path().parent().unwrap(),
    );

    let (log, _) = home.open_mended();

    assert_holds_events(&log, 5);
}

/// 32 bytes a line, so that a difference can be seen.
fn lines(bytes: &[u8]) -> String {
    bytes
        .chunks(32)
        .map(|chunk| hex::encode(chunk) + "\n")
        .collect()
}

#[test]
fn bytes_that_are_not_exactly_a_leaf_are_refused() {
    let bytes = leaf(Fact::Event(full_fact())).encode();
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Leaf::decode(&bytes).unwrap_err()
    };

    assert_eq!(changed(0, 1), LeafError::UnknownVersion(1));
    assert_eq!(changed(1, 4), LeafError::UnknownKind(4));
    assert!(
        changed(0, 1)
            .to_string()
            .contains("written by another avow")
    );
    assert!(
        changed(1, 4)
            .to_string()
            .contains("written by a newer avow")
    );
    assert_eq!(changed(26, 0xff), LeafError::Field("flags"));
    assert_eq!(
        Leaf::decode(&[&bytes[..], &[0]].concat()),
        Err(LeafError::TrailingBytes)
    );
    for cut in 0..bytes.len() {
        assert!(Leaf::decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_retry_policy_that_names_a_code_twice_or_out_of_order_is_refused() {
    let code = |letter: &str| ErrorCode::parse(&letter.repeat(9)).unwrap();
    let classes = ["a", "b"].map(|letter| (code(letter), ErrorClass::Counted));
    let policy = Policy {
        classes: classes.into(),
        ..policy()
    };
    let bytes = own_leaf(Fact::Configuration(policy)).encode();
    let second_named = |letter: u8| {
        let mut bytes = bytes.clone();
        let at = bytes.windows(9).position(|text| text == b"bbbbbbbbb");
        bytes[at.unwrap()..][..9].fill(letter);
        Leaf::decode(&bytes).map(|_| ())
    };

    assert_eq!(second_named(b'b'), Ok(()));
    assert_eq!(second_named(b'a'), Err(LeafError::Field("error classes")));
    assert_eq!(second_named(b'Z'), Err(LeafError::Field("error classes")));
}

fn identifier() -> impl Strategy<Value = String> {
    prop_oneof!["[!-~]{1,30}", "[!-~]{255}"]
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z_é]{1,20}", "[a-z]{255}"]
}

fn event() -> impl Strategy<Value = Event> {
    let types = [
        EventType::Created,
        EventType::Processing,
        EventType::RequiresInput,
        EventType::Verified,
        EventType::Observed,
        EventType::Canceled,
        EventType::Redacted,
    ];
    let status = prop_oneof![
        select(vec![
            Status::RequiresInput,
            Status::Processing,
            Status::Verified,
            Status::Canceled
        ]),
        word().prop_map(|word| Status::Other(word.into())),
    ];
    let redaction = prop_oneof![
        select(vec![RedactionStatus::Processing, RedactionStatus::Redacted]),
        word().prop_map(|word| RedactionStatus::Other(word.into())),
    ];
    let code = identifier().prop_map(|code| ErrorCode::parse(&code).unwrap());
    let report = identifier().prop_map(|report| ReportId::parse(&report).unwrap());
    let error = option::of(code).prop_map(|code| LastError { code });
    let times = (any::<i64>(), option::of(any::<i64>()));
    let parts = (
        option::of(status),
        option::of(error),
        option::of(report),
        option::of(redaction),
        option::of(any::<[u8; 16]>()),
    );
    (identifier(), select(types.to_vec()), times, parts).prop_map(
        |(id, event_type, (created, session_created), parts)| {
            let (status, last_error, report, redaction, user) = parts;
            Event {
                id: EventId::parse(&id).unwrap(),
                event_type,
                created: Timestamp(created),
                session_created: session_created.map(Timestamp),
                status,
                last_error,
                report,
                redaction,
                user: user.map(UserTag),
            }
        },
    )
}

fn any_leaf() -> impl Strategy<Value = Leaf> {
    let fact = (
        event(),
        identifier(),
        option::of(identifier()),
        any::<(bool, bool)>(),
        option::of(word()),
    )
        .prop_map(
            |(event, session, account, (livemode, is_thin), api_version)| SessionFact {
                world: World {
                    livemode,
                    account: account.map(|account| AccountId::parse(&account).unwrap()),
                },
                session: SessionId::parse(&session).unwrap(),
                form: if is_thin {
                    EventForm::Thin
                } else {
                    EventForm::Snapshot
                },
                event,
                api_version,
            },
        );
    let unreadable = (
        select(UnreadableReason::ALL.to_vec()),
        option::of(identifier()),
        any::<[u8; 16]>(),
    )
        .prop_map(|(reason, event, body_tag)| UnreadableFact {
            unreadable: Unreadable {
                reason,
                event: event.map(|id| EventId::parse(&id).unwrap()),
            },
            body_tag,
        });
    let fact = prop_oneof![
        (fact, any::<bool>()).prop_map(|(fact, conflicts)| if conflicts {
            Fact::Conflict(fact)
        } else {
            Fact::Event(fact)
        }),
        unreadable.prop_map(Fact::Unreadable),
        custody_fact(),
        override_fact().prop_map(Fact::Override),
        any_policy().prop_map(Fact::Configuration),
        access_fact().prop_map(Fact::Access),
    ];
    let digest = any::<([u8; 32], [u8; 32], u32)>().prop_map(
        |(sealed_sha256, commitment, plaintext_bytes)| PayloadDigest {
            sealed_sha256,
            commitment,
            plaintext_bytes,
        },
    );
    let place = any::<(u64, i64, u64, Option<[u8; 8]>)>();
    (fact, place, option::of(digest)).prop_map(|(fact, place, payload)| {
        let (sequence, received_at, key_slot, secret) = place;
        Leaf {
            sequence: SequenceNumber(sequence),
            received_at: ReceivedAt(received_at),
            secret: secret.map(SecretFingerprint),
            key_slot: KeySlot(key_slot),
            fact,
            payload,
        }
    })
}

fn custody_fact() -> impl Strategy<Value = Fact> {
    let session = (identifier(), option::of(identifier()), any::<bool>()).prop_map(
        |(session, account, livemode)| {
            let account = account.map(|account| AccountId::parse(&account).unwrap());
            let session = SessionId::parse(&session).unwrap();
            SubjectName::Session(World { livemode, account }, session)
        },
    );
    let entry = any::<u64>().prop_map(|sequence| SubjectName::Entry(SequenceNumber(sequence)));
    let subject = (any::<u64>(), prop_oneof![session, entry]).prop_map(|(slot, name)| Subject {
        key_slot: KeySlot(slot),
        name,
    });
    (subject, 0..5_u8, any::<(u64, u64)>()).prop_map(|(subject, kind, (sequence, payloads))| {
        let sequence = SequenceNumber(sequence);
        let erasure = |subject, cause| Fact::Erasure(ErasureFact { subject, cause });
        match kind {
            0 => erasure(subject, ErasureCause::Operator),
            1 => erasure(subject, ErasureCause::Redacted(sequence)),
            2 => Fact::ErasureDone(ErasureDoneFact {
                subject,
                erasure: sequence,
                payloads,
            }),
            3 => Fact::Hold(subject),
            _ => Fact::Release(subject),
        }
    })
}

fn access_fact() -> impl Strategy<Value = AccessFact> {
    let by = prop_oneof![
        select(vec![Accessor::Local, Accessor::Anonymous]),
        any::<[u8; 8]>().prop_map(|bytes| {
            let id = format!("tok_{}", hex::encode(bytes));
            Accessor::Token(TokenId::parse(&id).unwrap())
        }),
    ];
    let world = || {
        (any::<bool>(), option::of(identifier())).prop_map(|(livemode, account)| World {
            livemode,
            account: account.map(|account| AccountId::parse(&account).unwrap()),
        })
    };
    let on = prop_oneof![
        Just(Accessed::Everything),
        world().prop_map(Accessed::World),
        (world(), any::<[u8; 16]>()).prop_map(|(world, tag)| Accessed::User(world, UserTag(tag))),
        (world(), identifier()).prop_map(|(world, session)| {
            Accessed::Session(world, SessionId::parse(&session).unwrap())
        }),
        any::<(u64, u64)>().prop_map(|(first, count)| Accessed::Entries {
            first: SequenceNumber(first),
            count,
        }),
    ];
    (by, select(Access::ALL.to_vec()), on).prop_map(|(by, access, on)| AccessFact {
        by,
        access,
        on,
    })
}

fn override_fact() -> impl Strategy<Value = OverrideFact> {
    let action = prop_oneof![
        any::<u32>().prop_map(|attempts| Action::Grant { attempts }),
        select(vec![Action::Reset, Action::Block, Action::Unblock]),
    ];
    let world = (any::<bool>(), option::of(identifier()));
    let request = option::of(any::<([u8; 16], [u8; 16])>());
    let rest = (any::<[u8; 16]>(), option::of(any::<i64>()), request);
    (world, identifier(), action, rest).prop_map(
        |((livemode, account), id, action, (user, expires, request))| OverrideFact {
            world: World {
                livemode,
                account: account.map(|account| AccountId::parse(&account).unwrap()),
            },
            user: UserTag(user),
            id: OverrideId::parse(&id).unwrap(),
            action,
            expires: expires.map(Timestamp),
            request: request.map(|(key, content)| RequestTag { key, content }),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_096,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/log_format.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_leaf_is_read_back_as_it_was_written(leaf in any_leaf()) {
        prop_assert_eq!(Leaf::decode(&leaf.encode()), Ok(leaf));
    }

    #[test]
    fn no_bytes_make_decoding_panic_and_what_decodes_encodes_to_itself(mut bytes in vec(any::<u8>(), 0..400), kind in select(vec![1_u8, 2, 3, 5, 7, 8, 9, 11, 12, 13])) {
        if let [version, first, ..] = bytes.as_mut_slice() {
            (*version, *first) = (2, kind);
        }
        if let Ok(leaf) = Leaf::decode(&bytes) {
            prop_assert_eq!(leaf.encode(), bytes);
        }
    }
}
