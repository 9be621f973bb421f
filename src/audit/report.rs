//! The report of an audit: for people, and as JSON.

use std::fmt;

use serde::Serialize;

use super::finding::{Class, Finding, Findings, printable};
use super::payload_check::PayloadCounts;
use crate::transparency::checkpoint::Checkpoint;

/// What an audit came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was audited.
    pub source: String,
    /// The name under which the log signs.
    pub origin: Option<String>,
    /// By what the log's key is known.
    pub key: KeyStatus,
    /// The size of the latest checkpoint.
    pub checkpoint_size: Option<u64>,
    /// Its root, in base64.
    pub checkpoint_root: Option<String>,
    /// How many entries were read.
    pub entries: u64,
    /// How many recorded checkpoints were held against them.
    pub recorded_checkpoints: u64,
    /// How many checkpoints that others have seen were.
    pub seen_checkpoints: u64,
    /// How many stored hashes of the tree were compared.
    pub stored_hashes: u64,
    /// What was seen of the payloads; none if they were not looked at.
    pub payloads: Option<PayloadCounts>,
    /// How many erasures a running service may be carrying out.
    pub erasures_under_way: u64,
    /// The projections, folded again.
    pub projections: Projected,
    /// How many findings there are of each class.
    pub counts: Vec<Count>,
    /// The first ones of each class.
    pub findings: Vec<Finding>,
}

/// How many findings of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The class.
    pub class: Class,
    /// How many.
    pub count: u64,
}

/// By what the key of a log is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum KeyStatus {
    /// The auditor was told of it elsewhere.
    Told,
    /// The log says it itself: whoever replaced the log replaced the key.
    SelfAsserted {
        /// The key, to be compared with what was told elsewhere.
        verifier_key: String,
    },
    /// It is not known.
    Unknown,
}

/// What came of folding the entries again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Projected {
    /// It was not asked for.
    NotAsked,
    /// There is nothing to compare with, and why.
    NotCompared {
        /// Why.
        why: String,
    },
    /// What is served is what the entries fold to.
    Equal {
        /// How many entries were folded.
        sequence: u64,
        /// The digest of both.
        digest: String,
    },
    /// It is not; a finding says so.
    Different,
}

impl Report {
    /// Returns the report of an audit that begins.
    pub(super) fn of(source: &str, latest: Option<&Checkpoint>, key: KeyStatus) -> Self {
        Self {
            source: source.to_owned(),
            origin: latest.map(|checkpoint| printable(checkpoint.origin())),
            key,
            checkpoint_size: latest.map(|checkpoint| checkpoint.tree().size),
            checkpoint_root: latest.map(|checkpoint| checkpoint.tree().root.to_string()),
            entries: 0,
            recorded_checkpoints: 0,
            seen_checkpoints: 0,
            stored_hashes: 0,
            payloads: None,
            erasures_under_way: 0,
            projections: Projected::NotAsked,
            counts: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// Returns the gravest class of what was found.
    pub fn gravest(&self) -> Option<Class> {
        let found = |class: &Class| self.counts.iter().any(|count| count.class == *class);
        Class::ALL.into_iter().find(found)
    }

    pub(super) fn take_findings(&mut self, findings: &Findings) {
        self.counts = findings
            .counts()
            .map(|(class, count)| Count { class, count })
            .collect();
        self.findings = findings.kept().to_vec();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self
            .origin
            .as_deref()
            .unwrap_or("a log without a checkpoint");
        writeln!(formatter, "{origin}, read from {}", self.source)?;
        writeln!(formatter, "{}", self.key)?;
        if let (Some(size), Some(root)) = (self.checkpoint_size, &self.checkpoint_root) {
            writeln!(formatter, "latest checkpoint: {size} entries, root {root}")?;
        }
        writeln!(
            formatter,
            "read: {} entries, {} recorded checkpoints, {} stored hashes; {} checkpoints seen elsewhere",
            self.entries, self.recorded_checkpoints, self.stored_hashes, self.seen_checkpoints
        )?;
        let unsigned = self.checkpoint_size.unwrap_or(0);
        if self.entries > unsigned {
            let behind = self.entries - unsigned;
            writeln!(
                formatter,
                "{behind} entries lie behind the checkpoint: nothing was signed of them yet"
            )?;
        }
        match &self.payloads {
            None => writeln!(formatter, "payloads: not looked at")?,
            Some(payloads) => writeln!(formatter, "payloads: {payloads}")?,
        }
        if self.erasures_under_way > 0 {
            writeln!(
                formatter,
                "erasures that may be under way: {}",
                self.erasures_under_way
            )?;
        }
        writeln!(formatter, "projections: {}", self.projections)?;
        for finding in &self.findings {
            writeln!(formatter, "✗ {}: {finding}", finding.class.name())?;
        }
        for Count { class, count } in &self.counts {
            writeln!(formatter, "{}: {count}", class.name())?;
        }
        if self.counts.is_empty() {
            writeln!(formatter, "✓ nothing was found")?;
        }
        Ok(())
    }
}

impl fmt::Display for KeyStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told => formatter.write_str("key: told by the auditor"),
            Self::SelfAsserted { verifier_key } => write!(
                formatter,
                "key: self-asserted, told by nobody but this log: compare {verifier_key} with what its operator published"
            ),
            Self::Unknown => formatter.write_str("key: unknown, so no signature was checked"),
        }
    }
}

impl fmt::Display for PayloadCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            matching,
            opened,
            authenticated,
            of_other_secrets,
        } = self;
        write!(
            formatter,
            "{matching} match their leaves, {opened} opened, {authenticated} bear Stripe's signature, \
             {of_other_secrets} were signed with secrets that were not given"
        )
    }
}

impl fmt::Display for Projected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => formatter.write_str("not folded"),
            Self::NotCompared { why } => write!(formatter, "not compared: {why}"),
            Self::Equal { sequence, digest } => write!(
                formatter,
                "{sequence} entries fold to what is served ({digest})"
            ),
            Self::Different => {
                formatter.write_str("the entries fold to something else than what is served")
            }
        }
    }
}
