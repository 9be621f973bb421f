//! The doctor: looks at each part of a service, says what is wrong, and names the command that mends it.
//!
//! It changes nothing, and asks for no server to be stopped; what a server keeps it from seeing, it says.

mod ask;
mod clock;
mod configuration;
mod disk;
pub mod finding;
mod keys;
mod log;
mod permissions;
mod projections;
mod samples;
mod server;
pub mod status;

use std::path::PathBuf;

use crate::audit::auditor::{Request as AuditRequest, audit};
use crate::audit::payload_check::Keys;
use crate::client::Access;
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::config::tokens;
use crate::log::checkup::JournalEnd;
use crate::log::inspection::Inspection;
use crate::log::keys::MasterKey;
use crate::log::unsealer::Unsealer;
use finding::Findings;

/// What is to be examined.
pub struct Request<'request> {
    /// Where the configuration comes from.
    pub sources: &'request Sources<'request>,
    /// The flags that name the same sources, as a shell reads them.
    pub flags: String,
    /// The server to ask, if there is one.
    pub server: Option<String>,
    /// What it is shown, and whether it is trusted.
    pub access: Access,
    /// Whether to read everything.
    pub thorough: bool,
}

/// What every check goes by.
struct Patient<'request> {
    request: &'request Request<'request>,
    settings: Settings,
    data_dir: PathBuf,
    files: Inspection,
    /// Whether a server holds the data.
    is_in_use: bool,
    master_key: Option<MasterKey>,
}

impl Patient<'_> {
    /// Returns the command that opens the data, which mends what start-up mends.
    fn opening(&self) -> String {
        if self.is_in_use {
            return "restart the service: start-up mends it, and says so".to_owned();
        }
        format!("avow digest {}", self.request.flags)
    }

    /// Returns the command that puts the last backup in the place of the data, which are kept beside it: they say what
    /// was lost. The tokens are in no backup, and without them everybody on this machine would be admitted.
    fn restoring(&self) -> String {
        let data = self.data_dir.display().to_string();
        let damaged = quoted(&format!("{}.damaged", data.trim_end_matches('/')));
        let key = self.settings.server.master_key_file.as_ref();
        let key = key.map_or("KEY".to_owned(), |path| quoted(&path.display().to_string()));
        let data = quoted(&data);
        let restore = format!(
            "avow restore BACKUP --vault FILE --master-key-file {key} {}",
            self.request.flags
        );
        if self.data_dir.join(tokens::FILE).exists() {
            // 1: restored, with something left to do.
            let copy = format!("cp -p {damaged}/{} {data}/", tokens::FILE);
            format!("mv {data} {damaged} && {{ {restore} || [ $? = 1 ]; }} && {copy}")
        } else {
            format!("mv {data} {damaged} && {restore}")
        }
    }

    /// Returns the path of something below the data directory, as a shell reads it.
    fn path(&self, name: &str) -> String {
        quoted(&self.data_dir.join(name).display().to_string())
    }
}

/// Examines a service. `progress` is told how many entries of how many have been read, where all are.
pub fn examine(request: &Request<'_>, progress: &mut dyn FnMut(u64, u64)) -> Findings {
    let mut findings = Findings::default();
    if let Some(mut patient) = configuration::check(request, &mut findings) {
        permissions::check(&patient, &mut findings);
        disk::check(&patient, &mut findings);
        let end = log::check(&patient, &mut findings);
        clock::check(&patient, end.as_ref(), &mut findings);
        let unsealer = keys::check_vault(&mut patient, end.as_ref(), &mut findings);
        keys::check_checkpoints(&patient, unsealer.as_ref(), end.as_ref(), &mut findings);
        projections::check(&patient, end.as_ref(), &mut findings);
        if request.thorough {
            check_all(&patient, unsealer, progress, &mut findings);
        }
    }
    server::check(request, &mut findings);
    findings
}

/// Audits everything: what the other checks sample.
fn check_all(
    patient: &Patient<'_>,
    unsealer: Option<Unsealer>,
    progress: &mut dyn FnMut(u64, u64),
    findings: &mut Findings,
) {
    const PART: &str = "audit";
    if !findings.is_good("journal") {
        let why = "the journal cannot be read to its end; mend that first";
        return findings.not_checked(PART, why, None);
    }
    let request = AuditRequest {
        policy: None,
        seen: Vec::new(),
        keys: Keys {
            unsealer,
            secrets: None,
        },
        vault: None,
        payloads: true,
        projections: true,
    };
    let directory = patient.data_dir.display().to_string();
    let report = audit(&directory, None, request, progress);
    let command = format!("avow audit verify {}", quoted(&directory));
    match (report.gravest(), report.findings.first()) {
        (None, _) => findings.good(
            PART,
            format!("all {} entries, and what follows from them", report.entries),
        ),
        (Some(class), first) => {
            let first = first.map_or_else(String::new, ToString::to_string);
            findings.wrong(PART, format!("{}: {first}", class.name()), command);
        }
    }
}

/// Returns a text as one word of a shell.
pub fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-=:,@+".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// How the journal ends, if it could be read.
type End<'end> = Option<&'end JournalEnd>;
