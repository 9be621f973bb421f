//! What lies on the disk tells nothing without the master key.

use std::fs;
use std::path::Path;

use avow::log::keys::{MasterKey, MasterKeyError};
use avow::log::{Log, PayloadError};
use avow::stripe::user_reference::UserReference;
use state_machine::id::SequenceNumber;

use crate::support::log::{
    Home, append, append_events, body_of, event_body, numbered_body, random,
};

fn bytes_under(directory: &Path) -> Vec<u8> {
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().path());
    files
        .flat_map(|path| {
            if path.is_dir() {
                bytes_under(&path)
            } else {
                fs::read(path).unwrap()
            }
        })
        .collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[test]
fn no_personal_data_and_no_secret_lies_on_the_disk_in_clear() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..5);
    append(&log, r#"{"MARKERUNREADABLE": "#);
    log.close();

    let mut bytes = bytes_under(&home.path());
    bytes.retain(|byte| *byte != 0); // most of it is preallocated

    assert!(holds(&bytes, "evt_000001"), "ids are no secret");
    for marker in [
        "MARKERSECRET",
        "MARKERUSER",
        "MARKEREMAIL",
        "MARKERURL",
        "MARKERUNREADABLE",
        "client_secret",
        "metadata",
        "v1=",
    ] {
        assert!(!holds(&bytes, marker), "{marker}");
    }
}

#[test]
fn no_payload_is_so_large_that_sled_writes_a_blob() {
    let home = Home::new();
    let log = home.open();
    let mut noise = vec![0; 450_000];
    random(&mut noise).unwrap();
    let noise: String = noise
        .iter()
        .map(|byte| char::from(b'0' + byte % 64))
        .filter(|c| *c != '\\')
        .collect();
    let bodies: Vec<_> = (0..20)
        .map(|n| numbered_body(n).replace("document", &format!("{n}{noise}")))
        .collect();
    for body in &bodies {
        append(&log, body);
    }
    log.close();

    let log = home.open();

    let blobs = home.path().join("sled/blobs");
    assert_eq!(fs::read_dir(blobs).map_or(0, Iterator::count), 0);
    for (entry, body) in log.entries_from(SequenceNumber(0)).zip(&bodies) {
        let entry = entry.unwrap();
        assert!(entry.sealed.len() > 200_000);
        assert_eq!(body_of(&log, &entry), *body);
    }
}

#[test]
fn a_payload_opens_under_its_own_entry_only() {
    let home = Home::new();
    let log = home.open();
    append_events(&log, 0..2);
    let entries: Vec<_> = log
        .entries_from(SequenceNumber(0))
        .map(Result::unwrap)
        .collect();
    let mut exchanged = (*entries[0]).clone();
    exchanged.sealed = entries[1].sealed.clone();
    let mut shortened = (*entries[0]).clone();
    shortened.leaf.payload.as_mut().unwrap().plaintext_bytes -= 1;
    let mut newer = (*entries[0]).clone();
    newer.sealed[0] = 9;

    assert!(matches!(
        log.open_payload(&exchanged),
        Err(PayloadError::Sealed)
    ));
    assert!(matches!(
        log.open_payload(&shortened),
        Err(PayloadError::Sealed)
    ));
    assert!(matches!(
        log.open_payload(&newer),
        Err(PayloadError::UnknownVersion(9))
    ));
    let opened = log.open_payload(&entries[0]).unwrap();
    assert!(opened.signature_header.starts_with("t=1760000000,v1="));
}

#[test]
fn a_user_has_one_tag_in_a_log_and_another_under_another_key() {
    let home = Home::new();
    let log = home.open();
    append(&log, &event_body("evt_1", "1", "verified"));
    let entry = log.entry(SequenceNumber(0)).unwrap().unwrap();
    let user = UserReference::new("MARKERUSER_1").unwrap();
    let other_key =
        MasterKey::parse("0123456789abcdef102132435465768798a9babcbdcedfe0f1021324354657aa")
            .unwrap();
    let (other, _) = Log::open(&Home::new().path(), &other_key, home.options.clone()).unwrap();

    let avow::log::entry::Fact::Event(fact) = &entry.leaf.fact else {
        panic!("{entry:?}")
    };

    assert_eq!(fact.event.user, Some(log.user_tag(&user)));
    assert_ne!(other.user_tag(&user), log.user_tag(&user));
}

#[test]
fn a_master_key_that_could_be_guessed_is_refused() {
    let refused = |text: &str| MasterKey::parse(text).err();

    assert_eq!(refused(&"00".repeat(32)), Some(MasterKeyError::Weak));
    assert_eq!(
        refused(&"0123456789abcdef".repeat(4)),
        Some(MasterKeyError::Weak)
    );
    let counted = hex::encode((0..32).collect::<Vec<u8>>());
    assert_eq!(refused(&counted), Some(MasterKeyError::Weak));
    assert_eq!(refused("4f1c"), Some(MasterKeyError::NotHexadecimal));
    assert_eq!(
        refused(&"zz".repeat(32)),
        Some(MasterKeyError::NotHexadecimal)
    );
}
