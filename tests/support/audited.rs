//! A small log with an entry of every kind, at rest, and its audit.

use std::path::Path;
use std::sync::mpsc;

use avow::access::token::TokenId;
use avow::audit::auditor::{Request, audit};
use avow::audit::heads::Seen;
use avow::audit::payload_check::Keys;
use avow::audit::report::{Projected, Report};
use avow::audit::source::Source;
use avow::log::access::{Access, AccessFact, Accessed, Accessor};
use avow::log::entry::SubjectName;
use avow::log::keys::MasterKey;
use avow::log::unsealer::Unsealer;
use avow::log::vault::VaultError;
use avow::log::vault::reader::VaultReader;
use avow::log::{IdempotencyKey, Log, Prepared, Stated, Statement, WantedOverride, Words};
use avow::stripe::secret::Secrets;
use avow::stripe::user_reference::UserReference;
use avow::transparency::key::VerifierKey;
use avow::transparency::note::Note;
use avow::transparency::policy::Policy;
use state_machine::id::{OverrideId, SessionId, World};
use state_machine::overrides::Action;

use super::log::{Home, append, event_body, master_key};
use super::server::{MASTER_KEY, SECRET};

/// How many entries [`write_small_log`] makes.
pub(crate) const SMALL_LOG_ENTRIES: u64 = 15;

/// What tells a log from others, and what others know of it.
pub(crate) struct Known {
    pub(crate) key: VerifierKey,
    pub(crate) checkpoint: Note,
}

/// Writes a log with an entry of every kind, and closes it. Its sessions are named after `name`.
pub(crate) fn write_small_log(home: &Home, name: &str) -> Known {
    let log = home.open();
    let session = |letter: char| format!("{name}{letter}");
    let body = |id: &str, letter: char, status: &str| {
        event_body(&format!("evt_{name}_{id}"), &session(letter), status)
    };
    append(&log, &body("1", 'a', "verified"));
    append(&log, &body("2", 'b', "verified"));
    append(&log, &body("2", 'b', "canceled")); // the same event with other facts: a conflict
    append(&log, "no JSON");
    state(&log, &session('b'), Statement::Hold);
    append(&log, &body("3", 'c', "verified"));
    let redacted = body("4", 'a', "verified")
        .replace("session.verified", "session.redacted")
        .replace(
            r#""redaction": null"#,
            r#""redaction": {"status": "redacted"}"#,
        );
    append(&log, &redacted);
    // The wish stands in the log; this waits until it is carried out.
    state(&log, &session('a'), Statement::Erase);
    state(&log, &session('c'), Statement::Erase);
    state(&log, &session('b'), Statement::Release);
    append(&log, &body("5", 'c', "verified")); // late: without its payload
    block(&log, name);
    record_access(&log);
    assert_eq!(log.size(), SMALL_LOG_ENTRIES);
    known(home, log)
}

/// Has an operator block a user.
fn block(log: &Log, name: &str) {
    let wanted = WantedOverride {
        id: OverrideId::parse(&format!("ovr_{name}1")).unwrap(),
        world: test_mode(),
        user: log.user_tag(&UserReference::new("a user").unwrap()),
        action: Action::Block,
        expires: None,
        idempotency_key: IdempotencyKey::new("a request"),
    };
    append_prepared(log, log.prepare_override(&wanted, &words()).unwrap());
}

/// Puts on record that somebody lists users.
fn record_access(log: &Log) {
    let access = AccessFact {
        by: Accessor::Token(TokenId::parse("tok_0123456789abcdef").unwrap()),
        access: Access::Users,
        on: Accessed::World(test_mode()),
    };
    append_prepared(log, log.prepare_access(access, &words()).unwrap());
}

fn append_prepared(log: &Log, prepared: Prepared) {
    let (sender, appended) = mpsc::channel();
    log.append(prepared, move |result| sender.send(result).unwrap());
    assert!(!appended.recv().unwrap().unwrap().duplicate);
}

fn words() -> Words {
    Words {
        actor: "an operator".to_owned(),
        reason: "a reason".to_owned(),
        token: None,
    }
}

fn test_mode() -> World {
    World {
        livemode: false,
        account: None,
    }
}

/// Closes a log, and returns what it signed last.
pub(crate) fn known(home: &Home, log: Log) -> Known {
    let key = log.verifier_key().clone();
    log.close();
    let source = Source::open(home.data_dir().to_str().unwrap(), None).unwrap();
    Known {
        key,
        checkpoint: source.checkpoint().unwrap().clone(),
    }
}

/// States something about a session, and waits until it is done.
pub(crate) fn state(log: &Log, session: &str, statement: Statement) -> Stated {
    let session = SessionId::parse(&format!("vs_{session}")).unwrap();
    let (subject, _) = log
        .subject(SubjectName::Session(test_mode(), session))
        .unwrap()
        .unwrap();
    let (sender, stated) = mpsc::channel();
    log.state(subject, statement, &words(), move |stated| {
        sender.send(stated).unwrap();
    })
    .unwrap();
    stated.recv().unwrap().unwrap()
}

/// Trusts a key, and wants everything but projections.
pub(crate) fn told(key: &VerifierKey) -> Request {
    Request {
        policy: Some(Policy::of_log(key.clone())),
        ..untold()
    }
}

/// Trusts what the log says.
pub(crate) fn untold() -> Request {
    Request {
        policy: None,
        seen: Vec::new(),
        keys: Keys::default(),
        vault: None,
        payloads: true,
        projections: false,
    }
}

/// Has the master key and the webhook secret, too.
pub(crate) fn with_keys(mut request: Request, data_dir: &Path) -> Result<Request, VaultError> {
    let vault = VaultReader::open(&data_dir.join("vault"))?;
    request.keys = Keys {
        unsealer: Some(Unsealer::new(vault, &master_key())?),
        secrets: Some(Secrets::parse("whsec_test_secret").unwrap()),
    };
    Ok(request)
}

pub(crate) fn with_seen(mut request: Request, note: &Note) -> Request {
    request.seen.push(Seen {
        name: "kept elsewhere".to_owned(),
        note: note.clone(),
    });
    request
}

/// Asserts that an audit finds nothing wrong with what a server left, with every key and every check: signatures, payloads,
/// tree, checkpoints, and the projections folded again.
pub(crate) fn assert_clean(data_dir: &Path) {
    let vault = VaultReader::open(&data_dir.join("vault")).unwrap();
    let master_key = MasterKey::parse(MASTER_KEY).unwrap();
    let keys = Keys {
        unsealer: Some(Unsealer::new(vault, &master_key).unwrap()),
        secrets: Some(Secrets::parse(SECRET).unwrap()),
    };
    let request = Request {
        keys,
        projections: true,
        ..untold()
    };
    let report = audit_path(data_dir, request);
    assert_eq!(report.gravest(), None, "{report}");
    assert!(
        matches!(report.projections, Projected::Equal { .. }),
        "{report}"
    );
}

/// Audits what lies at a path.
pub(crate) fn audit_path(path: &Path, request: Request) -> Report {
    audit(path.to_str().unwrap(), None, request, &mut |_, _| {})
}
