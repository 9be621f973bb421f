//! The log over HTTP: a stranger who knows its key and nothing else can audit all of it, while it grows.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use avow::log::entry::{Leaf, SubjectName};
use avow::log::{Statement, Words};
use avow::transparency::hash::{Hash, TreeHead, leaf_hash};
use avow::transparency::policy::Policy;
use avow::transparency::proof::{check_consistency, consistency_proof};
use avow::transparency::receipt::Receipt;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use reqwest::blocking::Response;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use state_machine::id::{SessionId, World};
use tempfile::tempdir;

use crate::support::delivery::{Delivery, deliver_numbered, event, with_error, with_report};
use crate::support::mirror::{Mirror, authenticated, checkpoint_of, found, receipt_path, vkey};
use crate::support::server::{Server, open_service};

/// A full bundle, and some of a second.
const SIZE: u64 = 300;

fn grow(server: &Server, numbers: Range<u64>) {
    deliver_numbered(numbers, |delivery| {
        server.deliver(delivery).status().as_u16()
    });
}

fn root_hash(head: &TreeHead) -> RootHash<Sha256> {
    RootHash::new(head.root.0.into(), head.size)
}

fn concatenated(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// Returns the root that another implementation finds.
fn independent_root(leaves: &[Vec<u8>]) -> Hash {
    let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for leaf in leaves {
        tree.push(leaf.clone());
    }
    Hash((*tree.root().as_bytes()).into())
}

/// Asserts that everything that was fetched is what another implementation makes of the leaves.
fn assert_sound(mirror: &Mirror) {
    let (head, leaves) = (mirror.head(), mirror.leaves());
    assert_eq!(independent_root(&leaves), head.root);
    let level_0: Vec<Hash> = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
    let level_1: Vec<Hash> = leaves.chunks_exact(256).map(independent_root).collect();
    assert_eq!(mirror.level(0), level_0);
    assert_eq!(mirror.level(1), level_1);

    let policy = Policy::of_log(mirror.vkey.clone());
    for (index, leaf) in (0..).zip(&leaves) {
        let receipt = Receipt::parse(&mirror.files[&receipt_path(index)]).unwrap();
        assert_eq!(receipt.index, index);
        let signed = receipt.check(&leaf_hash(leaf), &policy).unwrap();
        let proof = InclusionProof::try_from_bytes(concatenated(&receipt.proof)).unwrap();
        root_hash(&signed.tree())
            .verify_inclusion(leaf, index, &proof)
            .unwrap();
    }
}

#[test]
fn a_stranger_finds_every_leaf_tile_and_receipt_of_what_the_log_has_signed() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    grow(&server, 0..SIZE);
    let get = |path: &str| server.get_plain(path);
    checkpoint_of(get, SIZE);

    let mirror = Mirror::of(get);

    assert_eq!(mirror.head().size, SIZE);
    assert_sound(&mirror);
    for (sequence, leaf) in (0..).zip(mirror.leaves()) {
        assert_eq!(Leaf::decode(&leaf).unwrap().sequence.0, sequence);
    }
}

#[test]
fn an_empty_log_has_signed_that_it_is_empty() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());

    let mirror = Mirror::of(|path| server.get_plain(path));

    let paths: Vec<_> = mirror.files.keys().map(String::as_str).collect();
    assert_eq!(paths, ["checkpoint"]);
    assert_eq!(mirror.head().root.0, *Sha256::digest([]));
    let log = server.read_plain("/v1/log");
    let origin = mirror.vkey.name().as_str();
    assert_eq!(
        log,
        json!({
            "object": "log", "origin": origin, "vkey": mirror.vkey.to_string(),
            "size": 0, "root": mirror.head().root.to_string(),
        })
    );
}

#[test]
fn all_that_a_checkpoint_covers_is_there_as_soon_as_it_is_seen_however_the_log_grows() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let get = |path: &str| server.get_plain(path);
    let is_grown = AtomicBool::new(false);

    let heads = std::thread::scope(|scope| {
        scope.spawn(|| {
            grow(&server, 0..SIZE);
            checkpoint_of(get, SIZE);
            is_grown.store(true, Ordering::Release);
        });
        let mut heads = Vec::new();
        while heads.is_empty() || !is_grown.load(Ordering::Acquire) {
            let mirror = Mirror::of(get);
            assert_sound(&mirror);
            heads.push(mirror.head());
        }
        heads
    });

    assert!(heads.is_sorted_by_key(|head| head.size));
}

#[test]
fn each_checkpoint_continues_those_before_it() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let get = |path: &str| server.get_plain(path);
    let vkey = vkey(get);
    let mut heads = Vec::new();
    let mut size = 0;
    for next in [1, 2, 7, 256, SIZE] {
        grow(&server, size..next);
        heads.push(authenticated(checkpoint_of(get, next).as_bytes(), &vkey));
        size = next;
    }

    let mirror = Mirror::of(get);

    let tiles = [mirror.level(0), mirror.level(1)];
    let read = |level: u8, hashes: Range<u64>| {
        let [start, end] = [hashes.start, hashes.end].map(|at| usize::try_from(at).unwrap());
        let hashes = tiles[usize::from(level)].get(start..end);
        hashes.map(<[Hash]>::to_vec).ok_or("beyond the tiles")
    };
    let last = mirror.head();
    for head in heads {
        let proof = consistency_proof(head.size, last.size, read).unwrap();
        assert_eq!(check_consistency(&head, &last, &proof), Ok(()));
        let proof = ConsistencyProof::try_from_bytes(concatenated(&proof)).unwrap();
        root_hash(&last)
            .verify_consistency(&root_hash(&head), &proof)
            .unwrap();
    }
}

#[test]
fn what_no_checkpoint_covers_yet_is_not_served_and_comes_within_a_moment() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let get = |path: &str| server.get_plain(path);
    // A checkpoint may be signed between any delivery and the question, but not each time.
    let paths = |sequence| {
        [
            format!("/v1/log/entries/{sequence}/proof"),
            format!("/v1/log/entries/{sequence}"),
            format!("/tile/entries/000.p/{}", sequence + 1),
            format!("/tile/0/000.p/{}", sequence + 1),
        ]
    };
    for (which, tried) in (0..4).map(|which| (which, 0..200_u64)) {
        let early = tried.map(|_| {
            let sequence = server.read_plain("/readyz")["entries"].as_u64().unwrap();
            grow(&server, sequence..sequence + 1);
            (sequence, get(&paths(sequence)[which]))
        });
        let mut early = early.skip_while(|(_, response)| response.status() == 200);
        let (sequence, response) = early.next().expect("some question comes early");

        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(refusal(response), (404, "not_in_checkpoint".to_owned()));
        checkpoint_of(get, sequence + 1);
        assert_eq!(get(&paths(sequence)[which]).status(), 200);
    }
}

fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let answer: Value = response.json().unwrap();
    (status, answer["error"]["code"].as_str().unwrap().to_owned())
}

#[test]
fn every_path_says_what_it_holds_and_how_long_it_may_be_kept() {
    const TEXT: &str = "text/plain; charset=utf-8";
    const BYTES: &str = "application/octet-stream";
    const FOR_EVER: &str = "max-age=31536000, immutable";
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    grow(&server, 0..SIZE);
    let get = |path: &str| server.get_plain(path);
    checkpoint_of(get, SIZE);

    #[rustfmt::skip]
    let rows = [
        ("/checkpoint",                TEXT,  "no-cache",      true),
        ("/v1/log/entries/7/proof",    TEXT,  "no-cache",      true),
        ("/tile/0/000",                BYTES, FOR_EVER,        true),
        ("/tile/0/001.p/44",           BYTES, "max-age=86400", true),
        ("/tile/1/000.p/1",            BYTES, "max-age=86400", true),
        ("/tile/entries/000",          BYTES, FOR_EVER,        true),
        ("/tile/entries/001.p/44",     BYTES, "max-age=86400", true),
        ("/v1/log/payloads/000",       BYTES, "no-store",      false),
        ("/v1/log/payloads/001.p/44",  BYTES, "no-store",      false),
        ("/v1/log",                    "application/json", "", true),
        ("/v1/log/entries/7",          "application/json", "", true),
    ];
    for (path, content_type, kept, has_tag) in rows {
        let response = get(path);

        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap())
        };
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(header("content-type"), content_type, "{path}");
        assert_eq!(header("cache-control"), kept, "{path}");
        let tag = header("etag");
        assert_eq!(!tag.is_empty(), has_tag, "{path}");
        if has_tag {
            let again = server.client().get(server.url(path));
            let again = again.header("If-None-Match", tag).send().unwrap();
            assert_eq!(again.status(), 304, "{path}");
            assert_eq!(again.bytes().unwrap().len(), 0, "{path}");
        }
    }
}

#[test]
fn a_path_has_one_spelling_and_names_nothing_beyond_the_checkpoint() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    grow(&server, 0..SIZE);
    let get = |path: &str| server.get_plain(path);
    checkpoint_of(get, SIZE);

    #[rustfmt::skip]
    let rows = [
        // Any width that the tree has had, of which its checkpoints had some.
        ("/tile/0/001.p/1",              200, ""),
        ("/tile/0/001.p/43",             200, ""),
        ("/tile/0/000.p/255",            200, ""),
        ("/tile/entries/001.p/43",       200, ""),
        ("/v1/log/payloads/000.p/1",     200, ""),
        ("/tile/0/001.p/45",             404, "beyond_end"),
        ("/tile/0/001",                  404, "beyond_end"),
        ("/tile/0/002.p/1",              404, "beyond_end"),
        ("/tile/1/000.p/2",              404, "beyond_end"),
        ("/tile/2/000.p/1",              404, "beyond_end"),
        ("/tile/63/000.p/1",             404, "beyond_end"),
        ("/tile/0/x001/x234/067",        404, "beyond_end"),
        ("/tile/entries/001.p/45",       404, "beyond_end"),
        ("/tile/entries/001",            404, "beyond_end"),
        ("/v1/log/payloads/001",         404, "beyond_end"),
        ("/v1/log/entries/300",          404, "beyond_end"),
        ("/v1/log/entries/300/proof",    404, "beyond_end"),
        ("/tile/00/000",                 404, "path_unknown"),
        ("/tile/64/000",                 404, "path_unknown"),
        ("/tile/-1/000",                 404, "path_unknown"),
        ("/tile/0/0",                    404, "path_unknown"),
        ("/tile/0/0000",                 404, "path_unknown"),
        ("/tile/0/000/",                 404, "path_unknown"),
        ("/tile/0/x000/000",             404, "path_unknown"),
        ("/tile/0/%30%30%30",            404, "path_unknown"),
        ("/tile/0/001.p/044",            404, "path_unknown"),
        ("/tile/0/001.p/0",              404, "path_unknown"),
        ("/tile/0/000.p/256",            404, "path_unknown"),
        ("/tile//000",                   404, "path_unknown"),
        ("/tile/data/000",               404, "path_unknown"),
        ("/tile/entries/0",              404, "path_unknown"),
        ("/tile/entries/%30%30%30",      404, "path_unknown"),
        ("/v1/log/payloads/0",           404, "path_unknown"),
        ("/v1/log/payloads/%30%30%30",   404, "path_unknown"),
        ("/v1/log/entries/007",          404, "resource_missing"),
        ("/v1/log/entries/+7",           404, "resource_missing"),
        ("/v1/log/entries/-7/proof",     404, "resource_missing"),
        ("/checkpoint?size=1",           400, "parameter_unknown"),
        ("/tile/0/000?livemode=true",    400, "parameter_unknown"),
        ("/v1/log/entries/7?account=",   400, "parameter_unknown"),
    ];
    for (path, status, code) in rows {
        let response = get(path);

        assert_eq!(response.status(), status, "{path}");
        if status != 200 {
            assert_eq!(refusal(response), (status, code.to_owned()), "{path}");
        }
    }
}

#[test]
fn an_entry_is_shown_by_name_with_the_leaf_that_it_is_read_from() {
    let directory = tempdir().unwrap();
    let mut server = Server::start(directory.path());
    let verdict = event("evt_1", "vs_1", "u", "requires_input", 20);
    let verdict = with_error(with_report(verdict, "vr_1"), "document_expired");
    server.record(&Delivery::event(&verdict));
    server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "u", "verified", 30,
    )));
    server.record(&Delivery::of("no JSON"));
    drop(server);
    hold(directory.path(), "vs_1");
    server = Server::start(directory.path());
    let get = |path: &str| server.get_plain(path);
    checkpoint_of(get, 4);

    let entries = [0, 1, 2, 3].map(|entry| server.read_plain(&format!("/v1/log/entries/{entry}")));

    for (sequence, entry) in (0_u64..).zip(&entries) {
        let bytes = STANDARD.decode(entry["leaf"].as_str().unwrap()).unwrap();
        let leaf = Leaf::decode(&bytes).unwrap();
        assert_eq!(leaf.sequence.0, sequence);
        assert_eq!(entry["sequence"], sequence);
        assert_eq!(entry["leaf_hash"], leaf_hash(&bytes).to_string());
        assert_eq!(entry["key_slot"], leaf.key_slot.0);
        assert_eq!(entry["received_at"], leaf.received_at.0.div_euclid(1000));
        assert_eq!(entry["payload"]["status"], "present");
        let digest = leaf.payload.unwrap();
        assert_eq!(
            entry["payload"]["sealed_sha256"],
            hex::encode(digest.sealed_sha256)
        );
    }
    let tag = entries[0]["fact"]["user_tag"].clone();
    let fact = json!({
        "event": "evt_1", "type": "identity.verification_session.requires_input", "form": "snapshot",
        "api_version": "2026-10-28.endive", "created": 20, "livemode": false, "account": null,
        "session": "vs_1", "session_created": 1_760_000_000, "status": "requires_input",
        "last_error": { "code": "document_expired" }, "last_verification_report": "vr_1",
        "redaction": null, "user_tag": tag,
    });
    assert!(tag.as_str().unwrap().starts_with("tag_"));
    assert_eq!(
        (&entries[0]["kind"], &entries[0]["fact"]),
        (&json!("event"), &fact)
    );
    assert_eq!(entries[1]["kind"], "conflict");
    assert_eq!(entries[1]["fact"]["status"], "verified");
    assert_eq!(entries[2]["kind"], "unreadable");
    assert_eq!(entries[2]["fact"]["reason"], "not_json");
    assert_eq!(entries[3]["kind"], "hold");
    assert_eq!(
        entries[3]["fact"]["subject"],
        json!({
            "key_slot": entries[0]["key_slot"], "livemode": false, "account": null,
            "session": "vs_1", "entry": null,
        })
    );
    assert_eq!(
        entries[3]["words"],
        json!({ "actor": "counsel", "reason": "a lawsuit" })
    );
    assert_eq!(entries[0]["words"], Value::Null);
}

fn hold(directory: &Path, session: &str) {
    let service = open_service(directory);
    let (sender, receiver) = mpsc::channel();
    let world = World {
        livemode: false,
        account: None,
    };
    let subject = SubjectName::Session(world, SessionId::parse(session).unwrap());
    let words = Words {
        actor: "counsel".to_owned(),
        reason: "a lawsuit".to_owned(),
        token: None,
    };
    service.state(subject, Statement::Hold, &words, move |stated| {
        sender.send(stated.is_ok()).unwrap();
    });
    assert!(receiver.recv().unwrap());
}

/// Returns the sealed payloads that a bundle holds.
fn payloads(mut bundle: &[u8]) -> Vec<&[u8]> {
    let mut payloads = Vec::new();
    while let Some((length, rest)) = bundle.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        let (payload, rest) = rest.split_at(length);
        payloads.push(payload);
        bundle = rest;
    }
    payloads
}

#[test]
fn sealed_payloads_lie_beside_their_leaves_until_they_are_erased() {
    let directory = tempdir().unwrap();
    let server = Server::start(directory.path());
    let get = |path: &str| server.get_plain(path);
    server.record(&Delivery::event(&event(
        "evt_1", "vs_1", "u", "verified", 10,
    )));
    server.record(&Delivery::event(&event(
        "evt_2", "vs_2", "u", "verified", 10,
    )));
    checkpoint_of(get, 2);
    let before = found(get, "/v1/log/payloads/000.p/2");
    let before = payloads(&before);

    let mut redacted = event("evt_3", "vs_1", "u", "redacted", 20);
    redacted["data"]["object"]["redaction"] = json!({ "status": "redacted" });
    server.record(&Delivery::event(&redacted));
    checkpoint_of(get, 5);

    let leaves = Mirror::of(get).leaves();
    let leaves: Vec<Leaf> = leaves
        .iter()
        .map(|leaf| Leaf::decode(leaf).unwrap())
        .collect();
    for (leaf, sealed) in leaves.iter().zip(&before) {
        let digest = leaf.payload.as_ref().unwrap();
        assert_eq!(digest.sealed_sha256, *Sha256::digest(sealed));
    }
    let after = found(get, "/v1/log/payloads/000.p/5");
    assert_eq!(payloads(&after), [&[], before[1], &[], &[], &[]]);
    let kept = |sequence| server.read_plain(&format!("/v1/log/entries/{sequence}"));
    let statuses = [0, 1, 2, 3, 4].map(|sequence| kept(sequence)["payload"]["status"].clone());
    assert_eq!(
        statuses,
        ["erased", "present", "erased", "never_kept", "never_kept"]
    );
    assert_eq!(kept(3)["kind"], "erasure");
    assert_eq!(kept(3)["fact"]["cause"], "redacted");
    assert_eq!(kept(3)["fact"]["redacted"], 2);
    assert_eq!(kept(4)["kind"], "erasure_done");
    assert_eq!(kept(4)["fact"]["erasure"], 3);
}
