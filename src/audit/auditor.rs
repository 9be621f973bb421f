//! The auditor: goes once through a log, and says what it found.

use super::custody_check::{CustodyCheck, Surroundings};
use super::data_directory::DataDirectory;
use super::finding::{Class, Findings};
use super::heads::{Heads, Seen};
use super::identities::Identities;
use super::manifest::Manifest;
use super::payload_check::{Keys, PayloadCheck};
use super::projected::Served;
use super::report::{KeyStatus, Projected, Report};
use super::source::{Checkpoints, Source};
use super::stored_tree::StoredTree;
use super::trust::Trust;
use super::walk::{Checks, End, Walk};
use super::{manifest_check, vault_check};
use crate::client::Access;
use crate::log::vault::reader::VaultReader;
use crate::transparency::checkpoint::Checkpoint;
use crate::transparency::policy::Policy;

/// What an auditor knows and wants.
pub struct Request {
    /// Whom to trust; without it, whoever the log says that it is.
    pub policy: Option<Policy>,
    /// Checkpoints that were kept elsewhere.
    pub seen: Vec<Seen>,
    /// The keys, as far as they are given.
    pub keys: Keys,
    /// A copy of the vault; without it, that of the data directory.
    pub vault: Option<VaultReader>,
    /// Whether to look at payloads.
    pub payloads: bool,
    /// Whether to fold the projections again.
    pub projections: bool,
}

/// Audits the log that lies at a path or a URL. `progress` is told how many entries of how many have been read.
pub fn audit(
    place: &str,
    access: Option<&Access>,
    request: Request,
    progress: &mut dyn FnMut(u64, u64),
) -> Report {
    match Source::open(place, access) {
        Ok(source) => audit_source(&source, place, request, progress),
        Err(error) => {
            let mut findings = Findings::default();
            findings.add_error(&error);
            let mut report = Report::of(place, None, KeyStatus::Unknown);
            report.take_findings(&findings);
            report
        }
    }
}

fn audit_source(
    source: &Source,
    name: &str,
    mut request: Request,
    progress: &mut dyn FnMut(u64, u64),
) -> Report {
    let mut findings = Findings::default();
    let manifest = manifest_check::manifest_of(source, &mut findings);
    let has_payloads = manifest
        .as_ref()
        .is_none_or(|(manifest, _)| manifest.payloads);
    request.payloads &= has_payloads;
    let directory = source.data_directory();
    if let (None, Some(directory)) = (&request.vault, directory) {
        request.vault = vault_check::vault_of(directory, &mut findings);
    }
    let latest = source
        .checkpoint()
        .map(|note| note.text().parse::<Checkpoint>());
    let latest = latest.and_then(Result::ok);
    let origin = latest.as_ref().map(Checkpoint::origin);
    let trust = trust(
        request.policy.take(),
        origin,
        manifest.as_ref(),
        &request.keys,
    );
    if let Some(((_, key), origin)) = manifest.as_ref().zip(origin) {
        manifest_check::check_key(key, trust.key_of(origin), &mut findings);
    }
    let cosigned = directory.and_then(|directory| directory.cosigned());
    match source.checkpoint() {
        Some(note) => trust.authenticate(note, cosigned, &mut findings),
        None => findings.add(
            Class::CouldNotCheck,
            "there is no checkpoint: nothing was signed yet",
        ),
    }
    let recorded = source.checkpoints().unwrap_or_else(|error| {
        findings.add_error(&error);
        Checkpoints::Served(None)
    });
    let key = origin.and_then(|origin| trust.key_of(origin));
    let mut heads = Heads::new(recorded, key, &mut findings);
    heads.add(
        (source.checkpoint(), cosigned),
        &request.seen,
        &mut findings,
    );
    let signed = latest
        .as_ref()
        .map_or(0, |checkpoint| checkpoint.tree().size);
    let walk = Walk::new(Checks {
        source,
        signed,
        findings,
        heads,
        tree: StoredTree::new(source, signed),
        identities: Identities::new(),
        custody: CustodyCheck::new(request.payloads),
        payloads: PayloadCheck::new(request.keys),
        with_payloads: request.payloads,
        progress,
    });
    let manifest = manifest.map(|(manifest, _)| manifest);
    let (walk, projections) = if request.projections {
        Served::of(source, manifest.as_ref()).compare(walk)
    } else {
        (walk, Projected::NotAsked)
    };
    let mut report = Report::of(name, latest.as_ref(), status(&trust));
    report.seen_checkpoints = u64::try_from(request.seen.len()).unwrap_or(u64::MAX);
    report.projections = projections;
    conclude(walk.end(), source, request.vault.as_ref(), &mut report);
    report
}

/// Makes the checks that need all entries.
fn conclude(end: End<'_>, source: &Source, vault: Option<&VaultReader>, report: &mut Report) {
    let End {
        checks,
        size,
        is_whole,
    } = end;
    let Checks {
        mut findings,
        heads,
        tree,
        identities,
        custody,
        payloads,
        with_payloads,
        ..
    } = checks;
    let directory = source.data_directory();
    report.entries = size;
    report.recorded_checkpoints = heads.end(size, is_whole, &mut findings);
    report.stored_hashes = tree.compared;
    if is_whole {
        tree.end(size, &mut findings);
    }
    report.payloads = with_payloads.then_some(payloads.counts);
    if let Some(others) = report
        .payloads
        .map(|payloads| payloads.of_other_secrets)
        .filter(|others| *others > 0)
    {
        let what =
            format!("{others} payloads were signed with a webhook secret that was not given");
        findings.add(Class::CouldNotCheck, what);
    }
    let around = Surroundings {
        size,
        may_be_running: directory.is_none_or(DataDirectory::is_in_use),
        vault,
    };
    let compared = identities.check(&mut findings).and_then(|()| {
        // Of a log that was not read to its end, nobody knows what the rest would have explained.
        if is_whole {
            report.erasures_under_way = custody.check(around, &mut findings)?;
        }
        directory.map_or(Ok(()), |directory| {
            vault_check::check(directory, vault, payloads.keys(), &mut findings)
        })
    });
    if let Err(error) = compared {
        findings.add(
            Class::CouldNotCheck,
            format!("a check could not be made: {error}"),
        );
    }
    if directory.is_some_and(|directory| directory.checkpoints_are_torn() && !directory.is_in_use())
    {
        let what = "bytes lie behind the last checkpoint in log/checkpoints: a write that was broken off, and that nobody \
                    has seen";
        findings.add(Class::CouldNotCheck, what);
    }
    report.take_findings(&findings);
}

/// Returns whom to trust: whom the auditor was told of, else whom the log itself names.
fn trust(
    policy: Option<Policy>,
    origin: Option<&str>,
    manifest: Option<&(Manifest, crate::transparency::key::VerifierKey)>,
    keys: &Keys,
) -> Trust {
    if let Some(policy) = policy {
        return Trust::Told(policy);
    }
    if let Some((_, key)) = manifest {
        return Trust::SelfAsserted(key.clone());
    }
    let own = keys
        .unsealer
        .as_ref()
        .zip(origin)
        .and_then(|(unsealer, origin)| unsealer.verifier_key(origin.parse().ok()?).ok());
    own.map_or(Trust::Nothing, Trust::SelfAsserted)
}

fn status(trust: &Trust) -> KeyStatus {
    match trust {
        Trust::Told(_) => KeyStatus::Told,
        Trust::SelfAsserted(key) => KeyStatus::SelfAsserted {
            verifier_key: key.to_string(),
        },
        Trust::Nothing => KeyStatus::Unknown,
    }
}
