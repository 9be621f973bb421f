//! What was erased stays erased when files of another time are put back, when the journal is written anew from sled, and
//! when a power cut tears the blanking.

use std::fs;
use std::path::{Path, PathBuf};

use avow::log::entry::Fact;
use avow::log::residue::{Residue, search};
use avow::log::{Log, OpenError, PayloadError, Statement};
use state_machine::id::SequenceNumber;

use crate::support::log::{
    Home, MASTER_KEY, append, append_all, append_events, body_of, erase, event_body, master_key,
    numbered_body, session_name, state,
};
use crate::support::traces::{FIRST_SLOT, found_in, holds, slot_of, traces_of_key};

fn residue(home: &Home) -> Residue {
    search(home.data_dir(), &master_key(), |_, _| {}).unwrap()
}

fn session(number: u64) -> String {
    format!("vs_{number:06}")
}

fn first_segment(home: &Home) -> PathBuf {
    home.path().join("journal/00000000000000000000.segment")
}

fn redacted_body(number: u64) -> String {
    let body = event_body("evt_redacted", &format!("{number:06}"), "verified");
    body.replace(
        "verification_session.verified",
        "verification_session.redacted",
    )
}

fn dones(log: &Log) -> usize {
    let entries = log.entries_from(SequenceNumber(0)).map(Result::unwrap);
    entries
        .filter(|entry| matches!(entry.leaf.fact, Fact::ErasureDone(_)))
        .count()
}

#[test]
fn keys_that_an_older_vault_brings_back_are_destroyed_again() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..8);
    erase(&log, &session(0));
    log.close();
    let vault = home.data_dir().join("vault");
    let traces: Vec<_> = (1..4)
        .flat_map(|number| traces_of_key(home.data_dir(), MASTER_KEY, FIRST_SLOT + number))
        .collect();
    let older = fs::read(&vault).unwrap();
    let log = home.open();
    for number in 1..4 {
        erase(&log, &session(number));
    }
    let size = log.size();
    log.close();
    assert_eq!(found_in(home.data_dir(), &traces), Vec::<String>::new());

    fs::write(&vault, older).unwrap();
    assert_ne!(residue(&home).remains, [], "the keys are back");
    let log = home.open();

    assert_eq!(log.size(), size, "carried out, and not wanted again");
    for number in 0..4 {
        let entry = log.entry(SequenceNumber(number)).unwrap().unwrap();
        assert!(
            matches!(log.open_payload(&entry), Err(PayloadError::Erased)),
            "{number}"
        );
    }
    let kept = log.entry(SequenceNumber(4)).unwrap().unwrap();
    assert_eq!(body_of(&log, &kept), numbered_body(4));
    log.close();
    assert_eq!(found_in(home.data_dir(), &traces), Vec::<String>::new());
    assert_eq!(residue(&home).remains, []);
}

#[test]
fn an_older_vault_that_lacks_keys_is_refused() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..1);
    log.close();
    let vault = home.data_dir().join("vault");
    let older = fs::read(&vault).unwrap();
    let log = home.open();
    let bodies: Vec<_> = (1..600).map(numbered_body).collect();
    assert!(append_all(&log, &bodies).iter().all(Result::is_ok));
    log.close();
    let newer = fs::read(&vault).unwrap();
    assert!(newer.len() > older.len());

    fs::write(&vault, older).unwrap();
    let refused = home.try_open().err();

    assert!(
        matches!(refused, Some(OpenError::VaultBehind { .. })),
        "{refused:?}"
    );
    fs::write(&vault, newer).unwrap();
    drop(home.open());
}

#[test]
fn an_older_log_brings_no_key_back() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..3);
    log.close();
    let older = Home::copy_of(&home);
    let traces = traces_of_key(home.data_dir(), MASTER_KEY, FIRST_SLOT);
    let log = home.open();
    erase(&log, &session(0));
    log.close();

    fs::copy(
        home.data_dir().join("vault"),
        older.data_dir().join("vault"),
    )
    .unwrap();
    let log = older.open();

    let entry = log.entry(SequenceNumber(0)).unwrap().unwrap();
    assert!(matches!(
        log.open_payload(&entry),
        Err(PayloadError::Erased)
    ));
    let late = append(&log, &event_body("evt_late", "000000", "verified"));
    let late = log.entry(late.sequence).unwrap().unwrap();
    assert_eq!(
        (late.leaf.key_slot.0, late.leaf.payload.as_ref()),
        (FIRST_SLOT, None)
    );
    log.close();
    assert_eq!(found_in(older.data_dir(), &traces), Vec::<String>::new());
}

#[test]
fn a_part_of_the_journal_that_is_written_anew_from_sled_is_blank_again() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..40);
    for number in [0, 1, 2, 7] {
        erase(&log, &session(number));
    }
    log.close();
    assert!(
        !first_segment(&home)
            .with_file_name("00000000000000000040.segment")
            .exists()
    );
    let bytes = fs::read(first_segment(&home)).unwrap();
    let middle = bytes.len() / 3;
    damage(&first_segment(&home), middle, &[0x5a; 64]);
    let lost = Home::copy_of(&home);
    fs::remove_file(first_segment(&lost)).unwrap();

    for home in [home, lost] {
        let (log, mended) = home.open_mended();
        log.close();

        assert!(
            mended.iter().any(|repair| repair.starts_with("rewrote ")),
            "{mended:?}"
        );
        let residue = residue(&home);
        assert_eq!(
            (residue.erased, residue.remains.as_slice()),
            (4, [].as_slice())
        );
        assert!(
            residue.unreadable_payloads >= 4,
            "sled has them: {residue:?}"
        );
    }
}

#[test]
fn a_sled_that_is_built_anew_holds_nothing_of_what_was_erased() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..6);
    erase(&log, &session(2));
    log.close();
    assert_eq!(residue(&home).unreadable_payloads, 1);

    fs::remove_dir_all(home.path().join("sled")).unwrap();
    let (log, mended) = home.open_mended();

    assert!(
        mended
            .iter()
            .any(|repair| repair.starts_with("rebuilt sled")),
        "{mended:?}"
    );
    let kept = log.entry(SequenceNumber(3)).unwrap().unwrap();
    assert_eq!(body_of(&log, &kept), numbered_body(3));
    log.close();
    assert_eq!(residue(&home).unreadable_payloads, 0);
}

#[test]
fn a_death_between_writing_the_journal_anew_and_blanking_it_is_made_good() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..6);
    log.close();
    let before = fs::read(first_segment(&home)).unwrap();
    let log = home.open();
    erase(&log, &session(2));
    log.close();
    // As the rewriting leaves it: the payloads that sled has, and the mark.
    let mut anew = fs::read(first_segment(&home)).unwrap();
    let end = before.iter().rposition(|byte| *byte != 0).unwrap();
    anew[128..end].copy_from_slice(&before[128..end]);
    fs::write(first_segment(&home), anew).unwrap();
    fs::write(home.path().join("journal.rewriting"), b"").unwrap();
    assert_eq!(residue(&home).remains.len(), 1);

    drop(home.open());

    assert_eq!(residue(&home).remains, []);
    assert!(!home.path().join("journal.rewriting").exists());
}

#[test]
fn a_blanking_that_was_torn_at_the_end_of_the_journal_loses_no_event() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..3);
    log.close();
    let cut = Home::copy_of(&home);
    let log = home.open();
    assert_eq!(append(&log, &redacted_body(1)).sequence, SequenceNumber(3));
    let done = state(&log, session_name(&session(1)), Statement::Erase);
    let sealed = log
        .entry(SequenceNumber(3))
        .unwrap()
        .unwrap()
        .sealed
        .clone();
    log.close();
    assert!(done.is_ok());

    // The power was cut: sled, index and head lack the event, the key is gone, its payload is blank in part, and nothing
    // follows its group.
    let mut journal = fs::read(first_segment(&home)).unwrap();
    let records = starts_of_records(&journal);
    assert_eq!(
        records.len(),
        6,
        "three events, the redacted one, the wish, the end"
    );
    journal[records[5]..].fill(0);
    let payload = records[4].next_multiple_of(8) - sealed.len() - padding(&journal, records[4]);
    let torn = sealed.len() / 2;
    journal[payload..payload + torn].copy_from_slice(&sealed[..torn]);
    assert!(holds(&journal, &sealed[..torn]) && !holds(&journal, &sealed));
    fs::write(first_segment(&cut), &journal).unwrap();
    fs::copy(home.data_dir().join("vault"), cut.data_dir().join("vault")).unwrap();
    let log = cut.open();

    let event = log.entry(SequenceNumber(3)).unwrap().unwrap();
    assert!(matches!(event.leaf.fact, Fact::Event(_)));
    assert!(matches!(
        log.open_payload(&event),
        Err(PayloadError::Erased)
    ));
    drop(state(&log, session_name(&session(1)), Statement::Erase));
    assert_eq!(dones(&log), 1);
    log.close();
    assert_eq!(residue(&cut).remains, []);
    let journal = fs::read(first_segment(&cut)).unwrap();
    assert!(!holds(&journal, &sealed[..16]), "blanked to the end");
}

#[test]
fn the_body_of_an_entry_that_could_not_be_read_is_erased_by_its_number() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..2);
    let traces = traces_of_key(home.data_dir(), MASTER_KEY, FIRST_SLOT + 2);
    let unreadable = append(&log, r#"{"MARKERUNREADABLE": "#);
    let name = avow::log::entry::SubjectName::Entry(unreadable.sequence);

    // At once: the index does not have it yet.
    let stated = state(&log, name.clone(), Statement::Erase).unwrap();
    let again = state(&log, name, Statement::Erase).unwrap();
    log.close();

    assert!(
        matches!(stated, avow::log::Stated::Erased { .. }),
        "{stated:?}"
    );
    assert!(matches!(again, avow::log::Stated::Erased { appended, .. } if appended.duplicate));
    assert_eq!(found_in(home.data_dir(), &traces), Vec::<String>::new());
    assert_eq!(residue(&home).remains, []);
    let vault = fs::read(home.data_dir().join("vault")).unwrap();
    assert_eq!(slot_of(&vault, FIRST_SLOT + 2), [0; 128]);
}

/// Returns where the records of a segment begin.
fn starts_of_records(segment: &[u8]) -> Vec<usize> {
    (0..segment.len())
        .step_by(8)
        .filter(|at| segment[*at..].starts_with(b"AVW2"))
        .collect()
}

/// Returns how many zeros stand between a record and the one that begins at `next`.
fn padding(segment: &[u8], next: usize) -> usize {
    segment[..next]
        .iter()
        .rev()
        .take_while(|byte| **byte == 0)
        .count()
}

fn damage(file: &Path, at: usize, with: &[u8]) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at..at + with.len()].copy_from_slice(with);
    fs::write(file, bytes).unwrap();
}
