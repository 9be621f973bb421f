//! The bulk fold: it comes to what catch-up comes to, entry by entry, whatever is in the log and however little memory it has.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use avow::log::entry::Entry;
use avow::log::{Log, ReadError, Statement};
use avow::projections::bulk::watch::Watch;
use avow::projections::bulk::{self, FoldError, RUN_BYTES};
use avow::projections::catch_up::catch_up;
use avow::projections::digest::ProjectionsDigest;
use avow::projections::live::Live;
use avow::projections::store::Projections;
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::json;
use state_machine::id::SequenceNumber;

use crate::support::delivery::{event, with_report};
use crate::support::log::{Home, append_all, append_events, session_name, state};

const CACHE_BYTES: u64 = 1 << 20;

fn live(home: &Home, log: &Log) -> Live {
    let directory = home.data_dir().join("projections");
    Live::open(&directory, CACHE_BYTES, log).unwrap().0
}

fn in_bulk(log: &Log, live: &Live, run_bytes_max: usize) -> Arc<Projections> {
    let shadow = live.shadow().unwrap();
    bulk::fold(log, &shadow, &Watch::default(), run_bytes_max).unwrap();
    shadow
}

fn one_by_one(log: &Log, live: &Live, size: u64) -> ProjectionsDigest {
    let store = live.store();
    for end in 1..=size {
        catch_up(&store, |next| up_to(log, next, end), |_, _| {}).unwrap();
    }
    store.digest().unwrap()
}

fn up_to(
    log: &Log,
    next: SequenceNumber,
    end: u64,
) -> impl Iterator<Item = Result<Arc<Entry>, ReadError>> {
    let left = end.saturating_sub(next.0).try_into().unwrap();
    log.entries_from(next).take(left)
}

/// What is delivered or stated.
#[derive(Debug, Clone)]
struct Happening {
    kind: u8,
    session: u8,
    user: u8,
    created: i64,
    account: u8,
}

fn happening() -> impl Strategy<Value = Happening> {
    (0_u8..12, 0_u8..4, 0_u8..4, 0_i64..6, 0_u8..3).prop_map(
        |(kind, session, user, created, account)| Happening {
            kind,
            session,
            user,
            created,
            account,
        },
    )
}

impl Happening {
    fn happen(&self, number: usize, log: &Log) {
        let names = [
            "created",
            "processing",
            "requires_input",
            "verified",
            "canceled",
            "redacted",
        ];
        let session = format!("vs_{}", self.session);
        let created = 1_760_000_000 + self.created;
        // An id of its own, or for some that of another, with other facts: a conflict or a duplicate.
        let id = if self.kind == 6 { 0 } else { number };
        let name = names[usize::from(self.kind) % names.len()];
        let user = format!("user_{}", self.user);
        let mut body = event(&format!("evt_{id}"), &session, &user, name, created);
        if self.kind % 2 == 1 {
            body = with_report(body, &format!("vr_{}", self.user));
        }
        if self.account > 0 {
            body["account"] = json!(format!("acct_{}", self.account));
        }
        let body = match self.kind {
            7 => "no JSON".repeat(usize::from(self.user) + 1),
            8 => return try_state(log, &session, Statement::Hold),
            9 => return try_state(log, &session, Statement::Erase),
            10 => return try_state(log, &session, Statement::Release),
            _ => body.to_string(),
        };
        append_all(log, &[body]).remove(0).unwrap();
    }
}

/// States something of a session that may not be there, or not be in a state for it.
fn try_state(log: &Log, session: &str, statement: Statement) {
    if log.subject(session_name(session)).unwrap().is_some() {
        state(log, session_name(session), statement).ok();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("proptest-regressions/bulk_fold.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_bulk_fold_has_the_digest_of_catch_up(
        happenings in prop::collection::vec(happening(), 0..40),
        run_bytes_max in prop::sample::select(&[200_usize, 2_000, RUN_BYTES][..]),
        later in 0_usize..10,
    ) {
        let home = Home::in_memory();
        let log = home.open();
        let (early, late) = happenings.split_at(happenings.len().saturating_sub(later));
        for (number, happening) in early.iter().enumerate() {
            happening.happen(number, &log);
        }
        let live = live(&home, &log);
        let shadow = in_bulk(&log, &live, run_bytes_max);
        for (number, happening) in late.iter().enumerate() {
            happening.happen(early.len() + number, &log);
        }
        // An erasure may go on by itself: both are compared as of one entry.
        let end = log.size();
        // What came while the log was folded is caught up with.
        catch_up(&shadow, |next| up_to(&log, next, end), |_, _| {}).unwrap();

        let caught_up = one_by_one(&log, &live, end);

        prop_assert_eq!(caught_up.sequence.0, end);
        prop_assert_eq!(shadow.digest().unwrap(), caught_up);
        live.replace(&shadow).unwrap();
        drop((shadow, live));
        let directory = home.data_dir().join("projections");
        let (reopened, afresh) = Live::open(&directory, CACHE_BYTES, &log).unwrap();
        prop_assert_eq!(afresh, None);
        prop_assert_eq!(reopened.store().digest().unwrap(), caught_up);
    }
}

#[test]
fn a_fold_that_is_cancelled_ends_and_leaves_nothing() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..20);
    let live = live(&home, &log);
    let shadow = live.shadow().unwrap();
    let watch = Watch::default();
    watch.cancel();

    let folded = bulk::fold(&log, &shadow, &watch, RUN_BYTES);

    assert!(matches!(folded, Err(FoldError::Cancelled)));
    assert_eq!(shadow.cursor().unwrap().next, SequenceNumber(0));
}

/// Flips a bit of every copy of a text in a file, and returns how many there are.
fn flip(path: &Path, text: &[u8]) -> usize {
    let bytes = fs::read(path).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    let places = bytes.windows(text.len()).enumerate();
    let places: Vec<_> = places.filter(|(_, bytes)| *bytes == text).collect();
    for (place, _) in &places {
        let flipped = [bytes[*place] ^ 1];
        let place = u64::try_from(*place).unwrap();
        file.write_all_at(&flipped, place).unwrap();
    }
    places.len()
}

#[test]
fn what_the_journal_has_damaged_is_read_from_sled() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..80);
    let mut flipped = 0;
    for segment in fs::read_dir(home.path().join("journal")).unwrap() {
        for damaged in ["evt_000000", "evt_000020", "evt_000021", "evt_000079"] {
            flipped += flip(&segment.as_ref().unwrap().path(), damaged.as_bytes());
        }
    }
    let live = live(&home, &log);

    let shadow = in_bulk(&log, &live, RUN_BYTES);

    assert_eq!(flipped, 4);
    assert_eq!(shadow.digest().unwrap(), one_by_one(&log, &live, 80));
}
