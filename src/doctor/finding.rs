//! Findings: what a check came to, in a sentence, and the command that mends it.

use serde::Serialize;

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All is well.
    Good,
    /// Nothing is broken; somebody should know.
    Note,
    /// Something is wrong.
    Wrong,
    /// It could not be checked.
    NotChecked,
}

/// Something that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Of what.
    pub part: &'static str,
    /// What it came to.
    pub status: Status,
    /// That, in a sentence.
    pub what: String,
    /// What mends it, or lets it be checked.
    pub command: Option<String>,
}

/// What was found so far.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Says that a part is well.
    pub(super) fn good(&mut self, part: &'static str, what: impl Into<String>) {
        self.add(part, Status::Good, what.into(), None);
    }

    /// Says what somebody should know.
    pub(super) fn note(
        &mut self,
        part: &'static str,
        what: impl Into<String>,
        command: impl Into<Option<String>>,
    ) {
        self.add(part, Status::Note, what.into(), command.into());
    }

    /// Says what is wrong, and what mends it.
    pub(super) fn wrong(
        &mut self,
        part: &'static str,
        what: impl Into<String>,
        command: impl Into<String>,
    ) {
        self.add(part, Status::Wrong, what.into(), Some(command.into()));
    }

    /// Says what could not be checked, and why.
    pub(super) fn not_checked(
        &mut self,
        part: &'static str,
        why: impl Into<String>,
        command: impl Into<Option<String>>,
    ) {
        self.add(part, Status::NotChecked, why.into(), command.into());
    }

    fn add(&mut self, part: &'static str, status: Status, what: String, command: Option<String>) {
        self.0.push(Finding {
            part,
            status,
            what,
            command,
        });
    }

    /// Tells whether nothing but good was found of a part.
    pub(super) fn is_good(&self, part: &str) -> bool {
        let mut own = self.0.iter().filter(|finding| finding.part == part);
        own.all(|finding| finding.status == Status::Good)
    }

    /// Returns all of them, in the order of the checks.
    pub fn all(&self) -> &[Finding] {
        &self.0
    }

    /// Tells whether there is one of that status.
    pub fn has(&self, status: Status) -> bool {
        self.0.iter().any(|finding| finding.status == status)
    }
}
