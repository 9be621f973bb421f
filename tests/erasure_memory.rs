//! A destroyed key is not in the memory of the process either: all that it can read of itself is searched from aside.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use hkdf::Hkdf;
use sha2::Sha256;
use sha2::block_api::compress256;
use tempfile::tempdir;

use crate::support::delivery::{Delivery, event};
use crate::support::process::Process;
use crate::support::server::MASTER_KEY;
use crate::support::traces::{FIRST_SLOT, Trace, holds, opened};

/// Memory is read in pieces, which lap over by more than a trace.
const PIECE_BYTES: usize = 8 << 20;
const LAP_BYTES: usize = 64;
/// What SHA-256 begins with (FIPS 180-4, 5.3.3).
const SHA_256: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The forms in which a session's key could lie in memory, by the formats that `src/log/keys.rs` documents: itself, the
/// keys that are derived from it, and what HMAC makes of those before the first message.
fn forms_of(data_dir: &Path, slot: u64) -> Vec<Trace> {
    let vault = fs::read(data_dir.join("vault")).unwrap();
    let key = opened(&vault, MASTER_KEY, slot).unwrap();
    let mut forms = vec![("the data key", key.clone())];
    for (derived_name, state_name, label) in [
        (
            "the payload key",
            "the state of the payload key",
            "payload".as_bytes(),
        ),
        (
            "the commitment key",
            "the state of the commitment key",
            b"commitment",
        ),
    ] {
        let mut derived = [0; 64];
        Hkdf::<Sha256>::new(Some(b"avow"), &key)
            .expand(label, &mut derived)
            .unwrap();
        let mut state = SHA_256;
        compress256(&mut state, &[derived.map(|byte| byte ^ 0x36)]);
        let state = state.iter().flat_map(|word| word.to_ne_bytes()).collect();
        forms.push((derived_name, derived[..32].to_vec()));
        forms.push((state_name, state));
    }
    forms
}

/// Returns which traces lie in what a process can read of its own memory.
fn found_in_memory(process: &Process, traces: &[Trace]) -> Vec<&'static str> {
    let of_process = Path::new("/proc").join(process.id().to_string());
    let memory = File::open(of_process.join("mem")).unwrap();
    let maps = fs::read_to_string(of_process.join("maps")).unwrap();
    let mut found = Vec::new();
    let mut searched = 0;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (start, end) = fields.next().unwrap().split_once('-').unwrap();
        let [mut start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).unwrap());
        // What cannot be written holds no key that was made at run time; the kernel's own pages cannot be read.
        if !fields.next().unwrap().starts_with("rw") || line.ends_with("[vvar]") {
            continue;
        }
        while start < end {
            let length = usize::try_from(end - start).unwrap().min(PIECE_BYTES);
            let mut piece = vec![0; length];
            memory.read_exact_at(&mut piece, start).unwrap();
            searched += length;
            found.extend(
                traces
                    .iter()
                    .filter(|(_, trace)| holds(&piece, trace))
                    .map(|(name, _)| *name),
            );
            start += u64::try_from(length).unwrap();
            if start < end {
                start -= u64::try_from(LAP_BYTES).unwrap();
            }
        }
    }
    assert!(searched > 1 << 20, "only {searched} bytes were searched");
    found.sort_unstable();
    found.dedup();
    found
}

#[test]
fn the_key_of_an_erased_session_is_in_no_byte_of_the_process_s_memory() {
    let directory = tempdir().unwrap();
    let process = Process::start(directory.path());
    for (id, session) in [
        ("evt_1", "vs_1"),
        ("evt_2", "vs_1"),
        ("evt_3", "vs_2"),
        ("evt_4", "vs_1"),
    ] {
        let event = event(id, session, "user", "processing", 10);
        assert_eq!(
            process.deliver(&Delivery::event(&event)).unwrap().status(),
            200
        );
    }
    process.read("/v1/users/user");
    let [erased, kept] = [FIRST_SLOT, FIRST_SLOT + 1].map(|slot| forms_of(directory.path(), slot));
    let before = found_in_memory(&process, &erased);

    assert_eq!(process.state("vs_1", "erase").unwrap().status(), 200);

    let states = [
        "the state of the commitment key",
        "the state of the payload key",
    ];
    assert_eq!(before, states, "the search finds what is there");
    assert_eq!(found_in_memory(&process, &erased), Vec::<&str>::new());
    assert_eq!(found_in_memory(&process, &kept), states);
}
