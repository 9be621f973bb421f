//! Permissions: who may read and write the data, its vault and the files of secrets.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::finding::Findings;
use super::{Patient, quoted};

const PART: &str = "permissions";

pub(super) fn check(patient: &Patient<'_>, findings: &mut Findings) {
    let data_dir = &patient.data_dir;
    let Ok(directory) = data_dir.metadata() else {
        let what = format!(
            "{} is not there yet; the first start makes it",
            data_dir.display()
        );
        return findings.note(PART, what, None);
    };
    let shown = quoted(&data_dir.display().to_string());
    if directory.mode() & 0o022 != 0 {
        let what =
            format!("group or others may write to {shown}: whoever does can replace the log");
        findings.wrong(PART, what, format!("chmod go-w {shown}"));
    }
    if access(
        data_dir,
        Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK,
    )
    .is_err()
    {
        let what = format!("this user may not read and write {shown}");
        findings.wrong(PART, what, format!("sudo chown -R \"$(id -un)\" {shown}"));
    }
    if let Some(stranger) = owned_by_another(data_dir, directory.uid()) {
        let what = format!(
            "{} belongs to another user than {shown}: the service may not be able to write it",
            stranger.display()
        );
        findings.wrong(
            PART,
            what,
            format!("sudo chown -R --reference={shown} {shown}"),
        );
    }
    let vault = data_dir.join("vault");
    let secrets = patient.settings.webhook.secrets_file.as_deref();
    // The master key's own file is looked at by the configuration, which refuses one that others can read.
    let tokens = patient.settings.tokens_file();
    let certificate_key = patient.settings.tls.key_file.as_deref();
    for (file, what) in [
        (Some(vault.as_path()), "the wrapped keys of all payloads"),
        (
            tokens.as_deref(),
            "the hashes of the access tokens, and who may add one",
        ),
        (certificate_key, "the key of the certificate"),
        (
            secrets,
            "the webhook secrets, with which events can be forged",
        ),
    ] {
        check_private(file, what, findings);
    }
    if findings.is_good(PART) {
        findings.good(
            PART,
            format!("{shown} and the files of secrets are this service's alone"),
        );
    }
}

fn check_private(file: Option<&Path>, holds: &str, findings: &mut Findings) {
    let Some((file, metadata)) = file.and_then(|file| Some((file, file.metadata().ok()?))) else {
        return;
    };
    if metadata.mode() & 0o077 != 0 {
        let shown = quoted(&file.display().to_string());
        let what = format!("group or others may read {shown}, which holds {holds}");
        findings.wrong(PART, what, format!("chmod 600 {shown}"));
    }
}

/// Returns a file below a directory that is not of this owner, unless all are.
fn owned_by_another(directory: &Path, owner: u32) -> Option<PathBuf> {
    let files = fs::read_dir(directory).ok()?;
    files.flatten().find_map(|file| {
        let metadata = file.metadata().ok()?;
        if metadata.uid() != owner {
            return Some(file.path());
        }
        if metadata.is_dir() {
            return owned_by_another(&file.path(), owner);
        }
        None
    })
}
