//! A sound log passes the audit, read from wherever; and what is wrong with another is told by its class.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use avow::audit::auditor::{Request, audit};
use avow::audit::export::export;
use avow::audit::finding::Class;
use avow::audit::payload_check::Keys;
use avow::audit::report::{KeyStatus, Projected, Report};
use avow::audit::source::Source;
use avow::log::Statement;
use avow::log::keys::MasterKey;
use avow::log::unsealer::Unsealer;
use avow::log::vault::reader::VaultReader;
use avow::stripe::secret::Secrets;
use avow::transparency::key::VerifierKey;
use avow::transparency::policy::Policy;
use tempfile::{TempDir, tempdir};

use crate::support::audited::{
    Known, SMALL_LOG_ENTRIES, audit_path, known, state, told, untold, with_keys, with_seen,
    write_small_log,
};
use crate::support::delivery::{Delivery, event};
use crate::support::log::{Home, append, append_events, event_body};
use crate::support::server::{MASTER_KEY, Server, open_service};

const EVENTS: u64 = 300;

#[test]
fn a_sound_data_directory_passes_with_every_key_and_every_check() {
    let home = Home::new();
    let known = write_small_log(&home, "");

    let request = with_seen(told(&known.key), &known.checkpoint);
    let report = audit_path(
        home.data_dir(),
        with_keys(request, home.data_dir()).unwrap(),
    );

    assert_sound(&report);
    assert_eq!(report.key, KeyStatus::Told);
    assert_eq!(
        (report.entries, report.checkpoint_size),
        (SMALL_LOG_ENTRIES, Some(SMALL_LOG_ENTRIES))
    );
    let payloads = report.payloads.unwrap();
    // Three deliveries and four operator's words; what else was delivered is erased.
    assert_eq!((payloads.opened, payloads.authenticated), (8, 3));
}

#[test]
fn a_sound_log_passes_at_rest_exported_in_use_and_from_its_server() {
    let directory = data_directory();
    let key = key_of(directory.path());
    let with_projections = || Request {
        projections: true,
        ..told(&key)
    };

    let at_rest = audit_path(directory.path(), with_projections());
    let bundle = tempdir().unwrap();
    export(
        &open_service(directory.path()),
        bundle.path(),
        true,
        |_, _| {},
    )
    .unwrap();
    let exported = audit_path(bundle.path(), with_projections());
    let server = Server::start(directory.path());
    let in_use = audit_path(directory.path(), told(&key));
    let from_server = audit(&server.url(""), None, with_projections(), &mut |_, _| {});

    for report in [&at_rest, &exported, &in_use, &from_server] {
        assert_sound(report);
        assert_eq!(report.checkpoint_size, Some(EVENTS + 3));
        assert!(report.payloads.unwrap().matching >= EVENTS - 1);
    }
    for report in [&at_rest, &exported, &from_server] {
        assert!(
            matches!(report.projections, Projected::Equal { .. }),
            "{report}"
        );
    }
}

#[test]
fn a_key_that_only_the_log_tells_is_said_to_be_its_own_word() {
    let home = Home::new();
    let known = write_small_log(&home, "");

    let request = with_keys(untold(), home.data_dir()).unwrap();
    let report = audit_path(home.data_dir(), request);

    assert_sound(&report);
    let verifier_key = known.key.to_string();
    assert_eq!(report.key, KeyStatus::SelfAsserted { verifier_key });
}

#[test]
fn without_any_key_it_is_said_that_no_signature_was_checked() {
    let home = Home::new();
    write_small_log(&home, "");

    let report = audit_path(home.data_dir(), untold());

    assert_eq!(report.gravest(), Some(Class::CouldNotCheck), "{report}");
    assert_eq!(report.key, KeyStatus::Unknown);
}

#[test]
fn a_log_of_another_key_or_without_its_quorum_is_not_trusted() {
    let (home, other) = (Home::new(), Home::new());
    let known = write_small_log(&home, "");
    let stranger = write_small_log(&other, "other");
    let witness =
        avow::transparency::signing_key::CosigningKey::new("witness".parse().unwrap(), &[7; 32]);
    let text = format!(
        "log {}\nwitness w {}\nquorum w\n",
        known.key,
        witness.verifier_key()
    );
    let unmet = Request {
        policy: Some(Policy::parse(text.as_bytes()).unwrap()),
        ..untold()
    };
    let rows = [
        ("another key", told(&stranger.key)),
        ("a quorum that is not met", unmet),
        (
            "a checkpoint of another log",
            with_seen(told(&known.key), &stranger.checkpoint),
        ),
    ];
    for (name, request) in rows {
        let report = audit_path(home.data_dir(), request);

        assert_eq!(
            report.gravest(),
            Some(Class::UntrustedKey),
            "{name}: {report}"
        );
    }
}

#[test]
fn what_was_to_be_erased_and_can_be_read_is_an_incomplete_erasure() {
    let home = Home::new();
    let log = home.open();
    append(&log, &event_body("evt_1", "a", "verified"));
    let before = Home::copy_of(&home);
    state(&log, "a", Statement::Erase);
    let Known { key, .. } = known(&home, log);
    assert_sound(&audit_path(home.data_dir(), told(&key)));

    let payload_back = Home::copy_of(&home);
    put_back_payload(&before, &payload_back);
    let key_back = Home::copy_of(&home);
    fs::copy(
        before.data_dir().join("vault"),
        key_back.data_dir().join("vault"),
    )
    .unwrap();

    for home in [payload_back, key_back] {
        let report = audit_path(home.data_dir(), told(&key));
        assert_eq!(report.gravest(), Some(Class::ErasureIncomplete), "{report}");
    }
}

#[test]
fn an_erasure_that_waits_for_a_hold_is_no_incomplete_one() {
    let home = Home::new();
    let log = home.open();
    append(&log, &event_body("evt_1", "a", "verified"));
    state(&log, "a", Statement::Hold);
    state(&log, "a", Statement::Erase);
    let Known { key, .. } = known(&home, log);

    assert_sound(&audit_path(home.data_dir(), told(&key)));
}

#[test]
fn a_payload_or_a_key_that_is_missing_although_nothing_wants_it_erased_was_tampered_with() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..3);
    let Known { key, .. } = known(&home, log);
    let blanked = Home::copy_of(&home);
    overwrite_payload(&blanked, 0xe5);
    let keyless = Home::copy_of(&home);
    let vault = keyless.data_dir().join("vault");
    let slot = 2 * 4096 + 2 * 128;
    File::options()
        .write(true)
        .open(vault)
        .unwrap()
        .write_all_at(&[0; 128], slot)
        .unwrap();

    for home in [blanked, keyless] {
        let report = audit_path(home.data_dir(), told(&key));
        assert_eq!(report.gravest(), Some(Class::Tampered), "{report}");
    }
}

#[test]
fn a_journal_of_which_the_beginning_was_deleted_cannot_be_checked() {
    let mut home = Home::new();
    home.options.journal_segment_bytes = 1024;
    let log = home.open();
    append_events(&log, 0..4);
    let Known { key, .. } = known(&home, log);
    fs::remove_file(home.path().join("journal/00000000000000000000.segment")).unwrap();

    let report = audit_path(home.data_dir(), told(&key));

    assert_eq!(report.gravest(), Some(Class::CouldNotCheck), "{report}");
    assert!(
        report
            .findings
            .iter()
            .any(|finding| finding.what.contains("was deleted once sled was durable"))
    );
}

#[test]
fn a_recorded_checkpoint_that_was_changed_is_found_and_those_behind_it_are_still_believed() {
    let home = Home::new();
    append_events(&home.open(), 0..3);
    append_events(&home.open(), 3..6);
    let log = home.open();
    let known = known(&home, log);
    let path = home.path().join("checkpoints");
    let mut bytes = fs::read(&path).unwrap();
    let of_size_3 = bytes.windows(3).position(|bytes| bytes == b"\n3\n");
    bytes[of_size_3.unwrap() + 1] = b'2';
    fs::write(path, bytes).unwrap();

    let report = audit_path(home.data_dir(), told(&known.key));

    assert_eq!(report.gravest(), Some(Class::Tampered), "{report}");
    assert_eq!((report.checkpoint_size, report.entries), (Some(6), 6));
    assert_eq!(report.findings.len(), 1, "{report}");
    assert!(
        report.findings[0]
            .what
            .contains("the checkpoint is damaged"),
        "{report}"
    );
}

#[test]
fn a_secret_that_was_not_given_is_told_and_nothing_is_made_of_it() {
    let home = Home::new();
    let known = write_small_log(&home, "");
    let request = with_keys(told(&known.key), home.data_dir()).unwrap();
    let keys = Keys {
        secrets: Some(Secrets::parse("whsec_another_secret").unwrap()),
        ..request.keys
    };

    let report = audit_path(home.data_dir(), Request { keys, ..request });

    assert_eq!(report.gravest(), Some(Class::CouldNotCheck), "{report}");
    let payloads = report.payloads.unwrap();
    assert_eq!((payloads.authenticated, payloads.of_other_secrets), (0, 3));
}

#[test]
fn the_exit_code_of_the_command_tells_what_was_found() {
    let (home, other) = (Home::new(), Home::new());
    let known = write_small_log(&home, "");
    let stranger = write_small_log(&other, "other");
    let kept = home.data_dir().join("kept");
    fs::write(&kept, known.checkpoint.to_string()).unwrap();
    let changed = Home::copy_of(&home);
    fs::write(changed.path().join("tree/0"), [7; 32]).unwrap();
    let (key, other_key) = (known.key.to_string(), stranger.key.to_string());
    let (rolled_back, unerased) = (Home::copy_of(&home), Home::copy_of(&home));
    append(&home.open(), &event_body("evt_9", "9", "verified"));
    let later = home.data_dir().join("later");
    let source = Source::open(home.data_dir().to_str().unwrap(), None).unwrap();
    fs::write(&later, source.checkpoint().unwrap().to_string()).unwrap();
    let vault = fs::read(unerased.data_dir().join("vault")).unwrap();
    let slots = vault.len() / 128;
    let erased = (66..slots).position(|slot| vault[slot * 128..][..128] == [0; 128]);
    let place = u64::try_from((66 + erased.unwrap()) * 128).unwrap();
    let file = File::options()
        .write(true)
        .open(unerased.data_dir().join("vault"));
    file.unwrap().write_all_at(&[7; 128], place).unwrap();
    let (kept, later) = (kept.to_str().unwrap(), later.to_str().unwrap());
    #[rustfmt::skip]
    let rows = [
        (&home,    vec!["--vkey", &key, "--seen", kept],       0),
        (&home,    vec!["--vkey", &key, "--json"],             0),
        (&changed, vec!["--vkey", &key],                       1),
        (&home,    vec!["--no-payloads"],                      2),
        (&home,    vec!["--vkey", &key, "--policy", kept],     2),
        (&home,    vec!["--vkey", &other_key],                 5),
        (&rolled_back, vec!["--vkey", &key, "--seen", later],  3),
        (&unerased,    vec!["--vkey", &key],                   4),
    ];
    for (home, arguments, code) in rows {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_avow"))
            .args(["audit", "verify"])
            .arg(home.data_dir())
            .args(&arguments)
            .output()
            .unwrap();

        assert_eq!(output.status.code(), Some(code), "{arguments:?} {output:?}");
        if arguments.contains(&"--json") {
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(report["entries"], SMALL_LOG_ENTRIES + 1);
        }
    }
}

fn assert_sound(report: &Report) {
    assert_eq!(report.gravest(), None, "{report}");
}

/// Returns the data directory of a server that has stopped: more than a tile's worth of entries, one session erased.
fn data_directory() -> TempDir {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    for number in 0..EVENTS {
        let (id, session) = (format!("evt_{number}"), format!("vs_{number}"));
        server.record(&Delivery::event(&event(
            &id,
            &session,
            "user_1",
            "verified",
            1_760_000_000,
        )));
    }
    let redacted = event("evt_redacted", "vs_0", "user_1", "redacted", 1_760_000_001);
    let sequence = server.record(&Delivery::event(&redacted));
    // The wish stands behind it, and that it is done behind that.
    server.read(&format!("/v1/users?min_sequence={}", sequence + 2));
    directory
}

fn key_of(data_dir: &Path) -> VerifierKey {
    let vault = VaultReader::open(&data_dir.join("vault")).unwrap();
    let unsealer = Unsealer::new(vault, &MasterKey::parse(MASTER_KEY).unwrap()).unwrap();
    let source = Source::open(data_dir.to_str().unwrap(), None).unwrap();
    let origin = source
        .checkpoint()
        .unwrap()
        .text()
        .lines()
        .next()
        .unwrap()
        .to_owned();
    unsealer.verifier_key(origin.parse().unwrap()).unwrap()
}

/// Returns the only segment, and where the payload of the first record lies in it.
fn first_payload(home: &Home) -> (File, std::ops::Range<usize>, Vec<u8>) {
    let path = home.path().join("journal/00000000000000000000.segment");
    let bytes = fs::read(&path).unwrap();
    let field = |at: usize| {
        usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
    };
    let start = 128 + 68 + field(128 + 8);
    let file = File::options().write(true).open(path).unwrap();
    (file, start..start + field(128 + 12), bytes)
}

fn put_back_payload(from: &Home, to: &Home) {
    let (_, place, bytes) = first_payload(from);
    let (file, ..) = first_payload(to);
    file.write_all_at(&bytes[place.clone()], u64::try_from(place.start).unwrap())
        .unwrap();
}

fn overwrite_payload(home: &Home, byte: u8) {
    let (file, place, _) = first_payload(home);
    file.write_all_at(
        &vec![byte; place.len()],
        u64::try_from(place.start).unwrap(),
    )
    .unwrap();
}
