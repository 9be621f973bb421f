//! An export is whole and signed, or none; and it holds what the log held, while writes go on.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use avow::audit::export::{ExportError, ExportSource, Exported, export};
use avow::audit::export_source::Server as Remote;
use avow::audit::manifest::{Manifest, ManifestError, Projected};
use avow::audit::source::{Source, StoredEntry};
use avow::audit::web::Web;
use avow::log::entry::{Fact, Leaf, SubjectName};
use avow::log::{Statement, Words};
use avow::service::Service;
use avow::transparency::export::ManifestHash;
use avow::transparency::key::VerifierKey;
use avow::transparency::note::Note;
use avow::transparency::tile::EntryBundle;
use serde_json::{Value, json};
use state_machine::id::{SessionId, World};
use tempfile::{TempDir, tempdir};

use crate::support::delivery::{Delivery, event};
use crate::support::server::{Server, open_service};

/// Delivers this many events, each of a session of its own.
pub(crate) fn deliver(server: &Server, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let (id, session) = (format!("evt_{number}"), format!("vs_{number}"));
        let event = event(&id, &session, "user_1", "verified", 1_760_000_000);
        server.record(&Delivery::event(&event));
    }
}

/// A data directory with a few entries, one of them redacted and erased, at rest.
pub(crate) fn data_with(events: u64) -> TempDir {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    deliver(&server, 0..events);
    let redacted = event("evt_redacted", "vs_0", "user_1", "redacted", 1_760_000_001);
    let sequence = server.record(&Delivery::event(&redacted));
    // The wish stands behind it, and that it is done behind that.
    server.read(&format!("/v1/users?min_sequence={}", sequence + 2));
    drop(server);
    directory
}

pub(crate) fn entries(export: &Path) -> Vec<StoredEntry> {
    let source = Source::open(export.to_str().unwrap(), None).unwrap();
    let payloads = export.join("payloads").exists();
    let chunks = source.chunks(payloads);
    chunks.flat_map(|chunk| chunk.unwrap().entries).collect()
}

pub(crate) fn export_of(data: &Path, with_payloads: bool) -> (TempDir, Exported) {
    let out = tempdir().unwrap();
    let exported = export(&open_service(data), out.path(), with_payloads, |_, _| {}).unwrap();
    (out, exported)
}

pub(crate) fn export_of_service(service: &Service) -> (TempDir, Exported) {
    let out = tempdir().unwrap();
    let exported = export(service, out.path(), true, |_, _| {}).unwrap();
    (out, exported)
}

fn remote(server: &Server) -> Remote {
    Remote(Web::new(&server.url(""), None).unwrap())
}

#[test]
fn an_export_holds_every_entry_and_every_payload_that_is_not_erased() {
    let data = data_with(300);

    let (out, exported) = export_of(data.path(), true);

    let entries = entries(out.path());
    assert_eq!((exported.tree.size, entries.len()), (303, 303));
    assert!(!exported.is_incomplete);
    for (number, StoredEntry { leaf, sealed }) in entries.iter().enumerate() {
        let leaf = Leaf::decode(leaf).unwrap();
        let is_erased = [0, 300].contains(&number);
        assert_eq!(
            leaf.payload.is_some() && !is_erased,
            !sealed.is_empty(),
            "{number}"
        );
    }
    let (manifest, _) = Manifest::read(out.path()).unwrap();
    manifest.check_files(out.path(), |_| {}).unwrap();
    assert_eq!(manifest.projections, exported.projected);
}

#[test]
fn an_export_without_payloads_holds_none() {
    let data = data_with(3);

    let (out, _) = export_of(data.path(), false);

    assert!(
        entries(out.path())
            .iter()
            .all(|entry| entry.sealed.is_empty())
    );
    assert!(!out.path().join("payloads").exists());
    let (manifest, _) = Manifest::read(out.path()).unwrap();
    manifest.check_files(out.path(), |_| {}).unwrap();
}

#[test]
fn a_log_without_entries_can_be_exported() {
    let data = tempdir().unwrap();

    let (out, exported) = export_of(data.path(), true);

    assert_eq!(exported.tree.size, 0);
    assert_eq!(entries(out.path()), []);
}

#[test]
fn a_directory_that_holds_something_is_left_as_it_is() {
    let data = data_with(1);
    let out = tempdir().unwrap();
    fs::write(out.path().join("mine"), "").unwrap();

    let refused = export(&open_service(data.path()), out.path(), true, |_, _| {}).unwrap_err();

    assert!(matches!(refused, ExportError::NotEmpty(_)), "{refused}");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
}

#[test]
fn a_server_under_load_is_exported_without_stopping_it() {
    let data = tempdir().unwrap();
    let server = Server::start(data.path());
    deliver(&server, 0..20);
    let out = tempdir().unwrap();
    let is_over = AtomicBool::new(false);

    let (exported, delivered) = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            let mut next = 20;
            while !is_over.load(Ordering::Relaxed) {
                deliver(&server, next..next + 1);
                next += 1;
            }
            next
        });
        let exported = export(&remote(&server), out.path(), true, |_, _| {});
        is_over.store(true, Ordering::Relaxed);
        (exported.unwrap(), load.join().unwrap())
    });

    let entries = entries(out.path());
    assert_eq!(u64::try_from(entries.len()).unwrap(), exported.tree.size);
    assert!(exported.tree.size >= 20 && exported.tree.size <= delivered);
    assert!(exported.projected.sequence <= exported.tree.size);
    assert!(entries.iter().all(|entry| !entry.sealed.is_empty()));
    let (manifest, _) = Manifest::read(out.path()).unwrap();
    manifest.check_files(out.path(), |_| {}).unwrap();
}

/// A source that does something, or fails, before the call of some number.
struct Interrupted<'service> {
    service: &'service Service,
    calls: Cell<usize>,
    at: usize,
    interruption: RefCell<Box<dyn FnMut() -> Result<(), ExportError> + 'service>>,
}

impl Interrupted<'_> {
    fn call(&self) -> Result<(), ExportError> {
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() == self.at {
            return (self.interruption.borrow_mut())();
        }
        Ok(())
    }
}

impl ExportSource for Interrupted<'_> {
    fn verifier_key(&self) -> Result<VerifierKey, ExportError> {
        self.call()?;
        ExportSource::verifier_key(self.service)
    }
    fn projected(&self) -> Result<Projected, ExportError> {
        self.call()?;
        self.service.projected()
    }
    fn checkpoint(&self) -> Result<Note, ExportError> {
        self.call()?;
        ExportSource::checkpoint(self.service)
    }
    fn write_checkpoints(&self, through: u64, to: &mut dyn Write) -> Result<(), ExportError> {
        self.call()?;
        self.service.write_checkpoints(through, to)
    }
    fn leaves(&self, bundle: EntryBundle) -> Result<Vec<u8>, ExportError> {
        self.call()?;
        self.service.leaves(bundle)
    }
    fn payloads(&self, bundle: EntryBundle) -> Result<Vec<u8>, ExportError> {
        self.call()?;
        self.service.payloads(bundle)
    }
    fn sign(&self, manifest: &ManifestHash) -> Result<Note, ExportError> {
        self.call()?;
        self.service.sign(manifest)
    }
}

#[test]
fn an_export_that_breaks_off_anywhere_is_taken_for_none() {
    let data = data_with(2);
    let service = open_service(data.path());
    let broken = |at| {
        let out = tempdir().unwrap();
        let source = Interrupted {
            service: &service,
            calls: Cell::new(0),
            at,
            interruption: RefCell::new(Box::new(|| Err(ExportError::NotEmpty(PathBuf::new())))),
        };
        (export(&source, out.path(), true, |_, _| {}), out)
    };

    for call in 1..=7 {
        let (exported, out) = broken(call);
        assert!(exported.is_err(), "{call}");
        let refused = Manifest::read(out.path()).unwrap_err();
        assert!(matches!(refused, ManifestError::Unfinished), "{refused}");
    }
    let (exported, out) = broken(8);
    exported.unwrap();
    Manifest::read(out.path()).unwrap();
}

fn erase(service: &Service, session: &str) {
    let world = World {
        livemode: false,
        account: None,
    };
    let subject = SubjectName::Session(world, SessionId::parse(session).unwrap());
    let words = Words {
        actor: "an operator".to_owned(),
        reason: "a wish".to_owned(),
        token: None,
    };
    let (sender, erased) = mpsc::channel();
    service.state(subject, Statement::Erase, &words, move |stated| {
        sender.send(stated.map(drop)).unwrap();
    });
    erased.recv().unwrap().unwrap();
}

#[test]
fn what_is_erased_during_an_export_is_left_out_and_the_export_says_that_it_was_erased() {
    let data = data_with(3);
    let service = open_service(data.path());
    let source = Interrupted {
        service: &service,
        calls: Cell::new(0),
        // Behind the checkpoint and the leaves, before the payloads.
        at: 5,
        interruption: RefCell::new(Box::new(|| {
            erase(&service, "vs_1");
            Ok(())
        })),
    };
    let out = tempdir().unwrap();

    let exported = export(&source, out.path(), true, |_, _| {}).unwrap();

    assert!(!exported.is_incomplete);
    let entries = entries(out.path());
    assert!(entries[1].sealed.is_empty() && !entries[2].sealed.is_empty());
    let done = entries.iter().filter(|entry| {
        let leaf = Leaf::decode(&entry.leaf).unwrap();
        matches!(leaf.fact, Fact::ErasureDone(_))
    });
    assert_eq!(done.count(), 2);
}

#[test]
fn the_key_signs_nothing_but_the_hash_of_a_manifest() {
    let data = tempdir().unwrap();
    let server = Server::start(data.path());
    let ask = |body: &str| {
        let request = server.client().post(server.url("/v1/log/exports"));
        let request = request.header("content-type", "application/json");
        request.body(body.to_owned()).send().unwrap()
    };
    let hash = "0a".repeat(32);

    let signed: Value = ask(&json!({ "manifest_sha256": hash }).to_string())
        .json()
        .unwrap();

    let note = Note::parse(signed["note"].as_str().unwrap().as_bytes()).unwrap();
    let vkey = server.read_plain("/v1/log")["vkey"]
        .as_str()
        .unwrap()
        .to_owned();
    let vkey: VerifierKey = vkey.parse().unwrap();
    assert!(note.signature_by(&vkey).unwrap().is_some());
    assert_eq!(
        note.text(),
        format!("avow export v1\n{}\n{hash}\n", vkey.name())
    );
    let upper = hash.to_uppercase();
    for refused in [
        "",
        "{}",
        &format!(r#"{{"manifest_sha256":"{hash}0a"}}"#),
        &format!(r#"{{"manifest_sha256":"{upper}"}}"#),
        &format!(r#"{{"manifest_sha256":"{hash}","text":"mine"}}"#),
        &format!(r#"{{"manifest_sha256":"{}\n"}}"#, &hash[1..]),
    ] {
        assert_eq!(ask(refused).status(), 400, "{refused}");
    }
    assert_eq!(ask(&"0".repeat(2000)).status(), 413);
}

#[test]
fn an_export_is_not_signed_for_a_body_of_another_type() {
    let data = tempdir().unwrap();
    let server = Server::start(data.path());
    let body = json!({ "manifest_sha256": "0a".repeat(32) }).to_string();
    for content_type in [None, Some("text/plain"), Some("application/octet-stream")] {
        let mut request = server.client().post(server.url("/v1/log/exports"));
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }

        let refused = request.body(body.clone()).send().unwrap();

        assert_eq!(refused.status(), 415, "{content_type:?}");
    }
}
